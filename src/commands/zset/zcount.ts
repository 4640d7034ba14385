/**
 * ZCOUNT key min max
 * ZLEXCOUNT key min max
 *
 * How many members of a sorted set lie in a range of scores, or of byte strings.
 *
 * Reply: integer. Errors: a malformed range; WRONGTYPE.
 * Source: Valkey src/t_zset.c `zcountCommand`, `zlexcountCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { ZsetRange } from './range.ts'
import { Direction } from './reply-members.ts'
import { readZset } from './zset-access.ts'

export const zcount = defineCommand({
  name: 'zcount',
  summary: 'Returns how many members of a sorted set have scores in a range.',
  group: 'sorted-set',
  since: '2.0.0',
  complexity: 'O(log(N)) where N is the number of members.',
  arity: 4,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => {
    range.parseScores(args, 2, 3, Direction.Up)
    replyCount(ctx, args, reply)
  },
})

export const zlexcount = defineCommand({
  name: 'zlexcount',
  summary: 'Returns how many members of a sorted set of equal scores lie in a range of byte strings.',
  group: 'sorted-set',
  since: '2.8.9',
  complexity: 'O(log(N)) where N is the number of members.',
  arity: 4,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => {
    range.parseMembers(args, 2, 3, Direction.Up)
    replyCount(ctx, args, reply)
  },
})

const range = new ZsetRange()

function replyCount(ctx: CommandContext, args: Args, reply: ReplySink): void {
  range.resolve(readZset(ctx, args, 1), args)
  reply.integer(range.count)
}
