/**
 * SUNION key [key ...]
 * SUNIONSTORE destination key [key ...]
 *
 * Members that are in at least one set: returned or stored.
 *
 * Reply: SUNION a set, SUNIONSTORE an integer. An empty result of SUNIONSTORE deletes the destination.
 * Errors: WRONGTYPE of any key.
 * Source: Valkey src/t_set.c `sunionDiffGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { openSet } from './set-access.ts'
import { type Operand, readOperands, storeResult } from './set-operands.ts'

export const sunion = defineCommand({
  name: 'sunion',
  summary: 'Returns the union of sets.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of members of all sets.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Set,
  keys: [keyRange(1, -1, 1, 'RO', 'access')],
  tips: ['nondeterministic_output_order'],
  handler: sunionHandler,
})

export const sunionstore = defineCommand({
  name: 'sunionstore',
  summary: 'Stores the union of sets in a key.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of members of all sets.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Set,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyRange(2, -1, 1, 'RO', 'access')],
  handler: sunionstoreHandler,
})

const member = new Element()

function sunionHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const result = unite(ctx, readOperands(ctx, args, 1, args.count - 1))
  reply.set(result.size())
  const cursor = result.walk()
  while (cursor.advance(member)) replyElement(reply, member)
  result.free()
}

function sunionstoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const result = unite(ctx, readOperands(ctx, args, 2, args.count - 2))
  storeResult(ctx, args, result, 'sunionstore', reply)
}

/** The union as a set of its own, which the caller stores or frees. O(members) */
function unite(ctx: CommandContext, operands: readonly Operand[]): SetView {
  const result = new SetView(ctx.arena, ctx.keyspace.seed)
  result.createIntset()
  for (const { row } of operands) {
    openSet(ctx.db, row, ctx.set)
    const cursor = ctx.set.walk()
    while (cursor.advance(member)) result.addElement(member, ctx.keyspace.limits)
  }
  return result
}
