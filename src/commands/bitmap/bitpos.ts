/**
 * BITPOS key bit [start [end [BYTE | BIT]]]
 *
 * Finds the first bit that is set, or that is clear, in a string or a part of it. Without an end the string goes on with
 * zeros, so that a clear bit is always found.
 *
 * Reply: integer, the bit's offset; -1 when there is none. Errors: integer; bit; WRONGTYPE; syntax.
 * Source: Valkey src/bitops.c `bitposCommand`. Hot path.
 */
import { findBit } from '../../bytes/bits.ts'
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { BITPOS_BIT, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { showString } from '../string/string-value.ts'
import { BitRange, RangeUnit, rangeUnit } from './bit-range.ts'

export const bitpos = defineCommand({
  name: 'bitpos',
  summary: 'Finds the first bit of a string that is set or clear.',
  group: 'bitmap',
  since: '2.8.7',
  complexity: 'O(N), N being the length of the part that is searched.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Bitmap,
  keys: keyAt(1, 'RO', 'access'),
  handler: bitposHandler,
})

const value = new Element()
const range = new BitRange()

function bitposHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const bit = args.integer(2)
  if (bit !== 0 && bit !== 1) throw BITPOS_BIT
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.integer(bit === 1 ? -1 : 0)
    return
  }
  showString(ctx.db, row, value)
  const isOpen = parseRange(args)
  if (range.isEmpty) {
    reply.integer(-1)
    return
  }
  const found = findBit(value.buffer, value.start, range.first, range.last, bit)
  reply.integer(found < 0 && bit === 0 && isOpen ? value.length * 8 : found)
}

/** Returns whether the string goes on behind the range, with zeros. */
function parseRange(args: Args): boolean {
  if (args.count === 3) {
    range.setWhole(value.length)
    return true
  }
  if (args.count > 6) throw SYNTAX_ERROR
  const start = args.integer(3)
  const unit = args.count === 6 ? rangeUnit(args, 5) : RangeUnit.Byte
  const isOpen = args.count === 4
  range.set(start, isOpen ? value.length - 1 : args.integer(4), unit, value.length)
  return isOpen
}
