/**
 * ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]
 * ZINCRBY key increment member
 *
 * Gives members of a sorted set their scores, or adds to the score of one.
 *
 * Reply: how many members are new (with CH: or got another score); with INCR the score, null when the options forbade
 * it. Errors, in this order: syntax; options that exclude each other; scores; WRONGTYPE; a sum that is not a number.
 * Source: Valkey src/t_zset.c `zaddGenericCommand`, `zsetAdd`. Hot path.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SCORE_NAN, SYNTAX_ERROR, ZADD_GT_LT_NX, ZADD_INCR_PAIRS, ZADD_XX_WITH_NX } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { PutFlag, PutResult } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { addZset, findZset, storeZset } from './zset-access.ts'

export const zadd = defineCommand({
  name: 'zadd',
  summary: 'Adds members to a sorted set or changes their scores, creating the sorted set if needed.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: 'O(log(N)) for each member, where N is the number of members of the sorted set.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'update'),
  handler: (ctx, args, reply) => addMembers(ctx, args, reply, 0),
})

export const zincrby = defineCommand({
  name: 'zincrby',
  summary: 'Adds to the score of a member of a sorted set, creating both if needed.',
  group: 'sorted-set',
  since: '1.2.0',
  complexity: 'O(log(N)) where N is the number of members of the sorted set.',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: (ctx, args, reply) => addMembers(ctx, args, reply, PutFlag.Increment),
})

/** Report changed scores, too; beside the bits of PutFlag. */
export const COUNT_CHANGED = 1 << 10

/** Scores of a call; grows as needed. */
let scores = new Float64Array(64)

/** What the call did so far, besides `ctx.zset.score`. */
const outcome = { added: 0, updated: 0, refused: 0 }

function addMembers(ctx: CommandContext, args: Args, reply: ReplySink, implied: number): void {
  let flags = implied
  let first = 2
  for (let option = optionAt(args, first); option !== 0; option = optionAt(args, first)) {
    flags |= option
    first++
  }
  const pairs = (args.count - first) / 2
  checkOptions(flags, pairs)
  parseScores(args, first, pairs)
  addScored(ctx, args, reply, { first: first + 1, stride: 2, count: pairs }, flags)
}

/** Where members stand in a call: at argument `first` and every `stride` further, `count` of them. */
export interface MemberArguments {
  readonly first: number
  readonly stride: number
  readonly count: number
}

/** Room for the scores of that many members, which `addScored` takes. */
export function scoresFor(count: number): Float64Array {
  if (scores.length < count) scores = new Float64Array(count * 2)
  return scores
}

/** Gives members the scores that are in `scoresFor`; `flags` are those of PutFlag and COUNT_CHANGED. */
export function addScored(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  members: MemberArguments,
  flags: number,
): void {
  const { first, count } = members
  const row = findZset(ctx, args, 1)
  const zset = ctx.zset
  const limits = ctx.keyspace.limits
  if (row !== NO_ROW) zset.expect(count, limits)
  else if ((flags & PutFlag.Present) !== 0) {
    if ((flags & PutFlag.Increment) !== 0) reply.nil()
    else reply.integer(0)
    return
  } else zset.create(count, args.length(first), limits)

  const isNumber = putMembers(ctx, args, members, flags)
  if (row === NO_ROW) addZset(ctx, args, 1, zset)
  else storeZset(ctx.db, row, zset)
  if (!isNumber) throw SCORE_NAN

  const { added, updated } = outcome
  const changes = added + updated
  const isIncrement = (flags & PutFlag.Increment) !== 0
  if (changes > 0) {
    ctx.changed(args, 1, Notify.Zset, isIncrement ? 'zincr' : 'zadd')
    if (changes > 1) ctx.markDirty(changes - 1)
  }
  if (!isIncrement) reply.integer((flags & COUNT_CHANGED) !== 0 ? changes : added)
  else if (outcome.refused > 0) reply.nil()
  else reply.double(zset.score)
}

/** Counts in `outcome`. Returns false when a sum of scores is not a number; only a call for one member sums. */
function putMembers(ctx: CommandContext, args: Args, members: MemberArguments, flags: number): boolean {
  const zset = ctx.zset
  const limits = ctx.keyspace.limits
  outcome.added = 0
  outcome.updated = 0
  outcome.refused = 0
  for (let n = 0; n < members.count; n++) {
    const i = members.first + n * members.stride
    switch (zset.put(args.buffer, args.start(i), args.length(i), scores[n]!, flags, limits)) {
      case PutResult.Added:
        outcome.added++
        break
      case PutResult.Updated:
        outcome.updated++
        break
      case PutResult.Refused:
        outcome.refused++
        break
      case PutResult.NotANumber:
        return false
    }
  }
  return true
}

/** The flag of the option in argument `i`, 0 when it is none. */
function optionAt(args: Args, i: number): number {
  // Scores are no words: most calls end here.
  if (i >= args.count || args.buffer[args.start(i)]! < LETTER_MIN) return 0
  if (args.is(i, 'NX')) return PutFlag.Absent
  if (args.is(i, 'XX')) return PutFlag.Present
  if (args.is(i, 'CH')) return COUNT_CHANGED
  if (args.is(i, 'INCR')) return PutFlag.Increment
  if (args.is(i, 'GT')) return PutFlag.Greater
  if (args.is(i, 'LT')) return PutFlag.Less
  return 0
}

/** @param pairs not an integer when a member is missing */
function checkOptions(flags: number, pairs: number): void {
  if (pairs < 1 || !Number.isInteger(pairs)) throw SYNTAX_ERROR
  const isAbsent = (flags & PutFlag.Absent) !== 0
  if (isAbsent && (flags & PutFlag.Present) !== 0) throw ZADD_XX_WITH_NX
  const bounds = flags & (PutFlag.Greater | PutFlag.Less)
  if ((isAbsent && bounds !== 0) || bounds === (PutFlag.Greater | PutFlag.Less)) throw ZADD_GT_LT_NX
  if ((flags & PutFlag.Increment) !== 0 && pairs > 1) throw ZADD_INCR_PAIRS
}

/** All scores are read before one member is added. @throws NOT_A_FLOAT */
function parseScores(args: Args, first: number, pairs: number): void {
  const parsed = scoresFor(pairs)
  for (let n = 0; n < pairs; n++) parsed[n] = args.double(first + n * 2)
}

/** The lowest code of an ASCII letter. */
const LETTER_MIN = 65
