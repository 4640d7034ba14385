/**
 * SETBIT key offset value
 * GETBIT key offset
 *
 * Writes or reads one bit of a string; bit 0 is the most significant one of the first byte. A string grows with zero bytes
 * as far as needed, and reads as zero behind its end.
 *
 * Reply: integer, the bit as it was. Errors: offset; value of the bit (SETBIT); WRONGTYPE.
 * Source: Valkey src/bitops.c `setbitCommand`, `getbitCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { BIT_OUT_OF_RANGE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { showString } from '../string/string-value.ts'
import { bitOffset, WritableString } from './bitmap-access.ts'

export const setbit = defineCommand({
  name: 'setbit',
  summary: 'Sets or clears a bit of a string; the key is created when it is missing.',
  group: 'bitmap',
  since: '2.2.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Bitmap,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: setbitHandler,
})

export const getbit = defineCommand({
  name: 'getbit',
  summary: 'Returns a bit of a string.',
  group: 'bitmap',
  since: '2.2.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Bitmap,
  keys: keyAt(1, 'RO', 'access'),
  handler: getbitHandler,
})

const written = new WritableString()
const read = new Element()

function setbitHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const offset = bitOffset(ctx, args, 2, 0)
  const bit = args.integerIn(3, 0, 1, BIT_OUT_OF_RANGE)
  const byteIndex = Math.floor(offset / 8)
  written.open(ctx.db, args, byteIndex + 1)
  const { buffer, start, hasGrown } = written
  const at = start + byteIndex
  const mask = 0x80 >> (offset & 7)
  const byte = buffer[at]!
  const old = (byte & mask) === 0 ? 0 : 1
  if (hasGrown || old !== bit) {
    buffer[at] = bit === 1 ? byte | mask : byte & ~mask
    ctx.changed(args, 1, Notify.String, 'setbit')
  }
  reply.integer(old)
}

function getbitHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const offset = bitOffset(ctx, args, 2, 0)
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  showString(ctx.db, row, read)
  const byteIndex = Math.floor(offset / 8)
  const byte = byteIndex < read.length ? read.buffer[read.start + byteIndex]! : 0
  reply.integer((byte >> (7 - (offset & 7))) & 1)
}
