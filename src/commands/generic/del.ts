/**
 * DEL key [key ...]
 * UNLINK key [key ...]
 *
 * Deletes keys. Both free the values at once: there is no thread to leave them to.
 *
 * Reply: integer, how many of the keys existed. Errors: none.
 * Source: Valkey src/db.c `delGenericCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { deleteKey } from '../delete-key.ts'

export const del = defineCommand({
  name: 'del',
  summary: 'Deletes keys.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys and of the elements in their values.',
  arity: -2,
  flags: CommandFlag.Write,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, -1, 1, 'RM', 'delete')],
  tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
  handler: delHandler,
})

export const unlink = defineCommand({
  name: 'unlink',
  summary: 'Deletes keys, as DEL does.',
  group: 'generic',
  since: '4.0.0',
  complexity: 'O(N), N being the number of keys and of the elements in their values.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, -1, 1, 'RM', 'delete')],
  tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
  handler: delHandler,
})

function delHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let deleted = 0
  for (let i = 1; i < args.count; i++) {
    const row = ctx.db.find(args, i)
    if (row === NO_ROW) continue
    deleteKey(ctx, args, i, row)
    deleted++
  }
  reply.integer(deleted)
}
