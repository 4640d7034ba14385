/**
 * BITCOUNT key [start end [BYTE | BIT]]
 *
 * Counts the bits that are set in a string or a part of it; both ends belong to it, in bytes unless BIT is given.
 *
 * Reply: integer, 0 for a missing key. Errors: WRONGTYPE; integer; syntax; none of them, but WRONGTYPE, is looked for
 * unless the key exists.
 * Source: Valkey src/bitops.c `bitcountCommand`. Hot path.
 */
import { countBits } from '../../bytes/bits.ts'
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { showString } from '../string/string-value.ts'
import { BitRange, RangeUnit, rangeUnit } from './bit-range.ts'

export const bitcount = defineCommand({
  name: 'bitcount',
  summary: 'Counts the bits that are set in a string or a part of it.',
  group: 'bitmap',
  since: '2.6.0',
  complexity: 'O(N), N being the length of the part.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Bitmap,
  keys: keyAt(1, 'RO', 'access'),
  handler: bitcountHandler,
})

const value = new Element()
const range = new BitRange()

function bitcountHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  showString(ctx.db, row, value)
  parseRange(args)
  reply.integer(range.isEmpty ? 0 : countRange())
}

function parseRange(args: Args): void {
  if (args.count === 2) {
    range.setWhole(value.length)
    return
  }
  if (args.count !== 4 && args.count !== 5) throw SYNTAX_ERROR
  const start = args.integer(2)
  const end = args.integer(3)
  // Two negative ends in the wrong order are nothing, and then the unit is not looked at.
  if (start < 0 && end < 0 && start > end) range.setWhole(0)
  else range.set(start, end, args.count === 5 ? rangeUnit(args, 4) : RangeUnit.Byte, value.length)
}

/** Whole bytes are counted, and what of the outer ones is not in the range is taken off. */
function countRange(): number {
  const { buffer, start } = value
  const firstByte = Math.floor(range.first / 8)
  const lastByte = Math.floor(range.last / 8)
  const before = buffer[start + firstByte]! >> (8 - (range.first & 7))
  const behind = buffer[start + lastByte]! & ((1 << (7 - (range.last & 7))) - 1)
  const all = countBits(buffer, start + firstByte, lastByte - firstByte + 1)
  return all - setBits(before) - setBits(behind)
}

function setBits(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}
