/**
 * SINTER key [key ...]
 * SINTERSTORE destination key [key ...]
 * SINTERCARD numkeys key [key ...] [LIMIT limit]
 *
 * Members that are in all sets: returned, stored, or counted (up to a limit).
 *
 * Reply: SINTER a set; SINTERSTORE and SINTERCARD an integer. An empty result of SINTERSTORE deletes the destination.
 * Errors: SINTERCARD numkeys, then LIMIT and syntax; WRONGTYPE of any key, even behind a missing one.
 * Source: Valkey src/t_set.c `sinterGenericCommand`, `sinterCardCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import { Kind } from '../../structures/kind.ts'
import { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { openSet } from './set-access.ts'
import {
  CardinalityForm,
  freeIndexes,
  indexOperands,
  type Operand,
  operandHas,
  parseCardinality,
  readOperands,
  storeResult,
} from './set-operands.ts'

export const sinter = defineCommand({
  name: 'sinter',
  summary: 'Returns the intersection of sets.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N*M) at worst, where N is the size of the smallest set and M the number of sets.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Set,
  keys: [keyRange(1, -1, 1, 'RO', 'access')],
  tips: ['nondeterministic_output_order'],
  handler: sinterHandler,
})

export const sinterstore = defineCommand({
  name: 'sinterstore',
  summary: 'Stores the intersection of sets in a key.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N*M) at worst, where N is the size of the smallest set and M the number of sets.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Set,
  keys: [keyRange(1, 0, 1, 'RW', 'update'), keyRange(2, -1, 1, 'RO', 'access')],
  handler: sinterstoreHandler,
})

export const sintercard = defineCommand({
  name: 'sintercard',
  summary: 'Returns the size of the intersection of sets, counted up to a limit.',
  group: 'set',
  since: '7.0.0',
  complexity: 'O(N*M) at worst, where N is the size of the smallest set and M the number of sets.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.Set,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: sintercardHandler,
})

const member = new Element()

function sinterHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operands = bySize(readOperands(ctx, args, 1, args.count - 1))
  const mark = reply.begin()
  let shown = 0
  const smallest = openSmallest(ctx, operands)
  while (smallest.advance(member)) {
    if (!isInAll(ctx, operands)) continue
    replyElement(reply, member)
    shown++
  }
  freeIndexes(operands)
  reply.closeSet(mark, shown)
}

function sinterstoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operands = bySize(readOperands(ctx, args, 2, args.count - 2))
  const limits = ctx.keyspace.limits
  const result = new SetView(ctx.arena, ctx.keyspace.seed)
  const smallest = openSmallest(ctx, operands)
  // Appending to a packed block is cheaper than sorting into an intset, unless the members come sorted.
  if (ctx.set.kind === Kind.SetIntset) result.createIntset()
  else result.createPacked()
  while (smallest.advance(member)) if (isInAll(ctx, operands)) result.addElement(member, limits)
  freeIndexes(operands)
  storeResult(ctx, args, result, 'sinterstore', reply)
}

function sintercardHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { keyCount, limit } = parseCardinality(args, CardinalityForm.Exact)
  const operands = bySize(readOperands(ctx, args, 2, keyCount))
  let count = 0
  const smallest = openSmallest(ctx, operands)
  while (smallest.advance(member)) {
    if (isInAll(ctx, operands) && ++count === limit) break
  }
  freeIndexes(operands)
  reply.integer(count)
}

/** The smallest first, so that the fewest members are looked up. */
function bySize(operands: Operand[]): Operand[] {
  return operands.sort((a, b) => a.size - b.size)
}

/** Opens the first operand as `ctx.set` and returns a cursor over it, whose members are to be looked up in the others. */
function openSmallest(ctx: CommandContext, operands: readonly Operand[]): ReturnType<SetView['walk']> {
  const [first, ...others] = operands
  indexOperands(ctx, others, first!.size)
  openSet(ctx.db, first!.row, ctx.set)
  return ctx.set.walk()
}

/** Whether the member is in all operands but the first, from which it comes. */
function isInAll(ctx: CommandContext, operands: readonly Operand[]): boolean {
  const row = operands[0]!.row
  for (let i = 1; i < operands.length; i++) {
    const other = operands[i]!
    if (other.row !== row && !operandHas(ctx, other, member)) return false
  }
  return true
}
