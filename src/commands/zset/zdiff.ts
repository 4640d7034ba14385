/**
 * ZDIFF numkeys key [key ...] [WITHSCORES]
 * ZDIFFSTORE destination numkeys key [key ...]
 *
 * Members of the first sorted set or set that are in none of the others: returned or stored.
 *
 * Reply: ZDIFF an array of members (and scores); ZDIFFSTORE how many were stored; none deletes the destination.
 * Errors: see zset-operands.ts.
 * Source: Valkey src/t_zset.c `zunionInterDiffGenericCommand`, `zsetChooseDiffAlgorithm`.
 */
import type { Args } from '../../resp/args.ts'
import { inputKeyNeeded } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import {
  eachMember,
  newResult,
  type Operand,
  OperandOption,
  parseOperation,
  putResult,
  replyResult,
  scoreIn,
  storeSmallest,
} from './zset-operands.ts'

const COMPLEXITY =
  'O(L + (N-K)*log(N)) at worst, where L is the number of members of all inputs, N of the first one and K of the result.'

export const zdiff = defineCommand({
  name: 'zdiff',
  summary: 'Returns the difference between a sorted set and others.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyCountAt(1, 'RO', 'access')],
  handler: zdiffHandler,
})

export const zdiffstore = defineCommand({
  name: 'zdiffstore',
  summary: 'Stores the difference between a sorted set and others in a key.',
  group: 'sorted-set',
  since: '6.2.0',
  complexity: COMPLEXITY,
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyCountAt(2, 'RO', 'access')],
  handler: zdiffstoreHandler,
})

const KEY_NEEDED_ZDIFF = inputKeyNeeded('zdiff')
const KEY_NEEDED_ZDIFFSTORE = inputKeyNeeded('zdiffstore')

const member = new Element()

function zdiffHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operation = parseOperation(ctx, args, 1, OperandOption.WithScores, KEY_NEEDED_ZDIFF)
  replyResult(reply, subtract(ctx, operation.operands), operation.withScores)
}

function zdiffstoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operation = parseOperation(ctx, args, 2, 0, KEY_NEEDED_ZDIFFSTORE)
  storeSmallest(ctx, args, subtract(ctx, operation.operands), 'zdiffstore', reply)
}

/** The difference as a sorted set of its own, in `ctx.targetZset`, which the caller stores or frees. */
function subtract(ctx: CommandContext, operands: readonly Operand[]): ZsetView {
  const result = newResult(ctx)
  const [first, ...others] = operands as readonly [Operand, ...Operand[]]
  if (others.some((other) => other.row === first.row)) return result
  // Either each member of the first is looked up in all others, or all members of the others are removed from a copy
  // of the first. Looking up is cheaper by half, as members that are not in the result are never put there.
  const lookups = (first.size * operands.length) / 2
  const walks = operands.reduce((sum, operand) => sum + operand.size, 0)
  if (lookups <= walks) putMissing(ctx, first, others, result)
  else removeOthers(ctx, first, others, result)
  return result
}

function putMissing(ctx: CommandContext, first: Operand, others: readonly Operand[], result: ZsetView): void {
  // The biggest first: it is the likeliest to have a member.
  const biggestFirst = [...others].sort((a, b) => b.size - a.size)
  eachMember(ctx, first, member, (score) => {
    if (biggestFirst.every((other) => Number.isNaN(scoreIn(ctx, other, member)))) putResult(ctx, result, member, score)
    return true
  })
}

function removeOthers(ctx: CommandContext, first: Operand, others: readonly Operand[], result: ZsetView): void {
  eachMember(ctx, first, member, (score) => {
    putResult(ctx, result, member, score)
    return true
  })
  for (const other of others) {
    eachMember(ctx, other, member, () => {
      result.removeElement(member)
      return result.size() > 0
    })
  }
}
