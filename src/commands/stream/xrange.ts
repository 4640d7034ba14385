/**
 * XRANGE key start end [COUNT count]
 * XREVRANGE key end start [COUNT count]
 *
 * The entries of an interval of IDs, oldest or newest first. An incomplete ID stands for the whole millisecond, `-` and
 * `+` for the smallest and the greatest ID, `(` excludes the ID behind it.
 *
 * Reply: array of entries; null array when COUNT is 0 or less and the key exists. Errors: IDs, options, WRONGTYPE; in
 * this order.
 * Source: Valkey src/t_stream.c `xrangeGenericCommand`, src/commands/xrange.json, xrevrange.json. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { parseIntervalEnd, parseIntervalStart, readStream } from './stream-access.ts'
import { replyEntries } from './stream-reply.ts'

const NO_COUNT = -1
const Direction = { Forward: 0, Backward: 1 } as const
const COMPLEXITY =
  'O(N) in the entries returned, so O(1) with a constant COUNT; O(log B) to find the first of B blocks.'

const cursor = new StreamCursor()
const start = new StreamId()
const end = new StreamId()

export const xrange = defineCommand({
  name: 'xrange',
  summary: 'Returns the entries of a stream within an interval of IDs.',
  group: 'stream',
  since: '5.0.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => range(ctx, args, reply, Direction.Forward),
})

export const xrevrange = defineCommand({
  name: 'xrevrange',
  summary: 'Returns the entries of a stream within an interval of IDs, newest first.',
  group: 'stream',
  since: '5.0.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => range(ctx, args, reply, Direction.Backward),
})

function range(ctx: CommandContext, args: Args, reply: ReplySink, direction: number): void {
  parseIntervalStart(args, direction === Direction.Forward ? 2 : 3, start)
  parseIntervalEnd(args, direction === Direction.Forward ? 3 : 2, end)
  const count = parseCount(args)
  const stream = readStream(ctx, args, 1)
  if (stream === null) {
    reply.array(0)
    return
  }
  if (count === 0) {
    reply.nilArray()
    return
  }
  if (direction === Direction.Forward) cursor.openForward(stream, start, end, stream.hint)
  else cursor.openBackward(stream, start, end)
  replyEntries(reply, cursor, count)
}

function parseCount(args: Args): number {
  let count = NO_COUNT
  for (let i = 4; i < args.count; i += 2) {
    if (!args.is(i, 'COUNT') || i + 1 >= args.count) throw SYNTAX_ERROR
    count = Math.max(0, args.integer(i + 1))
  }
  return count
}
