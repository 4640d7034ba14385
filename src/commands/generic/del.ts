/**
 * DEL key [key ...]
 * UNLINK key [key ...]
 *
 * Deletes keys. UNLINK leaves big values to be freed between turns; DEL does with `lazyfree-lazy-user-del`.
 *
 * Reply: integer, how many of the keys existed. Errors: none.
 * Source: Valkey src/db.c `delGenericCommand`. Hot path.
 */
import { FreeReason } from '../../keyspace/lazy-free.ts'
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
  handler: (ctx, args, reply) => deleteAll(ctx, args, FreeReason.UserDel, reply),
})

export const unlink = defineCommand({
  name: 'unlink',
  summary: 'Deletes keys; big values are freed in the background.',
  group: 'generic',
  since: '4.0.0',
  complexity: 'O(1) for each key; the elements of big values are freed in the background.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, -1, 1, 'RM', 'delete')],
  tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
  handler: (ctx, args, reply) => deleteAll(ctx, args, FreeReason.Unlink, reply),
})

function deleteAll(ctx: CommandContext, args: Args, reason: FreeReason, reply: ReplySink): void {
  let deleted = 0
  for (let i = 1; i < args.count; i++) {
    const row = ctx.db.find(args, i)
    if (row === NO_ROW) continue
    deleteKey(ctx, args, i, row, reason)
    deleted++
  }
  reply.integer(deleted)
}
