/**
 * MessagePack from Lua values. Hot path.
 *
 * Whole numbers within int64 take the shortest integer form, others a single if it is exact, else a double. A table is
 * an array when its keys are exactly 1..n (so `{}` is one), else a map. Tables nested deeper than the limit, and values
 * that have no form, become nil. Strings use the `str` headers.
 */
import { ByteWriter } from './lib-bytes.ts'
import { LuaTable } from './table.ts'
import type { LuaValue } from './value.ts'

/** Tables at this nesting level are packed as nil, which also ends circular references (`LUACMSGPACK_MAX_NESTING`). */
const NESTING_LEVELS = 16
const WORD = 2 ** 32
const INT64_MIN = -(2 ** 63)
const INT64_END = 2 ** 63

const NIL = 0xc0
const FALSE = 0xc2
const TRUE = 0xc3
const SINGLE = 0xca
const DOUBLE = 0xcb

const writer = new ByteWriter()

/** The MessagePack bytes of all values, one after the other. */
export function packAll(values: readonly LuaValue[]): string {
  writer.length = 0
  for (let i = 0; i < values.length; i++) packValue(values[i], 0)
  return writer.finish()
}

/** Writes a value that is nested in `level` tables. */
function packValue(value: LuaValue, level: number): void {
  switch (typeof value) {
    case 'string':
      packStringHeader(value.length)
      writer.text(value)
      return
    case 'number':
      packNumber(value)
      return
    case 'boolean':
      writer.byte(value ? TRUE : FALSE)
      return
    default:
      if (value instanceof LuaTable && level < NESTING_LEVELS) packTable(value, level)
      else writer.byte(NIL)
  }
}

function packStringHeader(size: number): void {
  if (size <= 31) writer.byte(0xa0 | size)
  else if (size <= 0xff) packCoded(0xd9, size, 1)
  else packSize(size, 0xda)
}

/** The header of an array or map. */
function packCount(count: number, fixCode: number, code16: number): void {
  if (count <= 15) writer.byte(fixCode | count)
  else packSize(count, code16)
}

/** A size in 2 bytes after `code16`, or in 4 bytes after the next code. */
function packSize(size: number, code16: number): void {
  if (size <= 0xffff) packCoded(code16, size, 2)
  else packCoded(code16 + 1, size, 4)
}

/** A code byte and the low `size` bytes of an integer. */
function packCoded(code: number, value: number, size: 1 | 2 | 4): void {
  writer.reserve(5)
  const bytes = writer.bytes
  let at = writer.length
  bytes[at++] = code
  for (let shift = 8 * size - 8; shift >= 0; shift -= 8) bytes[at++] = value >>> shift
  writer.length = at
}

function packNumber(value: number): void {
  if (value >= INT64_MIN && value < INT64_END && Math.floor(value) === value) {
    packInteger(value)
    return
  }
  const size = Math.fround(value) === value ? 4 : 8
  writer.byte(size === 4 ? SINGLE : DOUBLE)
  writer.float(value, size)
}

function packInteger(value: number): void {
  if (value >= 0) {
    if (value <= 0x7f) writer.byte(value)
    else if (value <= 0xff) packCoded(0xcc, value, 1)
    else if (value <= 0xffff) packCoded(0xcd, value, 2)
    else if (value < WORD) packCoded(0xce, value, 4)
    else packInteger64(0xcf, value)
  } else if (value >= -0x20) writer.byte(value)
  else if (value >= -0x80) packCoded(0xd0, value, 1)
  else if (value >= -0x8000) packCoded(0xd1, value, 2)
  else if (value >= -0x80000000) packCoded(0xd2, value, 4)
  else packInteger64(0xd3, value)
}

function packInteger64(code: number, value: number): void {
  packCoded(code, Math.floor(value / WORD), 4)
  const low = value >>> 0
  writer.reserve(4)
  const bytes = writer.bytes
  let at = writer.length
  for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = low >>> shift
  writer.length = at
}

function packTable(table: LuaTable, level: number): void {
  const hash = table.hash
  // A table whose keys are exactly 1..n keeps all of them in its dense part.
  if ((hash === null || hash.size === 0) && !table.arr.includes(undefined)) packArray(table.arr, level)
  else packMap(table, level)
}

function packArray(values: readonly LuaValue[], level: number): void {
  packCount(values.length, 0x90, 0xdc)
  for (let i = 0; i < values.length; i++) packValue(values[i], level + 1)
}

function packMap(table: LuaTable, level: number): void {
  const arr = table.arr
  let count = table.hash === null ? 0 : table.hash.size
  for (let i = 0; i < arr.length; i++) if (arr[i] !== undefined) count++
  packCount(count, 0x80, 0xde)
  for (let i = 0; i < arr.length; i++) {
    if (arr[i] === undefined) continue
    packInteger(i + 1)
    packValue(arr[i], level + 1)
  }
  if (table.hash === null) return
  for (const [key, value] of table.hash) {
    packValue(key, level + 1)
    packValue(value, level + 1)
  }
}
