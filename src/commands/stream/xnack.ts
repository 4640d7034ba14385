/**
 * XNACK key group <SILENT | FAIL | FATAL> IDS count id [id ...] [RETRYCOUNT count] [FORCE]
 *
 * Releases pending entries of a group: each is nobody's, but pending still, and the next who claims gets it whatever the
 * minimum idle time, before those that are idle, in the order of release. SILENT takes back the delivery, FAIL leaves
 * it counted, FATAL counts as many as can be; RETRYCOUNT sets the count. FORCE also releases entries of the stream that
 * were not pending.
 *
 * Reply: integer, how many were released; 0 for a missing key or group. An entry that is nobody's already is left where it
 * is, and not counted. Errors: options, invalid ID, WRONGTYPE. What is recorded: FAIL with the count, for each run of
 * entries with the same one. Source: redis.io/commands/xnack (8.8).
 */
import type { Args } from '../../resp/args.ts'
import {
  unknownXnackOption,
  XNACK_IDS_MISSING,
  XNACK_MODE,
  XNACK_NUMIDS,
  XNACK_NUMIDS_MISMATCH,
  XNACK_RETRYCOUNT,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import { DELIVERIES_MAX, toDeliveries } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findGroup, findStream, IdList, parseId } from './stream-access.ts'
import { recordDeliveries, recordId } from './stream-effects.ts'

const FIRST_OPTION = 4
const NOT_GIVEN = -1
const COUNT_MAX = 2 ** 31 - 1

/** What becomes of the delivery count. */
const Mode = { Silent: 0, Fail: 1, Fatal: 2 } as const

/** Parsed options, reused by every call. */
const options = { mode: Mode.Fail as number, deliveries: NOT_GIVEN as number, isForced: false }

const ids = new IdList()
const released = new IdList()
const id = new StreamId()

export const xnack = defineCommand({
  name: 'xnack',
  summary: 'Releases pending entries of a consumer group, so that others get them at once.',
  group: 'stream',
  since: '8.8.0',
  complexity: 'O(log N) for each ID in a list of N pending entries.',
  arity: -7,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update'),
  handler: xnackHandler,
})

function xnackHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseOptions(args)
  const stream = findStream(ctx, args, 1)
  const group = stream === null ? null : findGroup(stream, args, 2)
  if (stream === null || group === null) {
    reply.integer(0)
    return
  }
  released.clear()
  for (let i = 0; i < ids.count; i++) {
    ids.get(i, id)
    if (releaseEntry(stream, group)) released.push(id)
  }
  if (released.count > 0) {
    // Who waits to claim is woken, as by a new entry.
    ctx.changedQuietly(args, 1)
    ctx.markDirty(released.count - 1)
    record(ctx, args, group)
  }
  reply.integer(released.count)
}

function parseOptions(args: Args): void {
  if (args.is(3, 'SILENT')) options.mode = Mode.Silent
  else if (args.is(3, 'FAIL')) options.mode = Mode.Fail
  else if (args.is(3, 'FATAL')) options.mode = Mode.Fatal
  else throw XNACK_MODE
  options.deliveries = NOT_GIVEN
  options.isForced = false
  ids.clear()
  for (let i = FIRST_OPTION; i < args.count; i++) {
    const hasMore = i + 1 < args.count
    if (hasMore && args.is(i, 'IDS')) {
      const count = args.integerIn(++i, 1, COUNT_MAX, XNACK_NUMIDS)
      if (count > args.count - i - 1) throw XNACK_NUMIDS_MISMATCH
      ids.clear()
      for (let n = 0; n < count; n++) {
        parseId(args, ++i, id)
        ids.push(id)
      }
    } else if (hasMore && args.is(i, 'RETRYCOUNT')) {
      options.deliveries = toDeliveries(args.integer(++i))
      if (options.deliveries < 0) throw XNACK_RETRYCOUNT
    } else if (args.is(i, 'FORCE')) {
      options.isForced = true
    } else {
      throw unknownXnackOption(args.text(i))
    }
  }
  if (ids.count === 0) throw XNACK_IDS_MISSING
}

/** Releases the entry `id`. Returns whether it was somebody's, or is pending only now. */
function releaseEntry(stream: Stream, group: ConsumerGroup): boolean {
  const pending = group.pending
  const position = pending.find(id)
  if (position === NO_POSITION) {
    if (!options.isForced || !stream.has(id)) return false
    pending.addReleased(id, deliveriesAfter(0))
    return true
  }
  if (pending.isReleased(position)) return false
  pending.release(position, id, deliveriesAfter(pending.deliveryCount(position)))
  return true
}

function deliveriesAfter(count: number): number {
  if (options.deliveries !== NOT_GIVEN) return options.deliveries
  if (options.mode === Mode.Fatal) return DELIVERIES_MAX
  // The greatest count has no predecessor among doubles, and an entry that was given up stays so.
  return options.mode === Mode.Silent && count > 0 && count !== DELIVERIES_MAX ? count - 1 : count
}

/** Records the released entries: how often they were delivered may not be the same where this is replayed. */
function record(ctx: CommandContext, args: Args, group: ConsumerGroup): void {
  ctx.recordNothing()
  if (!ctx.journal.enabled) return
  for (let first = 0; first < released.count; ) {
    const deliveries = deliveriesOf(group, first)
    let end = first + 1
    while (end < released.count && deliveriesOf(group, end) === deliveries) end++
    recordRun(ctx, args, first, end, deliveries)
    first = end
  }
}

function deliveriesOf(group: ConsumerGroup, index: number): number {
  released.get(index, id)
  return group.pending.deliveryCount(group.pending.find(id))
}

function recordRun(ctx: CommandContext, args: Args, first: number, end: number, deliveries: number): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 8 + end - first + (options.isForced ? 1 : 0))
  journal.text('XNACK')
  journal.arg(args, 1)
  journal.arg(args, 2)
  journal.text('FAIL')
  journal.text('IDS')
  journal.integer(end - first)
  for (let i = first; i < end; i++) {
    released.get(i, id)
    recordId(journal, id)
  }
  journal.text('RETRYCOUNT')
  recordDeliveries(journal, deliveries)
  if (options.isForced) journal.text('FORCE')
}
