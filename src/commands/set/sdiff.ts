/**
 * SDIFF key [key ...]
 * SDIFFSTORE destination key [key ...]
 * SDIFFCARD numkeys key [key ...] [LIMIT limit]
 *
 * Members of the first set that are in no other one: returned, stored, or counted (up to a limit).
 *
 * Reply: SDIFF a set, the others an integer. An empty result of SDIFFSTORE deletes the destination.
 * Errors: SDIFFCARD numkeys, then options; WRONGTYPE of any key.
 * Source: Valkey src/t_set.c `sunionDiffGenericCommand`; redis.io/commands/sdiffcard (8.10).
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { openSet } from './set-access.ts'
import {
  CardinalityForm,
  createResult,
  freeIndexes,
  indexOperands,
  NO_LIMIT,
  type Operand,
  operandHas,
  parseCardinality,
  readOperands,
  sizeOf,
  storeResult,
  upTo,
} from './set-operands.ts'

export const sdiff = defineCommand({
  name: 'sdiff',
  summary: 'Returns the difference between the first set and all others.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of members of all sets.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Set,
  keys: [keyRange(1, -1, 1, 'RO', 'access')],
  tips: ['nondeterministic_output_order'],
  handler: sdiffHandler,
})

export const sdiffstore = defineCommand({
  name: 'sdiffstore',
  summary: 'Stores the difference between the first set and all others in a key.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of members of all sets.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Set,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyRange(2, -1, 1, 'RO', 'access')],
  handler: sdiffstoreHandler,
})

export const sdiffcard = defineCommand({
  name: 'sdiffcard',
  summary: 'Returns the size of the difference between the first set and all others, counted up to a limit.',
  group: 'set',
  since: '8.10.0',
  complexity: 'O(N) where N is the number of members of all sets.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.Set,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: sdiffcardHandler,
})

const member = new Element()

function sdiffHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operands = readOperands(ctx, args, 1, args.count - 1)
  if (isLookedUp(operands)) {
    const mark = reply.begin()
    let shown = 0
    forEachUnlisted(ctx, operands, () => {
      replyElement(reply, member)
      shown++
      return true
    })
    reply.closeSet(mark, shown)
    return
  }
  const result = subtract(ctx, operands)
  reply.set(result.size())
  const cursor = result.walk()
  while (cursor.advance(member)) replyElement(reply, member)
  result.free()
}

function sdiffstoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const result = subtract(ctx, readOperands(ctx, args, 2, args.count - 2))
  storeResult(ctx, args, result, 'sdiffstore', reply)
}

function sdiffcardHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { keyCount, limit } = parseCardinality(args, CardinalityForm.Exact)
  const result = subtract(ctx, readOperands(ctx, args, 2, keyCount), limit)
  reply.integer(upTo(limit, result.size()))
  result.free()
}

/** The difference as a set of its own, which the caller stores or frees; it may end at a limit. */
function subtract(ctx: CommandContext, operands: readonly Operand[], limit: number = NO_LIMIT): SetView {
  const first = operands[0]!
  const result = createResult(ctx, [first], first.size)
  if (isLookedUp(operands)) {
    forEachUnlisted(ctx, operands, () => {
      result.addElement(member, ctx.keyspace.limits)
      return limit === NO_LIMIT || result.size() < limit
    })
  } else removeListed(ctx, result, operands)
  return result
}

/** Looking each member up in every other set costs about half of removing all other members from a copy. */
function isLookedUp(operands: readonly Operand[]): boolean {
  const others = operands.filter(({ size }, i) => i > 0 && size > 0)
  return (operands[0]!.size * (others.length + 1)) / 2 <= sizeOf(operands)
}

/** Shows those members of the first set that are in no other one, until `visit` returns false. O(first × others) */
function forEachUnlisted(ctx: CommandContext, operands: readonly Operand[], visit: () => boolean): void {
  const [first, ...rest] = operands
  // The largest first: most of what is listed is there.
  const others = rest.filter(({ size }) => size > 0).sort((a, b) => b.size - a.size)
  if (first!.row === NO_ROW || others.some((other) => other.row === first!.row)) return
  indexOperands(ctx, others, first!.size)
  openSet(ctx.db, first!.row, ctx.set)
  const cursor = ctx.set.walk()
  let isWanted = true
  while (isWanted && cursor.advance(member)) {
    let isListed = false
    for (let i = 0; i < others.length && !isListed; i++) isListed = operandHas(ctx, others[i]!, member)
    if (!isListed) isWanted = visit()
  }
  freeIndexes(others)
}

/** Copies the first set and removes the members of the others. O(members) */
function removeListed(ctx: CommandContext, result: SetView, operands: readonly Operand[]): void {
  const [first, ...others] = operands
  if (first!.row === NO_ROW || others.some((other) => other.row === first!.row)) return
  openSet(ctx.db, first!.row, ctx.set)
  const copied = ctx.set.walk()
  while (copied.advance(member)) result.addElement(member, ctx.keyspace.limits)
  for (const { row } of others) {
    if (result.size() === 0) return
    openSet(ctx.db, row, ctx.set)
    const cursor = ctx.set.walk()
    while (cursor.advance(member)) result.removeElement(member)
  }
}
