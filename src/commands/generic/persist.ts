/**
 * PERSIST key
 *
 * Takes the expire time off a key.
 *
 * Reply: 1, or 0 when the key is missing or has no expire time. Errors: none.
 * Source: Valkey src/expire.c `persistCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'

export const persist = defineCommand({
  name: 'persist',
  summary: 'Takes the expire time off a key.',
  group: 'generic',
  since: '2.2.0',
  complexity: 'O(log N), N being the number of keys that expire.',
  arity: 2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RW', 'update'),
  handler: persistHandler,
})

function persistHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.find(args, 1)
  if (row === NO_ROW || !ctx.db.clearExpire(row)) {
    reply.integer(0)
    return
  }
  ctx.db.touch(row)
  ctx.changed(args, 1, Notify.Generic, 'persist')
  reply.integer(1)
}
