/**
 * ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX | COUNT] [WITHSCORES]
 * ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX | COUNT]
 * ZINTERCARD numkeys key [key ...] [LIMIT limit]
 *
 * Members that are in all sorted sets and sets, with their scores put together: returned, stored, or counted.
 *
 * Reply: ZINTER an array of members (and scores); ZINTERSTORE how many were stored, none deletes the destination;
 * ZINTERCARD an integer. Errors: see zset-operands.ts.
 * Source: Valkey src/t_zset.c `zunionInterDiffGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { inputKeyNeeded } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import {
  Aggregate,
  bySize,
  combine,
  eachMember,
  newResult,
  type Operand,
  OperandOption,
  type Operation,
  parseOperation,
  putResult,
  replyResult,
  scoreIn,
  storeSmallest,
  weighted,
} from './zset-operands.ts'

const COMPLEXITY =
  'O(N*K)+O(M*log(M)) at worst, where N is the size of the smallest input, K the number of inputs and M the size of the result.'

export const zinter = defineCommand({
  name: 'zinter',
  summary: 'Returns the intersection of sorted sets and sets.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: zinterHandler,
})

export const zinterstore = defineCommand({
  name: 'zinterstore',
  summary: 'Stores the intersection of sorted sets and sets in a key.',
  group: 'sorted-set',
  since: '2.0.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyCountAt(2, 'RO', 'access')],
  handler: zinterstoreHandler,
})

export const zintercard = defineCommand({
  name: 'zintercard',
  summary: 'Returns the size of the intersection of sorted sets and sets, counted up to a limit.',
  group: 'sorted-set',
  since: '7.0.0',
  complexity: 'O(N*K) at worst, where N is the size of the smallest input and K the number of inputs.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: zintercardHandler,
})

const KEY_NEEDED_ZINTER = inputKeyNeeded('zinter')
const KEY_NEEDED_ZINTERSTORE = inputKeyNeeded('zinterstore')
const KEY_NEEDED_ZINTERCARD = inputKeyNeeded('zintercard')

const member = new Element()

function zinterHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const allowed = OperandOption.Weights | OperandOption.WithScores
  const operation = parseOperation(ctx, args, 1, allowed, KEY_NEEDED_ZINTER)
  replyResult(reply, intersect(ctx, operation), operation.withScores)
}

function zinterstoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operation = parseOperation(ctx, args, 2, OperandOption.Weights, KEY_NEEDED_ZINTERSTORE)
  storeSmallest(ctx, args, intersect(ctx, operation), 'zinterstore', reply)
}

function zintercardHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operation = parseOperation(ctx, args, 1, OperandOption.Limit, KEY_NEEDED_ZINTERCARD)
  let count = 0
  eachInAll(ctx, operation, () => ++count !== operation.limit)
  reply.integer(count)
}

/** The intersection as a sorted set of its own, in `ctx.targetZset`, which the caller stores or frees. */
function intersect(ctx: CommandContext, operation: Operation): ZsetView {
  const result = newResult(ctx)
  eachInAll(ctx, operation, (score) => {
    putResult(ctx, result, member, score)
    return true
  })
  return result
}

/** Calls `visit` for each member of the intersection, with its score, until it returns false. */
function eachInAll(ctx: CommandContext, operation: Operation, visit: (score: number) => boolean): void {
  const operands = bySize(operation.operands)
  const smallest = operands[0]!
  eachMember(ctx, smallest, member, (own) => {
    let score = weighted(own, smallest.weight, operation.aggregate)
    for (let i = 1; i < operands.length; i++) {
      const other = scoreOrOwn(ctx, operands[i]!, smallest, own)
      if (Number.isNaN(other)) return true
      const { weight } = operands[i]!
      const share = operation.aggregate === Aggregate.Count ? weight : other * weight
      score = combine(score, share, operation.aggregate)
    }
    return visit(score)
  })
}

/** The member's score in an operand; the smallest one, given again, is not looked up. */
function scoreOrOwn(ctx: CommandContext, operand: Operand, smallest: Operand, own: number): number {
  return operand.row === smallest.row ? own : scoreIn(ctx, operand, member)
}
