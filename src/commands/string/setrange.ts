/**
 * SETRANGE key offset value
 *
 * Overwrites a part of a string from an offset on; the string grows, with zero bytes up to the offset, as needed.
 *
 * Reply: integer, the new length in bytes. Errors: integer; offset out of range; WRONGTYPE; too long.
 * Source: Valkey src/t_string.c `setrangeCommand`.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { OFFSET_OUT_OF_RANGE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { copyBytes } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { checkStringLength, unshareString } from './string-value.ts'
import { stringLength } from './strlen.ts'

export const setrange = defineCommand({
  name: 'setrange',
  summary: 'Overwrites a part of a string from an offset on; the key is created when it is missing.',
  group: 'string',
  since: '2.2.0',
  complexity: 'O(M), M being the length of the value; when the string grows, O(N), N being its new length.',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'update'),
  handler: setrangeHandler,
})

function setrangeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const offset = args.integer(2)
  if (offset < 0) throw OFFSET_OUT_OF_RANGE
  const db = ctx.db
  const arena = db.arena
  const written = args.length(3)
  const row = db.findKind(args, 1, KindMask.String)
  const length = row === NO_ROW ? 0 : stringLength(db, row)
  // Nothing to write creates no key and is no change.
  if (written === 0) {
    reply.integer(length)
    return
  }
  const end = offset + written
  checkStringLength(ctx, end)
  const total = Math.max(length, end)
  const ref = row === NO_ROW ? arena.alloc(total) : arena.resize(unshareString(db, row), total)
  const buffer = arena.segment(ref)
  const at = arena.offset(ref)
  if (offset > length) buffer.fill(0, at + length, at + offset)
  copyBytes(args.buffer, args.start(3), buffer, at + offset, written)
  if (row === NO_ROW) db.markRaw(db.add(args, 1, Kind.StringBytes, ref))
  else {
    db.overwrite(row, Kind.StringBytes, ref)
    db.markRaw(row)
  }
  ctx.changed(args, 1, Notify.String, 'setrange')
  reply.integer(total)
}
