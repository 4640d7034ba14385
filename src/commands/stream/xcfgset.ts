/**
 * XCFGSET key [IDMP-DURATION seconds] [IDMP-MAXSIZE count]
 * XIDMPRECORD key producer idempotent-id id
 *
 * How long, and how many of one producer, idempotent IDs of a stream are remembered; a change makes it forget all. The
 * other one makes it remember an entry as added under an idempotent ID, as a log does that is rewritten as commands.
 *
 * Reply: OK. Errors: options, missing key, WRONGTYPE; of XIDMPRECORD: empty names, ID, missing key, WRONGTYPE, an entry
 * that is not there (but when a log is replayed: it was, when it was added), another entry of the same name.
 * Source: redis.io/commands/xcfgset, redis.io/commands/xidmprecord (8.6).
 */
import type { Args } from '../../resp/args.ts'
import {
  IDMP_DURATION_RANGE,
  IDMP_DURATION_TWICE,
  IDMP_ENTRY_GONE,
  IDMP_ID_EMPTY,
  IDMP_MAXSIZE_RANGE,
  IDMP_MAXSIZE_TWICE,
  IDMP_OTHER_ENTRY,
  IDMP_PRODUCER_EMPTY,
  NO_SUCH_KEY,
  SYNTAX_ERROR,
  XCFGSET_NOTHING,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { DURATION_SECONDS_MAX, IdempotencyKey, MAXSIZE_MAX } from '../../structures/idempotent-ids.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findStream, idempotentIdsOf, parseId } from './stream-access.ts'

const NOT_GIVEN = 0

const given = { duration: NOT_GIVEN as number, maxSize: NOT_GIVEN as number }
const key = new IdempotencyKey()
const id = new StreamId()
const known = new StreamId()

export const xcfgset = defineCommand({
  name: 'xcfgset',
  summary: 'Sets how long and how many idempotent IDs a stream remembers.',
  group: 'stream',
  since: '8.6.0',
  complexity: 'O(1); O(N) in the idempotent IDs that are forgotten.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update'),
  handler: xcfgsetHandler,
})

export const xidmprecord = defineCommand({
  name: 'xidmprecord',
  summary: 'Makes a stream remember an entry as added under an idempotent ID.',
  group: 'stream',
  since: '8.6.2',
  complexity: 'O(1)',
  arity: 5,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update'),
  handler: xidmprecordHandler,
})

function xcfgsetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseSettings(args)
  const ids = idempotentIdsOf(ctx, existingStream(ctx, args))
  ids.configure(
    given.duration === NOT_GIVEN ? ids.durationSeconds : given.duration,
    given.maxSize === NOT_GIVEN ? ids.maxSize : given.maxSize,
  )
  ctx.changedQuietly(args, 1)
  reply.ok()
}

function parseSettings(args: Args): void {
  if (args.count === 2) throw XCFGSET_NOTHING
  given.duration = NOT_GIVEN
  given.maxSize = NOT_GIVEN
  for (let i = 2; i < args.count; i += 2) {
    const hasMore = i + 1 < args.count
    if (hasMore && args.is(i, 'IDMP-DURATION')) {
      if (given.duration !== NOT_GIVEN) throw IDMP_DURATION_TWICE
      given.duration = between(args, i + 1, DURATION_SECONDS_MAX)
      if (given.duration === NOT_GIVEN) throw IDMP_DURATION_RANGE
    } else if (hasMore && args.is(i, 'IDMP-MAXSIZE')) {
      if (given.maxSize !== NOT_GIVEN) throw IDMP_MAXSIZE_TWICE
      given.maxSize = between(args, i + 1, MAXSIZE_MAX)
      if (given.maxSize === NOT_GIVEN) throw IDMP_MAXSIZE_RANGE
    } else {
      throw SYNTAX_ERROR
    }
  }
}

/** Argument `i` if it is from 1 to `max`, else NOT_GIVEN. @throws NOT_AN_INTEGER */
function between(args: Args, i: number, max: number): number {
  const value = args.integer(i)
  return value < 1 || value > max ? NOT_GIVEN : value
}

function xidmprecordHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.length(2) === 0) throw IDMP_PRODUCER_EMPTY
  if (args.length(3) === 0) throw IDMP_ID_EMPTY
  parseId(args, 4, id)
  const stream = existingStream(ctx, args)
  if (!ctx.session.isReplay && !stream.has(id)) throw IDMP_ENTRY_GONE
  key.setProducer(args.buffer, args.start(2), args.length(2))
  key.setId(args.buffer, args.start(3), args.length(3))
  const ids = idempotentIdsOf(ctx, stream)
  if (!ctx.session.isReplay && ids.find(key, ctx.now, known)) {
    if (!known.equals(id)) throw IDMP_OTHER_ENTRY
  } else {
    ids.record(key, id, ctx.now)
    ctx.markDirty(1)
  }
  reply.ok()
}

function existingStream(ctx: CommandContext, args: Args): Stream {
  const stream = findStream(ctx, args, 1)
  if (stream === null) throw NO_SUCH_KEY
  return stream
}
