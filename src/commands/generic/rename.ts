/**
 * RENAME key newkey
 * RENAMENX key newkey
 *
 * Gives a value another name, with its expire time; what the new name held is deleted (RENAMENX refuses then).
 *
 * Reply: OK; for RENAMENX 1, or 0 when the new name exists. Errors: no such key.
 * Source: Valkey src/db.c `renameGenericCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NO_SUCH_KEY } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'

export const rename = defineCommand({
  name: 'rename',
  summary: 'Gives a key another name, and deletes the key that had it.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(1); O(N) when a value of N elements is deleted.',
  arity: 3,
  flags: CommandFlag.Write,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, 0, 1, 'RW', 'access', 'delete'), keyRange(2, 0, 1, 'OW', 'update')],
  handler: renameHandler,
})

export const renamenx = defineCommand({
  name: 'renamenx',
  summary: 'Gives a key another name when no key has it.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, 0, 1, 'RW', 'access', 'delete'), keyRange(2, 0, 1, 'OW', 'insert')],
  handler: renamenxHandler,
})

function renameHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (ctx.db.find(args, 1) === NO_ROW) throw NO_SUCH_KEY
  if (!args.same(1, 2)) {
    const row = ctx.db.find(args, 2)
    if (row !== NO_ROW) ctx.db.remove(row)
    moveValue(ctx, args)
  }
  reply.ok()
}

function renamenxHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (ctx.db.find(args, 1) === NO_ROW) throw NO_SUCH_KEY
  if (args.same(1, 2) || ctx.db.find(args, 2) !== NO_ROW) {
    reply.integer(0)
    return
  }
  moveValue(ctx, args)
  reply.integer(1)
}

/** Moves the value from the key in argument 1 to that in argument 2, which does not exist. */
function moveValue(ctx: CommandContext, args: Args): void {
  const db = ctx.db
  const row = db.find(args, 1)
  const kind = db.kind(row)
  const value = db.value(row)
  const expireAt = db.expireTime(row)
  const access = db.access(row)
  const isRaw = db.isRaw(row)
  db.removeKeepingValue(row)
  const target = db.add(args, 2, kind, value)
  if (expireAt !== NO_EXPIRE) db.setExpire(target, expireAt)
  db.setAccess(target, access)
  if (isRaw) db.markRaw(target)
  ctx.changed(args, 1, Notify.Generic, 'rename_from')
  ctx.changed(args, 2, Notify.Generic, 'rename_to')
}
