/**
 * MessagePack from Lua values. Hot path.
 *
 * Whole numbers within int64 take the shortest integer form, others a single if it is exact, else a double. A table is
 * an array when its keys are exactly 1..n (so `{}` is one), else a map. Tables nested deeper than the limit, and values
 * that have no form, become nil. Strings use the `str` headers.
 */

import { BYTE_STRINGS, floatToBytes } from './lib-bytes.ts'
import { LuaTable } from './table.ts'
import type { LuaValue } from './value.ts'

/** Tables at this nesting level are packed as nil, which also ends circular references (`LUACMSGPACK_MAX_NESTING`). */
const NESTING_MAX = 16
const WORD = 2 ** 32
const INT64_MIN = -(2 ** 63)
const INT64_END = 2 ** 63

const NIL = '\xc0'

/** The bytes of a value that is nested in `level` tables. */
export function packValue(value: LuaValue, level: number): string {
  switch (typeof value) {
    case 'string':
      return stringHeader(value.length) + value
    case 'number':
      return packNumber(value)
    case 'boolean':
      return value ? '\xc3' : '\xc2'
    default:
      return value instanceof LuaTable && level < NESTING_MAX ? packTable(value, level) : NIL
  }
}

function stringHeader(size: number): string {
  if (size <= 31) return BYTE_STRINGS[0xa0 | size]!
  return size <= 0xff ? `\xd9${BYTE_STRINGS[size]}` : packSize(size, 0xda)
}

/** The header of an array or map. */
function packCount(count: number, fixCode: number, code16: number): string {
  return count <= 15 ? BYTE_STRINGS[fixCode | count]! : packSize(count, code16)
}

/** A size in 2 bytes after `code16`, or in 4 bytes after the next code. */
function packSize(size: number, code16: number): string {
  if (size <= 0xffff) return String.fromCharCode(code16, size >>> 8, size & 0xff)
  return BYTE_STRINGS[code16 + 1]! + word(size)
}

function word(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}

function packNumber(value: number): string {
  if (value >= INT64_MIN && value < INT64_END && Math.floor(value) === value) return packInteger(value)
  return Math.fround(value) === value ? `\xca${floatToBytes(value, 4)}` : `\xcb${floatToBytes(value, 8)}`
}

function packInteger(value: number): string {
  if (value >= 0) {
    if (value <= 0x7f) return BYTE_STRINGS[value | 0]!
    if (value <= 0xff) return `\xcc${BYTE_STRINGS[value]}`
    if (value <= 0xffff) return String.fromCharCode(0xcd, value >>> 8, value & 0xff)
    if (value < WORD) return `\xce${word(value)}`
    return `\xcf${word(Math.floor(value / WORD))}${word(value >>> 0)}`
  }
  if (value >= -0x20) return BYTE_STRINGS[value & 0xff]!
  if (value >= -0x80) return `\xd0${BYTE_STRINGS[value & 0xff]}`
  if (value >= -0x8000) return String.fromCharCode(0xd1, (value >>> 8) & 0xff, value & 0xff)
  if (value >= -0x80000000) return `\xd2${word(value)}`
  return `\xd3${word(Math.floor(value / WORD))}${word(value >>> 0)}`
}

function packTable(table: LuaTable, level: number): string {
  const hash = table.hash
  // A table whose keys are exactly 1..n keeps all of them in its dense part.
  if ((hash === null || hash.size === 0) && !table.arr.includes(undefined)) return packArray(table.arr, level)
  return packMap(table, level)
}

function packArray(values: readonly LuaValue[], level: number): string {
  let out = packCount(values.length, 0x90, 0xdc)
  for (let i = 0; i < values.length; i++) out += packValue(values[i], level + 1)
  return out
}

function packMap(table: LuaTable, level: number): string {
  let count = table.hash === null ? 0 : table.hash.size
  let out = ''
  const arr = table.arr
  for (let i = 0; i < arr.length; i++) {
    const value = arr[i]
    if (value === undefined) continue
    count++
    out += packInteger(i + 1) + packValue(value, level + 1)
  }
  if (table.hash !== null) {
    for (const [key, value] of table.hash) out += packValue(key, level + 1) + packValue(value, level + 1)
  }
  return packCount(count, 0x80, 0xde) + out
}
