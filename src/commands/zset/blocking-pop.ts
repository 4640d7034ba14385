/**
 * BZPOPMIN key [key ...] timeout
 * BZPOPMAX key [key ...] timeout
 * BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count]
 *
 * Pop from the first sorted set that exists, as ZPOPMIN, ZPOPMAX and ZMPOP do, or wait until there is one. A waiting
 * command is run again when one of its keys is ready (keyspace/blocked.ts). Recorded as ZPOPMIN or ZPOPMAX.
 *
 * Reply: array of key, member and score (BZMPOP: of the key and an array of pairs); an array's null when the time is
 * over. Errors: those of the timeout; WRONGTYPE of a key that is looked at; those of ZMPOP.
 * Source: Valkey src/t_zset.c `blockingGenericZpopCommand`.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { blockOrReply, deadlineInSeconds } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import { Direction, Shape } from './reply-members.ts'
import { type MultiPop, parseMultiPop, popFirst } from './zmpop.ts'
import { popMembers, recordPop } from './zpop.ts'
import { findZset } from './zset-access.ts'

export const bzpopmin = defineCommand({
  name: 'bzpopmin',
  summary: 'Removes and returns the member with the lowest score of the first sorted set, waiting for one if needed.',
  group: 'sorted-set',
  since: '5.0.0',
  complexity: 'O(log(N)) where N is the number of members.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast | CommandFlag.Blocking,
  categories: AclCategory.SortedSet,
  keys: [keyRange(1, -2, 1, 'RW', 'access', 'delete')],
  handler: (ctx, args, reply) => popOrBlock(ctx, args, reply, Direction.Up),
})

export const bzpopmax = defineCommand({
  name: 'bzpopmax',
  summary: 'Removes and returns the member with the highest score of the first sorted set, waiting for one if needed.',
  group: 'sorted-set',
  since: '5.0.0',
  complexity: 'O(log(N)) where N is the number of members.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast | CommandFlag.Blocking,
  categories: AclCategory.SortedSet,
  keys: [keyRange(1, -2, 1, 'RW', 'access', 'delete')],
  handler: (ctx, args, reply) => popOrBlock(ctx, args, reply, Direction.Down),
})

export const bzmpop = defineCommand({
  name: 'bzmpop',
  summary:
    'Removes and returns members with the lowest or highest scores of the first sorted set, waiting for one if needed.',
  group: 'sorted-set',
  since: '7.0.0',
  complexity:
    'O(K) + O(M*log(N)) where K is the number of keys, N the number of members and M the number of members popped.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.Blocking | CommandFlag.MovableKeys,
  categories: AclCategory.SortedSet,
  keys: [keyCountAt(2, 'RW', 'access', 'delete')],
  handler: bzmpopHandler,
})

const call: MultiPop = { firstKey: 0, keyCount: 0, direction: Direction.Up, count: 0 }

function popOrBlock(ctx: CommandContext, args: Args, reply: ReplySink, direction: Direction): void {
  const last = args.count - 1
  const deadlineMs = deadlineInSeconds(args, last, ctx.now)
  for (let i = 1; i < last; i++) {
    const row = findZset(ctx, args, i)
    if (row === NO_ROW) continue
    reply.array(3)
    reply.bulk(args.buffer, args.start(i), args.length(i))
    popMembers(ctx, args, i, row, 1, direction, Shape.Flat, reply)
    recordPop(ctx, args, i, direction, 0)
    return
  }
  blockOrReply(ctx, args, reply, 1, last - 1, BlockedOn.Zset, deadlineMs)
}

function bzmpopHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  // The timeout comes first but is looked at last.
  parseMultiPop(args, 2, call)
  const deadlineMs = deadlineInSeconds(args, 1, ctx.now)
  if (!popFirst(ctx, args, call, reply))
    blockOrReply(ctx, args, reply, call.firstKey, call.keyCount, BlockedOn.Zset, deadlineMs)
}
