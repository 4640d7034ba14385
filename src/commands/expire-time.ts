/**
 * Expire times as arguments: lifetimes and points in time, in seconds or milliseconds.
 *
 * Checked to the last bit of a signed 64-bit integer, as Redis does. A time is kept as a double: exact up to the year
 * 287396; later ones are rounded, and never up to 2^63, so that what is recorded can be read again.
 * Source: Valkey src/t_string.c `getExpireMillisecondsOrReply`, src/expire.c `expireGenericCommand`.
 */
import { INT64_MAX, INT64_MIN } from '../bytes/integer.ts'
import type { Args } from '../resp/args.ts'
import { invalidExpireTime } from '../resp/errors.ts'
import type { ReplySink } from '../resp/reply.ts'

/** Milliseconds of the unit in which a time is given. */
export const TimeUnit = { Seconds: 1000, Milliseconds: 1 } as const

/** The greatest double below 2^63. */
const TIME_MAX = 2 ** 63 - 1024

/**
 * Argument `i` as an absolute time in ms; it may lie in the past.
 *
 * @param unitMs one of TimeUnit
 * @param baseMs what the argument counts from: 0 for a point in time, the current time for a lifetime
 * @param name of the command, for the error
 * @throws NOT_AN_INTEGER, or invalid expire time when it overflows
 */
export function expireTime(args: Args, i: number, unitMs: number, baseMs: number, name: string): number {
  const time = args.safeInteger(i) * unitMs + baseMs
  return Number.isSafeInteger(time) ? time : bigExpireTime(args, i, unitMs, baseMs, name)
}

/** As `expireTime`, for commands that refuse a time that is not positive (SET, GETEX). */
export function positiveExpireTime(args: Args, i: number, unitMs: number, baseMs: number, name: string): number {
  const time = expireTime(args, i, unitMs, baseMs, name)
  if (time - baseMs <= 0) throw invalidExpireTime(name)
  return time
}

/** Replies a time or a duration in ms. */
export function replyTime(reply: ReplySink, time: number): void {
  if (Number.isSafeInteger(time)) reply.integer(time)
  else reply.bigInteger(BigInt(time))
}

function bigExpireTime(args: Args, i: number, unitMs: number, baseMs: number, name: string): number {
  const unit = BigInt(unitMs)
  const value = args.int64(i)
  if (value > INT64_MAX / unit || value < INT64_MIN / unit) throw invalidExpireTime(name)
  const time = value * unit + BigInt(baseMs)
  if (time > INT64_MAX) throw invalidExpireTime(name)
  return Math.min(Number(time), TIME_MAX)
}
