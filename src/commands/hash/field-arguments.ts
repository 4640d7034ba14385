/**
 * `FIELDS numfields field …` and expire times of fields, as the commands of hash-field expiration take them.
 *
 * The texts of errors differ between commands as they do in Redis. Source: Valkey src/t_hash.c (Redis 7.4)
 * `hexpireGenericCommand`, `httlGenericCommand`, `hpersistCommand`; redis.io/commands/hsetex.
 */
import { FIELD_TIME_MAX } from '../../persistence/rdb/read-collections.ts'
import type { Args } from '../../resp/args.ts'
import {
  EXPIRE_TIME_NEGATIVE,
  FIELDS_MISSING,
  invalidExpireTime,
  NUMFIELDS_MISMATCH,
  type ReplyError,
} from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import { TimeUnit } from '../expire-time.ts'
import { recordTime } from '../record-expire-time.ts'
import { ExpireOption, isPointInTime } from '../string/expire-option.ts'

/** The latest expire time that clients may give a field, in ms. */
const GIVEN_TIME_MAX = 2 ** 46 - 1

/**
 * Reads `FIELDS numfields` at argument `at`, behind which nothing but fields may come. Returns where they begin.
 *
 * @param countError for a number that is none, or less than 1
 */
export function fieldsAt(args: Args, at: number, countError: ReplyError): number {
  if (at >= args.count || !args.is(at, 'FIELDS')) throw FIELDS_MISSING
  if (at + 1 >= args.count) throw countError
  const count = args.integer(at + 1, countError)
  if (count < 1) throw countError
  if (count !== args.count - at - 2) throw NUMFIELDS_MISMATCH
  return at + 2
}

/**
 * Argument `i` as an expire time of fields, in ms since 1970; it may lie in the past. What is replayed may be as late as
 * a file or a payload may say, from which the field may have it.
 *
 * @param unitMs one of TimeUnit
 * @param baseMs what the argument counts from
 * @param name of the command, for the error
 * @throws NOT_AN_INTEGER, EXPIRE_TIME_NEGATIVE, invalid expire time
 */
export function fieldExpireTime(
  ctx: CommandContext,
  args: Args,
  i: number,
  unitMs: number,
  baseMs: number,
  name: string,
): number {
  const value = args.safeInteger(i)
  // Beyond 53 bits: too late or too early in any unit.
  const given = Number.isNaN(value) ? Number(args.int64(i)) : value
  if (given < 0) throw EXPIRE_TIME_NEGATIVE
  const time = given * unitMs + baseMs
  if (time > (ctx.session.isReplay ? FIELD_TIME_MAX : GIVEN_TIME_MAX)) throw invalidExpireTime(name)
  return time
}

/** As `fieldExpireTime`, for the time behind EX, PX, EXAT or PXAT. */
export function fieldTimeOfOption(
  ctx: CommandContext,
  args: Args,
  i: number,
  option: ExpireOption,
  name: string,
): number {
  const unitMs = option === ExpireOption.Ex || option === ExpireOption.ExAt ? TimeUnit.Seconds : TimeUnit.Milliseconds
  return fieldExpireTime(ctx, args, i, unitMs, isPointInTime(option) ? 0 : ctx.now, name)
}

/** Records that the fields in arguments `first` … `end - 1` of the key in argument 1 now expire at `timeMs`. */
export function recordFieldTimes(ctx: CommandContext, args: Args, timeMs: number, first: number, end: number): void {
  const { journal } = ctx
  journal.begin(ctx.db.index, 5 + end - first)
  journal.text('HPEXPIREAT')
  journal.arg(args, 1)
  recordTime(journal, timeMs)
  recordFieldNames(ctx, args, first, end)
}

/** Writes `FIELDS numfields field …` as values of the effect that was begun. */
export function recordFieldNames(ctx: CommandContext, args: Args, first: number, end: number): void {
  const { journal } = ctx
  journal.text('FIELDS')
  journal.integer(end - first)
  for (let i = first; i < end; i++) journal.arg(args, i)
}

/** Records the deletion of the field in argument `i` of the key in argument 1. */
export function recordFieldDeletion(ctx: CommandContext, args: Args, i: number): void {
  ctx.journal.begin(ctx.db.index, 3)
  ctx.journal.text('HDEL')
  ctx.journal.arg(args, 1)
  ctx.journal.arg(args, i)
}
