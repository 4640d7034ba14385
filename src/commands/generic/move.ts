/**
 * MOVE key db
 *
 * Moves a key to another database, with its expire time.
 *
 * Reply: 1, or 0 when the key is missing or exists there. Errors: index of the database; same object.
 * Source: Valkey src/db.c `moveCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SAME_OBJECT } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { databaseAt } from '../db-index.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'

export const move = defineCommand({
  name: 'move',
  summary: 'Moves a key to another database.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: moveHandler,
})

function moveHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const source = ctx.db
  const target = databaseAt(ctx, args, 2)
  if (source === target) throw SAME_OBJECT
  const row = source.find(args, 1)
  if (row === NO_ROW || target.find(args, 1) !== NO_ROW) {
    reply.integer(0)
    return
  }
  const kind = source.kind(row)
  const value = source.value(row)
  const expireAt = source.expireTime(row)
  const access = source.access(row)
  const isRaw = source.isRaw(row)
  source.removeKeepingValue(row)
  const added = target.add(args, 1, kind, value)
  if (expireAt !== NO_EXPIRE) target.setExpire(added, expireAt)
  target.setAccess(added, access)
  if (isRaw) target.markRaw(added)
  ctx.changed(args, 1, Notify.Generic, 'move_from')
  ctx.changedText(target, args.text(1), Notify.Generic, 'move_to')
  reply.integer(1)
}
