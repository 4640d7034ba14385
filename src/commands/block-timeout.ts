/**
 * The timeout argument of blocking commands, as a deadline. Source: Valkey 7.2 src/timeout.c
 * `getTimeoutFromObjectOrReply`.
 */
import { isFiniteLongDouble, parseLongDouble } from '../bytes/long-double.ts'
import type { Args } from '../resp/args.ts'
import { TIMEOUT_NEGATIVE, TIMEOUT_NOT_A_FLOAT, TIMEOUT_NOT_AN_INTEGER, TIMEOUT_OUT_OF_RANGE } from '../resp/errors.ts'
import type { ReplySink } from '../resp/reply.ts'
import type { CommandContext } from './context.ts'

/** Times are signed 64-bit numbers of ms. */
const TIME_END_MS = 2 ** 63
/** No deadline. */
export const BLOCK_FOREVER = 0

/**
 * Argument `i`, seconds with a fraction, as a deadline in ms of the clock that `nowMs` is read from; BLOCK_FOREVER for 0.
 *
 * @throws TIMEOUT_NOT_A_FLOAT, TIMEOUT_OUT_OF_RANGE, TIMEOUT_NEGATIVE
 */
export function deadlineInSeconds(args: Args, i: number, nowMs: number): number {
  const seconds = args.safeInteger(i)
  const timeoutMs = Number.isNaN(seconds) ? fractionMs(args.text(i)) : seconds * 1000
  if (timeoutMs >= TIME_END_MS) throw TIMEOUT_OUT_OF_RANGE
  return deadline(Math.ceil(timeoutMs), nowMs)
}

/**
 * Argument `i`, milliseconds, as a deadline; BLOCK_FOREVER for 0.
 *
 * @throws TIMEOUT_NOT_AN_INTEGER, TIMEOUT_NEGATIVE, TIMEOUT_OUT_OF_RANGE
 */
export function deadlineInMs(args: Args, i: number, nowMs: number): number {
  return deadline(args.integer(i, TIMEOUT_NOT_AN_INTEGER), nowMs)
}

function deadline(timeoutMs: number, nowMs: number): number {
  if (timeoutMs < 0) throw TIMEOUT_NEGATIVE
  if (timeoutMs === 0) return BLOCK_FOREVER
  if (timeoutMs >= TIME_END_MS - nowMs) throw TIMEOUT_OUT_OF_RANGE
  return timeoutMs + nowMs
}

/** Seconds in any form that a long double may be written in, as ms. */
function fractionMs(text: string): number {
  const value = parseLongDouble(text)
  if (value === null) throw TIMEOUT_NOT_A_FLOAT
  if (!isFiniteLongDouble(value)) return value
  const sign = value.negative ? -1 : 1
  const seconds = Number(value.mantissa) * 2 ** value.exponent
  // What is too small for a double is still a timeout, of the shortest kind.
  return sign * (seconds === 0 && value.mantissa !== 0n ? Number.MIN_VALUE : seconds * 1000)
}

/**
 * Parks the running client on `keyCount` keys from argument `firstKey` on, until one holds a value of `type` (one of
 * BlockedOn). Where blocking is not allowed (MULTI, scripts) the time is over at once, even if it is endless: null.
 */
export function blockOrReply(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  firstKey: number,
  keyCount: number,
  type: number,
  deadlineMs: number,
): void {
  if (ctx.mayBlock) ctx.server.waiting.block(ctx.session, args, firstKey, keyCount, type, deadlineMs, false)
  else reply.nilArray()
}
