/**
 * GETDEL key
 *
 * Returns the value of a string key and deletes the key. Recorded as DEL.
 *
 * Reply: bulk string; null when the key is missing. Errors: WRONGTYPE.
 * Source: Valkey src/t_string.c `getdelCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import { FreeReason } from '../../keyspace/lazy-free.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { deleteKeyAsEffect } from '../delete-key.ts'
import { replyString } from './get.ts'

export const getdel = defineCommand({
  name: 'getdel',
  summary: 'Returns the value of a string key and deletes the key.',
  group: 'string',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: getdelHandler,
})

function getdelHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.nil()
    return
  }
  replyString(ctx.db, row, reply)
  deleteKeyAsEffect(ctx, args, 1, row, FreeReason.UserDel)
}
