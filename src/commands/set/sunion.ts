/**
 * SUNION key [key ...]
 * SUNIONSTORE destination key [key ...]
 * SUNIONCARD numkeys key [key ...] [APPROX] [LIMIT limit]
 *
 * Members that are in at least one set: returned, stored, or counted (up to a limit). APPROX estimates how many they are
 * by a HyperLogLog: in little memory, however many there are.
 *
 * Reply: SUNION a set, the others an integer. An empty result of SUNIONSTORE deletes the destination.
 * Errors: SUNIONCARD numkeys, then options; WRONGTYPE of any key.
 * Source: Valkey src/t_set.c `sunionDiffGenericCommand`; redis.io/commands/sunioncard (8.10).
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import { emptyHyperLogLog, HyperLogLog } from '../../structures/hyperloglog.ts'
import type { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { openSet } from './set-access.ts'
import {
  CardinalityForm,
  createResult,
  NO_LIMIT,
  type Operand,
  parseCardinality,
  readOperands,
  sizeOf,
  storeResult,
  upTo,
} from './set-operands.ts'

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

export const sunioncard = defineCommand({
  name: 'sunioncard',
  summary: 'Returns the size of the union of sets, counted up to a limit, or an estimate of it.',
  group: 'set',
  since: '8.10.0',
  complexity: 'O(N) where N is the number of members of all sets.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.Set,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: sunioncardHandler,
})

/** Sparse HyperLogLogs are made dense at once: most unions are not tiny. */
const SPARSE_BYTES_MAX = 0

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

function sunioncardHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { keyCount, limit, isApproximate } = parseCardinality(args, CardinalityForm.MayApproximate)
  const operands = readOperands(ctx, args, 2, keyCount).filter(({ size }) => size > 0)
  const only = operands[0]
  if (operands.length === 1 && only !== undefined) {
    reply.integer(upTo(limit, only.size))
  } else if (isApproximate) {
    reply.integer(upTo(limit, estimateUnion(ctx, operands)))
  } else {
    const result = unite(ctx, operands, limit)
    reply.integer(result.size())
    result.free()
  }
}

/** How many members the union has, by a HyperLogLog. O(members) */
function estimateUnion(ctx: CommandContext, operands: readonly Operand[]): number {
  const hll = new HyperLogLog(ctx.arena)
  hll.open(emptyHyperLogLog(ctx.arena), SPARSE_BYTES_MAX)
  for (const { row } of operands) {
    openSet(ctx.db, row, ctx.set)
    const cursor = ctx.set.walk()
    while (cursor.advance(member)) {
      member.spell()
      hll.add(member.buffer, member.start, member.length)
    }
  }
  const estimate = hll.count()
  ctx.arena.free(hll.ref)
  return estimate
}

/** The union as a set of its own, which the caller stores or frees; at a limit it ends. O(members) */
function unite(ctx: CommandContext, operands: readonly Operand[], limit: number = NO_LIMIT): SetView {
  const result = createResult(ctx, operands, sizeOf(operands))
  for (const { row } of operands) {
    openSet(ctx.db, row, ctx.set)
    const cursor = ctx.set.walk()
    while (cursor.advance(member)) {
      result.addElement(member, ctx.keyspace.limits)
      if (limit !== NO_LIMIT && result.size() === limit) return result
    }
  }
  return result
}
