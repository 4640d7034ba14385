/**
 * HDEL key field [field ...]
 *
 * Removes fields from a hash, and the hash with its last field.
 *
 * Reply: how many fields were there; as in Redis also those whose time is over and that are not removed yet. Errors: WRONGTYPE.
 * Source: Valkey src/t_hash.c `hdelCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findHash, storeAfterRemoval } from './hash-access.ts'

export const hdel = defineCommand({
  name: 'hdel',
  summary: 'Removes fields from a hash, and the hash with its last field.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(N) where N is the number of fields to remove.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'delete'),
  handler: hdelHandler,
})

function hdelHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findHash(ctx, args, 1)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  const hash = ctx.hash
  let deleted = 0
  for (let i = 2; i < args.count && hash.size() > 0; i++) {
    if (hash.remove(args.buffer, args.start(i), args.length(i))) deleted++
  }
  if (deleted > 0) storeAfterRemoval(ctx, args, 1, row, 'hdel')
  reply.integer(deleted)
}
