/**
 * APPEND key value
 *
 * Adds bytes to the end of a string, which is made when it is missing.
 *
 * Reply: integer, the new length in bytes. Errors: WRONGTYPE; too long.
 * Source: Valkey src/t_string.c `appendCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { copyBytes } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { checkStringLength, storeString, unshareString } from './string-value.ts'
import { stringLength } from './strlen.ts'

export const append = defineCommand({
  name: 'append',
  summary: 'Adds bytes to the end of a string key, which is created when it is missing.',
  group: 'string',
  since: '2.0.0',
  complexity: 'O(M), M being the length of what is added; seldom O(N), N being the length of the string.',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'insert'),
  handler: appendHandler,
})

function appendHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  const added = args.length(2)
  const row = db.findKind(args, 1, KindMask.String)
  let total = added
  if (row === NO_ROW) {
    storeString(db, NO_ROW, args, 1, 2)
  } else {
    const length = stringLength(db, row)
    total = length + added
    checkStringLength(ctx, total)
    const arena = db.arena
    const ref = arena.resize(unshareString(db, row), total)
    copyBytes(args.buffer, args.start(2), arena.segment(ref), arena.offset(ref) + length, added)
    db.overwrite(row, Kind.StringBytes, ref)
    db.markRaw(row)
  }
  ctx.changed(args, 1, Notify.String, 'append')
  reply.integer(total)
}
