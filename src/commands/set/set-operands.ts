/**
 * The sets that SINTER, SUNION, SDIFF and their relatives work on: looked up in order, as rows of the database.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { LIMIT_NEGATIVE, NUMKEYS_EXCEED_ARGS, NUMKEYS_NOT_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import { Kind } from '../../structures/kind.ts'
import { MemberIndex } from '../../structures/member-index.ts'
import { SetDict } from '../../structures/set.ts'
import { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { openSet, replaceBySet } from './set-access.ts'

/** No limit for what is counted. */
export const NO_LIMIT = 0

/** A number of members as far as it is counted. */
export function upTo(limit: number, count: number): number {
  return limit === NO_LIMIT ? count : Math.min(count, limit)
}

/** Up to so many members of a packed set are compared one by one in the time that a table takes. */
const FEW_MEMBERS = 16

const SPARE_INDEXES_MAX = 4

const indexed = new Element()
const spareIndexes: MemberIndex[] = []

/** What a command that counts members is asked for. */
export interface CardinalityRequest {
  /** How many keys follow argument 1. */
  readonly keyCount: number
  /** Up to where to count; NO_LIMIT: to the end. */
  readonly limit: number
  readonly isApproximate: boolean
}

/** Which commands know APPROX. */
export const CardinalityForm = { Exact: 0, MayApproximate: 1 } as const
export type CardinalityForm = (typeof CardinalityForm)[keyof typeof CardinalityForm]

/**
 * Reads `numkeys key [key ...] [APPROX] [LIMIT limit]` from argument 1 on.
 *
 * @throws NUMKEYS_NOT_POSITIVE, NUMKEYS_EXCEED_ARGS, SYNTAX_ERROR, LIMIT_NEGATIVE
 */
export function parseCardinality(args: Args, form: CardinalityForm): CardinalityRequest {
  const keyCount = args.integerIn(1, 1, Number.POSITIVE_INFINITY, NUMKEYS_NOT_POSITIVE)
  if (keyCount > args.count - 2) throw NUMKEYS_EXCEED_ARGS
  let limit: number = NO_LIMIT
  let isApproximate = false
  for (let i = 2 + keyCount; i < args.count; i++) {
    if (form === CardinalityForm.MayApproximate && args.is(i, 'APPROX')) {
      isApproximate = true
      continue
    }
    if (!args.is(i, 'LIMIT') || i + 1 >= args.count) throw SYNTAX_ERROR
    limit = args.integerIn(++i, 0, Number.POSITIVE_INFINITY, LIMIT_NEGATIVE)
  }
  return { keyCount, limit, isApproximate }
}

/** A set of an operation; rows stay valid, as nothing is removed before the result is complete. */
export interface Operand {
  /** NO_ROW for a missing key, which is an empty set. */
  readonly row: number
  readonly kind: number
  readonly size: number
  /** Its members again, where looking them up takes less time; see indexOperands. */
  index: MemberIndex | null
}

/**
 * Looks up `count` keys from argument `first` on. All of them are looked up before an empty one may end the command: a
 * key of another type is an error even behind a missing one.
 *
 * @throws WRONGTYPE
 */
export function readOperands(ctx: CommandContext, args: Args, first: number, count: number): Operand[] {
  const operands: Operand[] = []
  for (let i = first; i < first + count; i++) {
    const row = ctx.db.readKind(args, i, KindMask.Set)
    openSet(ctx.db, row, ctx.set)
    operands.push({ row, kind: ctx.set.kind, size: ctx.set.size(), index: null })
  }
  return operands
}

/** Members of all sets. */
export function sizeOf(operands: readonly Operand[]): number {
  return operands.reduce((sum, { size }) => sum + size, 0)
}

/** Whether a set has the element. Uses `ctx.set`. */
export function operandHas(ctx: CommandContext, { row, index }: Operand, element: Element): boolean {
  if (index !== null) return index.has(element)
  openSet(ctx.db, row, ctx.set)
  return ctx.set.hasElement(element)
}

/**
 * Prepares for `searches` calls of `operandHas`, at most, with each operand. A packed set is searched from its start: for
 * many searches its members are entered into a table first. `freeIndexes` has to follow.
 */
export function indexOperands(ctx: CommandContext, operands: readonly Operand[], searches: number): void {
  if (searches <= FEW_MEMBERS) return
  for (const operand of operands) {
    if (operand.kind !== Kind.SetPacked || operand.size <= FEW_MEMBERS) continue
    operand.index = spareIndexes.pop() ?? new MemberIndex()
    openSet(ctx.db, operand.row, ctx.set)
    const cursor = ctx.set.walk()
    while (cursor.advance(indexed)) operand.index.add(indexed)
  }
}

export function freeIndexes(operands: readonly Operand[]): void {
  for (const operand of operands) {
    const { index } = operand
    if (index === null) continue
    operand.index = null
    index.clear()
    if (spareIndexes.length < SPARE_INDEXES_MAX) spareIndexes.push(index)
  }
}

/** An empty set for up to `size` members of the operands, each of which is looked up before it is added. */
export function createResult(ctx: CommandContext, operands: readonly Operand[], size: number): SetView {
  const result = new SetView(ctx.arena, ctx.keyspace.seed)
  const isInteger = operands.every(({ row, kind }) => row === NO_ROW || kind === Kind.SetIntset)
  if (size <= FEW_MEMBERS || isInteger) result.createIntset()
  else result.openDict(new SetDict(ctx.arena, ctx.keyspace.seed))
  return result
}

/**
 * Makes the result the value of the destination in argument 1 and replies its size; an empty result deletes the
 * destination.
 */
export function storeResult(ctx: CommandContext, args: Args, result: SetView, event: string, reply: ReplySink): void {
  const size = result.size()
  if (size > 0) {
    const { limits } = ctx.keyspace
    result.becomeIntset(limits)
    result.becomePacked(limits)
    replaceBySet(ctx, args, 1, result)
    ctx.changed(args, 1, Notify.Set, event)
  } else {
    result.free()
    const row = ctx.db.find(args, 1)
    if (row !== NO_ROW) {
      ctx.db.remove(row)
      ctx.changed(args, 1, Notify.Generic, 'del')
    }
  }
  reply.integer(size)
}
