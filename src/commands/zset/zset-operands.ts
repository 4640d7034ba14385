/**
 * What ZUNION, ZINTER, ZDIFF and their relatives work on: sorted sets and sets, as rows of the database, with weights.
 *
 * Order of checks: the number of keys; all keys in turn; then the options. A set is a sorted set whose scores are 1.
 * Source: Valkey src/t_zset.c `zunionInterDiffGenericCommand`.
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { LIMIT_NEGATIVE, type ReplyError, SYNTAX_ERROR, WEIGHT_NOT_A_FLOAT } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { Element } from '../../structures/element.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { openSet } from '../set/set-access.ts'
import { Direction, pairShape, replyRanks, Shape } from './reply-members.ts'
import { openZset, storeResult } from './zset-access.ts'

/** One key of an operation; rows stay valid, as nothing is removed before the result is complete. */
export interface Operand {
  /** NO_ROW for a missing key, which is empty. */
  readonly row: number
  readonly isSet: boolean
  readonly size: number
  weight: number
}

/** How the scores of one member are put together. */
export const Aggregate = {
  Sum: 0,
  Min: 1,
  Max: 2,
  /** Not the scores: one for each sorted set that has the member, times its weight. */
  Count: 3,
} as const
export type Aggregate = (typeof Aggregate)[keyof typeof Aggregate]

/** Which options a command takes, as bits. */
export const OperandOption = {
  /** WEIGHTS and AGGREGATE. */
  Weights: 1,
  WithScores: 2,
  Limit: 4,
} as const

export const NO_LIMIT = 0

/** A parsed call. */
export interface Operation {
  readonly operands: Operand[]
  aggregate: Aggregate
  withScores: boolean
  /** Most members to count, NO_LIMIT for all. */
  limit: number
}

const SET_SCORE = 1

/**
 * Reads a call whose number of keys is argument `i`; `allowed` are bits of OperandOption.
 *
 * @throws NOT_AN_INTEGER, the given error for less than one key, SYNTAX_ERROR, WRONGTYPE, WEIGHT_NOT_A_FLOAT, LIMIT_NEGATIVE
 */
export function parseOperation(
  ctx: CommandContext,
  args: Args,
  i: number,
  allowed: number,
  keyNeeded: ReplyError,
): Operation {
  const count = args.integer(i)
  if (count < 1) throw keyNeeded
  if (count > args.count - i - 1) throw SYNTAX_ERROR
  const operands: Operand[] = []
  for (let key = i + 1; key <= i + count; key++) operands.push(readOperand(ctx, args, key))
  const operation: Operation = { operands, aggregate: Aggregate.Sum, withScores: false, limit: NO_LIMIT }
  for (let at = i + 1 + count; at < args.count; ) at = parseOption(args, at, allowed, operation)
  return operation
}

/** The smallest first, so that the fewest members are looked up. */
export function bySize(operands: Operand[]): Operand[] {
  return operands.sort((a, b) => a.size - b.size)
}

/** The score of a member in an operand, without its weight; NaN when it is absent. Uses `ctx.set` or `ctx.zset`. */
export function scoreIn(ctx: CommandContext, operand: Operand, member: Element): number {
  if (operand.row === NO_ROW) return Number.NaN
  if (operand.isSet) {
    openSet(ctx.db, operand.row, ctx.set)
    return ctx.set.hasElement(member) ? SET_SCORE : Number.NaN
  }
  openZset(ctx.db, operand.row, ctx.zset)
  return ctx.zset.scoreOfElement(member)
}

/** Calls `visit` for each member of an operand, shown in `member`, with its score, until it returns false. */
export function eachMember(
  ctx: CommandContext,
  operand: Operand,
  member: Element,
  visit: (score: number) => boolean,
): void {
  if (operand.row === NO_ROW) return
  if (operand.isSet) {
    openSet(ctx.db, operand.row, ctx.set)
    const members = ctx.set.walk()
    while (members.advance(member)) if (!visit(SET_SCORE)) return
    return
  }
  openZset(ctx.db, operand.row, ctx.zset)
  const members = ctx.zset.members
  for (let more = members.open(ctx.zset, 0, member); more; more = members.next(member)) {
    if (!visit(members.score)) return
  }
}

