/**
 * ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX | COUNT] [WITHSCORES]
 * ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX | COUNT]
 *
 * Members that are in at least one sorted set or set, with their scores put together: returned or stored.
 *
 * Reply: ZUNION an array of members (and scores); ZUNIONSTORE how many were stored; none deletes the destination.
 * Errors: see zset-operands.ts.
 * Source: Valkey src/t_zset.c `zunionInterDiffGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { inputKeyNeeded } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Dict, DictStride, NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import {
  bySize,
  combine,
  eachMember,
  newResult,
  OperandOption,
  type Operation,
  parseOperation,
  putResult,
  replyResult,
  storeSmallest,
  weighted,
} from './zset-operands.ts'

const COMPLEXITY =
  'O(N)+O(M*log(M)) where N is the number of members of all inputs and M the number of members of the result.'

export const zunion = defineCommand({
  name: 'zunion',
  summary: 'Returns the union of sorted sets and sets.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: zunionHandler,
})

export const zunionstore = defineCommand({
  name: 'zunionstore',
  summary: 'Stores the union of sorted sets and sets in a key.',
  group: 'sorted-set',
  since: '2.0.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyCountAt(2, 'RO', 'access')],
  handler: zunionstoreHandler,
})

const KEY_NEEDED_ZUNION = inputKeyNeeded('zunion')
const KEY_NEEDED_ZUNIONSTORE = inputKeyNeeded('zunionstore')

const member = new Element()

function zunionHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const allowed = OperandOption.Weights | OperandOption.WithScores
  const operation = parseOperation(ctx, args, 1, allowed, KEY_NEEDED_ZUNION)
  replyResult(reply, unite(ctx, operation), operation.withScores)
}

function zunionstoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operation = parseOperation(ctx, args, 2, OperandOption.Weights, KEY_NEEDED_ZUNIONSTORE)
  storeSmallest(ctx, args, unite(ctx, operation), 'zunionstore', reply)
}

/** The union as a sorted set of its own, in `ctx.targetZset`, which the caller stores or frees. */
function unite(ctx: CommandContext, operation: Operation): ZsetView {
  // Scores are put together first and ordered afterwards, once for each member.
  const sums = new Dict(ctx.arena, DictStride.Map, ctx.keyspace.seed)
  for (const operand of bySize(operation.operands)) {
    eachMember(ctx, operand, member, (score) => {
      addScore(sums, weighted(score, operand.weight, operation.aggregate), operation)
      return true
    })
  }
  const result = newResult(ctx)
  for (let row = 0; row < sums.size; row++) {
    member.showBlock(ctx.arena, sums.keyRef(row))
    putResult(ctx, result, member, sums.value(row))
  }
  sums.clear()
  return result
}

function addScore(sums: Dict, score: number, operation: Operation): void {
  member.spell()
  const { buffer, start, length } = member
  const row = sums.find(buffer, start, length)
  if (row === NO_ROW) sums.setValue(sums.insert(buffer, start, length), score)
  else sums.setValue(row, combine(sums.value(row), score, operation.aggregate))
}
