/**
 * ZMPOP numkeys key [key ...] MIN|MAX [COUNT count]
 *
 * Removes and returns members from an end of the first sorted set that exists. Recorded as ZPOPMIN or ZPOPMAX.
 *
 * Reply: array of the key and an array of pairs; an array's null when no key exists. Errors: numkeys or count not
 * positive; syntax; WRONGTYPE of a key that is looked at.
 * Source: Valkey src/t_zset.c `zmpopGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { COUNT_NOT_POSITIVE, NUMKEYS_NOT_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt } from '../define.ts'
import { Direction, Shape } from './reply-members.ts'
import { popMembers, recordPop } from './zpop.ts'
import { findZset } from './zset-access.ts'

const COUNT_NOT_GIVEN = -1

/** Arguments of ZMPOP and BZMPOP, parsed. Reused by every call. */
export interface MultiPop {
  /** Argument of the first key. */
  firstKey: number
  keyCount: number
  direction: Direction
  /** Most members to pop. */
  count: number
}

export const zmpop = defineCommand({
  name: 'zmpop',
  summary: 'Removes and returns members with the lowest or highest scores of the first sorted set that is not empty.',
  group: 'sorted-set',
  since: '7.0.0',
  complexity:
    'O(K) + O(M*log(N)) where K is the number of keys, N the number of members and M the number of members popped.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyCountAt(1, 'RW', 'access', 'delete')],
  handler: zmpopHandler,
})

const call: MultiPop = { firstKey: 0, keyCount: 0, direction: Direction.Up, count: 0 }

function zmpopHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseMultiPop(args, 1, call)
  if (!popFirst(ctx, args, call, reply)) reply.nilArray()
}

/** Parses from the number of keys, in argument `i`, on. @throws NUMKEYS_NOT_POSITIVE, COUNT_NOT_POSITIVE, SYNTAX_ERROR */
export function parseMultiPop(args: Args, i: number, into: MultiPop): void {
  into.firstKey = i + 1
  into.keyCount = args.integerIn(i, 1, Number.POSITIVE_INFINITY, NUMKEYS_NOT_POSITIVE)
  const endAt = i + 1 + into.keyCount
  if (endAt >= args.count) throw SYNTAX_ERROR
  if (args.is(endAt, 'MIN')) into.direction = Direction.Up
  else if (args.is(endAt, 'MAX')) into.direction = Direction.Down
  else throw SYNTAX_ERROR
  into.count = COUNT_NOT_GIVEN
  for (let at = endAt + 1; at < args.count; at += 2) {
    if (into.count !== COUNT_NOT_GIVEN || !args.is(at, 'COUNT') || at + 1 >= args.count) throw SYNTAX_ERROR
    into.count = args.integerIn(at + 1, 1, Number.POSITIVE_INFINITY, COUNT_NOT_POSITIVE)
  }
  if (into.count === COUNT_NOT_GIVEN) into.count = 1
}

/** Pops from the first sorted set that exists, replies and records it. Returns false when there is none. */
export function popFirst(ctx: CommandContext, args: Args, pop: MultiPop, reply: ReplySink): boolean {
  for (let i = pop.firstKey; i < pop.firstKey + pop.keyCount; i++) {
    const row = findZset(ctx, args, i)
    if (row === NO_ROW) continue
    const count = Math.min(pop.count, ctx.zset.size())
    reply.array(2)
    reply.bulk(args.buffer, args.start(i), args.length(i))
    reply.array(count)
    popMembers(ctx, args, i, row, count, pop.direction, Shape.Pairs, reply)
    recordPop(ctx, args, i, pop.direction, count)
    return true
  }
  return false
}
