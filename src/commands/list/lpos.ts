/**
 * LPOS key element [RANK rank] [COUNT count] [MAXLEN length]
 *
 * Finds the indexes of elements that equal the given one: from match number `rank` on (negative: from the end), the
 * first or, with COUNT, that many (0: all), among `length` elements (0: all).
 *
 * Reply: integer or null; with COUNT an array, empty when the key is missing. Errors: syntax; not an integer; rank 0;
 * negative COUNT or MAXLEN; WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `lposCommand`.
 */
import { INT64_MIN } from '../../bytes/integer.ts'
import type { Args } from '../../resp/args.ts'
import {
  COUNT_OUT_OF_RANGE,
  LPOS_COUNT_NEGATIVE,
  LPOS_MAXLEN_NEGATIVE,
  LPOS_RANK_ZERO,
  SYNTAX_ERROR,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { ListCursor } from '../../structures/list-cursor.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readList } from './list-access.ts'

/** COUNT was not given: the reply is one index. */
const ONE_INDEX = -1

/** Parsed options, reused by every call. */
const options = { rank: 1, count: ONE_INDEX as number, lengthMax: Number.POSITIVE_INFINITY as number }

export const lpos = defineCommand({
  name: 'lpos',
  summary: 'Returns the index of elements of a list that equal a value.',
  group: 'list',
  since: '6.0.6',
  complexity: 'O(N) where N is the number of elements looked at.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.List,
  keys: keyAt(1, 'RO', 'access'),
  handler: lposHandler,
})

function lposHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseOptions(args)
  if (readList(ctx, args, 1) === NO_ROW) {
    if (options.count === ONE_INDEX) reply.nil()
    else reply.array(0)
    return
  }
  const length = ctx.list.length()
  const cursor = ctx.list.rewind()
  if (options.rank < 0) cursor.toEnd()
  if (options.count === ONE_INDEX) replyOne(cursor, args, length, reply)
  else replyAll(cursor, args, length, reply)
}

function parseOptions(args: Args): void {
  options.rank = 1
  options.count = ONE_INDEX
  options.lengthMax = Number.POSITIVE_INFINITY
  for (let i = 3; i < args.count; i += 2) {
    const hasValue = i + 1 < args.count
    if (args.is(i, 'RANK') && hasValue) {
      options.rank = rankAt(args, i + 1)
    } else if (args.is(i, 'COUNT') && hasValue) {
      options.count = args.integerIn(i + 1, 0, Number.POSITIVE_INFINITY, LPOS_COUNT_NEGATIVE)
    } else if (args.is(i, 'MAXLEN') && hasValue) {
      const lengthMax = args.integerIn(i + 1, 0, Number.POSITIVE_INFINITY, LPOS_MAXLEN_NEGATIVE)
      options.lengthMax = lengthMax === 0 ? Number.POSITIVE_INFINITY : lengthMax
    } else {
      throw SYNTAX_ERROR
    }
  }
}

function rankAt(args: Args, i: number): number {
  const rank = args.integer(i)
  // The least integer has no positive counterpart; as a double it cannot be told from its neighbours.
  if (rank < Number.MIN_SAFE_INTEGER && args.int64(i) === INT64_MIN) throw COUNT_OUT_OF_RANGE
  if (rank === 0) throw LPOS_RANK_ZERO
  return rank
}

function replyOne(cursor: ListCursor, args: Args, length: number, reply: ReplySink): void {
  const isForward = options.rank > 0
  let skip = Math.abs(options.rank) - 1
  const end = Math.min(length, options.lengthMax)
  for (let seen = 0; seen < end; seen++) {
    if (isForward) cursor.advance()
    else cursor.retreat()
    if (!cursor.entry.equals(args.buffer, args.start(2), args.length(2)) || skip-- > 0) continue
    reply.integer(isForward ? seen : length - seen - 1)
    return
  }
  reply.nil()
}

function replyAll(cursor: ListCursor, args: Args, length: number, reply: ReplySink): void {
  const isForward = options.rank > 0
  let skip = Math.abs(options.rank) - 1
  const end = Math.min(length, options.lengthMax)
  const wanted = options.count === 0 ? end : options.count
  const mark = reply.begin()
  let count = 0
  for (let seen = 0; seen < end && count < wanted; seen++) {
    if (isForward) cursor.advance()
    else cursor.retreat()
    if (!cursor.entry.equals(args.buffer, args.start(2), args.length(2)) || skip-- > 0) continue
    reply.integer(isForward ? seen : length - seen - 1)
    count++
  }
  reply.closeArray(mark, count)
}
