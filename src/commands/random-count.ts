/** The count of HRANDFIELD, SRANDMEMBER and ZRANDMEMBER. */
import { INT64_MIN } from '../bytes/integer.ts'
import type { Args } from '../resp/args.ts'
import { COUNT_OUT_OF_RANGE, OUT_OF_RANGE } from '../resp/errors.ts'
import type { ReplySink } from '../resp/reply.ts'

/**
 * Most repetitions that a negative count may ask for where nothing bounds the reply. Redis builds it until memory ends.
 */
const REPETITIONS_MAX = 2 ** 27

/**
 * Argument `i` as a count: positive for different members, negative for members that may repeat.
 *
 * @throws NOT_AN_INTEGER, or COUNT_OUT_OF_RANGE for the least integer
 */
export function randomCount(args: Args, i: number): number {
  const count = args.integer(i)
  if (count <= Number.MIN_SAFE_INTEGER && args.int64(i) === INT64_MIN) throw COUNT_OUT_OF_RANGE
  return count
}

/** How many members a negative count asks for. @throws OUT_OF_RANGE beyond the bound, unless the reply has one */
export function repetitions(count: number, reply: ReplySink): number {
  if (-count > REPETITIONS_MAX && !reply.isBounded) throw OUT_OF_RANGE
  return -count
}
