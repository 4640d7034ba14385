/**
 * COPY source destination [DB index] [REPLACE]
 *
 * Copies a value, with its expire time, to another key or database.
 *
 * Reply: 1, or 0 when the source is missing, or the destination exists and is not to be replaced. Errors: syntax; index
 * of the database; same object.
 * Source: Valkey src/db.c `copyCommand`.
 */
import { copyValue } from '../../keyspace/copy-value.ts'
import type { Database } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SAME_OBJECT, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { databaseAt } from '../db-index.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'

export const copy = defineCommand({
  name: 'copy',
  summary: 'Copies the value of a key to another key or database.',
  group: 'generic',
  since: '6.2.0',
  complexity: 'O(N), N being the number of elements in the value.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, 0, 1, 'RO', 'access'), keyRange(2, 0, 1, 'OW', 'update')],
  handler: copyHandler,
})

function copyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { target, replaces } = parseOptions(ctx, args)
  const source = ctx.db
  if (source === target && args.same(1, 2)) throw SAME_OBJECT
  const row = source.read(args, 1)
  const replaced = target.find(args, 2)
  if (row === NO_ROW || (replaced !== NO_ROW && !replaces)) {
    reply.integer(0)
    return
  }
  const kind = source.kind(row)
  const expireAt = source.expireTime(row)
  const isRaw = source.isRaw(row)
  const value = copyValue(ctx.keyspace, kind, source.value(row))
  if (replaced !== NO_ROW) target.remove(replaced)
  const added = target.add(args, 2, kind, value)
  if (expireAt !== NO_EXPIRE) target.setExpire(added, expireAt)
  if (isRaw) target.markRaw(added)
  ctx.changedText(target, args.text(2), Notify.Generic, 'copy_to')
  reply.integer(1)
}

/** @throws SYNTAX_ERROR, and what databaseAt throws */
function parseOptions(ctx: CommandContext, args: Args): { target: Database; replaces: boolean } {
  let target = ctx.db
  let replaces = false
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'REPLACE')) replaces = true
    else if (args.is(i, 'DB') && i + 1 < args.count) target = databaseAt(ctx, args, ++i)
    else throw SYNTAX_ERROR
  }
  return { target, replaces }
}