/** What an operand contributes for a member of this score: score times weight; infinity times zero is 0. */
export function weighted(score: number, weight: number, aggregate: Aggregate): number {
  if (aggregate === Aggregate.Count) return weight
  const product = score * weight
  return Number.isNaN(product) ? 0 : product
}

/** Puts two scores of one member together; infinities of both signs add up to 0. */
export function combine(a: number, b: number, aggregate: Aggregate): number {
  if (aggregate === Aggregate.Sum || aggregate === Aggregate.Count) {
    const sum = a + b
    return Number.isNaN(sum) ? 0 : sum
  }
  if (aggregate === Aggregate.Min) return b < a ? b : a
  return b > a ? b : a
}

/**
 * An empty result, in `ctx.targetZset`. It is big until it is stored: the packed form would make a 0 of -0, which a
 * weight can produce.
 */
export function newResult(ctx: CommandContext): ZsetView {
  ctx.targetZset.createBig()
  return ctx.targetZset
}

/** Puts a member into a result. */
export function putResult(ctx: CommandContext, result: ZsetView, member: Element, score: number): void {
  member.spell()
  result.put(member.buffer, member.start, member.length, score, 0, ctx.keyspace.limits)
}

/** Makes a result the value of the destination in argument 1 and replies its size. */
export function storeSmallest(
  ctx: CommandContext,
  args: Args,
  result: ZsetView,
  event: string,
  reply: ReplySink,
): void {
  result.becomePacked(ctx.keyspace.limits)
  storeResult(ctx, args, result, event, reply)
}

/** Replies a result in order, and frees it. */
export function replyResult(reply: ReplySink, result: ZsetView, withScores: boolean): void {
  const shape = withScores ? pairShape(reply) : Shape.Members
  replyRanks(reply, result, 0, result.size(), Direction.Up, shape)
  result.free()
}

function readOperand(ctx: CommandContext, args: Args, i: number): Operand {
  const { db } = ctx
  const row = db.readKind(args, i, KindMask.Zset | KindMask.Set)
  const isSet = row !== NO_ROW && (KindMask.Set & (1 << db.kind(row))) !== 0
  if (isSet) openSet(db, row, ctx.set)
  else openZset(db, row, ctx.zset)
  return { row, isSet, size: isSet ? ctx.set.size() : ctx.zset.size(), weight: 1 }
}

/** Reads the option in argument `at`. Returns where the next one is. */
function parseOption(args: Args, at: number, allowed: number, into: Operation): number {
  const left = args.count - at
  if ((allowed & OperandOption.Weights) !== 0 && left > into.operands.length && args.is(at, 'WEIGHTS')) {
    at++
    for (const operand of into.operands) operand.weight = args.double(at++, WEIGHT_NOT_A_FLOAT)
    return at
  }
  if ((allowed & OperandOption.Weights) !== 0 && left >= 2 && args.is(at, 'AGGREGATE')) {
    if (args.is(at + 1, 'SUM')) into.aggregate = Aggregate.Sum
    else if (args.is(at + 1, 'MIN')) into.aggregate = Aggregate.Min
    else if (args.is(at + 1, 'MAX')) into.aggregate = Aggregate.Max
    else if (args.is(at + 1, 'COUNT')) into.aggregate = Aggregate.Count
    else throw SYNTAX_ERROR
    return at + 2
  }
  if ((allowed & OperandOption.WithScores) !== 0 && args.is(at, 'WITHSCORES')) {
    into.withScores = true
    return at + 1
  }
  if ((allowed & OperandOption.Limit) !== 0 && left >= 2 && args.is(at, 'LIMIT')) {
    into.limit = args.integerIn(at + 1, 0, Number.POSITIVE_INFINITY, LIMIT_NEGATIVE)
    return at + 2
  }
  throw SYNTAX_ERROR
}
