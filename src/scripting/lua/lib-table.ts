/** The `table` library. Source: ltablib.c. All access is raw, as there; read-only tables refuse changes. */
import { functionArg, intArg, optionalInt, stringArg, tableArg } from './args.ts'
import { describeBuiltin } from './builtins.ts'
import { callValue, first, nested } from './call.ts'
import { numberToString } from './number-format.ts'
import { lessThanFromHost } from './runtime.ts'
import { LuaTable } from './table.ts'
import { TextBuilder } from './text-builder.ts'
import { hostError, type LuaFunction, type LuaValue, libError, NO_RESULTS, typeName } from './value.ts'

const insert: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'insert')
  if (args.length === 2) {
    if (table.readonly) throw hostError('Attempt to modify a readonly table')
    table.push(args[1])
    return NO_RESULTS
  }
  if (args.length !== 3) throw libError("wrong number of arguments to 'insert'")
  const { arr } = table
  const position = intArg(args, 1, 'insert')
  const value = args[2]
  if (position >= 1 && position <= arr.length && value !== undefined && !table.readonly) {
    arr.splice(position - 1, 0, value)
    // The dense part grew by one: keys that follow it now may sit in the hash.
    if (table.hashNumberCount > 0) table.push(takeKey(table, arr.length + 1))
    return NO_RESULTS
  }
  if (table.readonly) throw hostError('Attempt to modify a readonly table')
  shiftUp(table, position, Math.max(arr.length + 1, position))
  table.setNumber(position, value)
  return NO_RESULTS
}

/**
 * Moves the values at the keys from `first` to `end - 1` one key up. Only keys that are there are looked at: the range can
 * span the whole of the integers.
 */
function shiftUp(table: LuaTable, first: number, end: number): void {
  const keys: number[] = []
  for (let entry = table.next(undefined); entry !== null; entry = table.next(entry[0])) {
    const key = entry[0]
    if (typeof key === 'number' && Number.isInteger(key) && key >= first && key < end) keys.push(key)
  }
  if (end > first) table.setNumber(end, undefined)
  for (const key of keys.sort((a, b) => b - a)) {
    table.setNumber(key + 1, table.getNumber(key))
    table.setNumber(key, undefined)
  }
}

function takeKey(table: LuaTable, key: number): LuaValue {
  const value = table.hash?.get(key)
  if (value !== undefined) {
    table.hash!.delete(key)
    table.hashNumberCount--
  }
  return value
}

const remove: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'remove')
  const { arr } = table
  const size = arr.length
  const position = optionalInt(args, 1, 'remove', size)
  if (position < 1 || position > size) return NO_RESULTS
  if (table.readonly) throw hostError('Attempt to modify a readonly table')
  const removed = arr[position - 1]
  // Moving down leaves the last key nil; `setNumber` keeps the dense part free of nils at its end.
  if (position < size) arr.copyWithin(position - 1, position, size)
  table.setNumber(size, undefined)
  return removed
}

const concat: LuaFunction = (...args) => {
  // The separator is checked first.
  const separator = args[1] === undefined ? '' : stringArg(args, 1, 'concat')
  const table = tableArg(args, 0, 'concat')
  const from = optionalInt(args, 2, 'concat', 1)
  const to = args[3] === undefined ? table.arr.length : intArg(args, 3, 'concat')
  const text = new TextBuilder()
  for (let i = from; i <= to; i++) {
    const value = table.getNumber(i)
    if (typeof value === 'string') text.add(value)
    else if (typeof value === 'number') text.add(numberToString(value))
    else throw libError(`invalid value (${typeName(value)}) at index ${i} in table for 'concat'`)
    if (i < to && separator !== '') text.add(separator)
  }
  return text.finish()
}

const getn: LuaFunction = (...args) => tableArg(args, 0, 'getn').arr.length

const setn: LuaFunction = (...args) => {
  tableArg(args, 0, 'setn')
  throw libError("'setn' is obsolete")
}

const maxn: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'maxn')
  let max = table.arr.length
  if (table.hashNumberCount > 0) {
    for (const key of table.hash!.keys()) if (typeof key === 'number' && key > max) max = key
  }
  return max
}

const foreach: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'foreach')
  const fn = functionArg(args, 1, 'foreach')
  for (let entry = table.next(undefined); entry !== null; entry = table.next(entry[0])) {
    const result = first(callValue(fn, entry[0], entry[1]))
    if (result !== undefined) return result
  }
  return NO_RESULTS
}

const foreachi: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'foreachi')
  const fn = functionArg(args, 1, 'foreachi')
  const size = table.arr.length
  for (let i = 1; i <= size; i++) {
    const result = first(callValue(fn, i, table.getNumber(i)))
    if (result !== undefined) return result
  }
  return NO_RESULTS
}

type Less = (a: LuaValue, b: LuaValue) => boolean

/**
 * Lua's own quicksort on `values` (0-based, from `low` to `high`): the same comparisons in the same order, so that
 * scripts with unusual comparators see what they see in Redis.
 */
function quicksort(values: LuaValue[], low: number, high: number, less: Less): void {
  let lo = low
  let up = high
  while (lo < up) {
    if (less(values[up], values[lo])) swap(values, lo, up)
    if (up - lo === 1) return
    const middle = (lo + up) >>> 1
    if (less(values[middle], values[lo])) swap(values, middle, lo)
    else if (less(values[up], values[middle])) swap(values, middle, up)
    if (up - lo === 2) return
    const pivot = values[middle]
    swap(values, middle, up - 1)
    const i = partition(values, lo, up, pivot, less)
    swap(values, up - 1, i)
    // The smaller half by recursion, the larger by the loop.
    if (i - lo < up - i) {
      quicksort(values, lo, i - 1, less)
      lo = i + 1
    } else {
      quicksort(values, i + 1, up, less)
      up = i - 1
    }
  }
}

function partition(values: LuaValue[], lo: number, up: number, pivot: LuaValue, less: Less): number {
  let i = lo
  let j = up - 1
  for (;;) {
    while (less(values[++i], pivot)) if (i > up) throw libError('invalid order function for sorting')
    while (less(pivot, values[--j])) if (j < lo) throw libError('invalid order function for sorting')
    if (j < i) return i
    swap(values, i, j)
  }
}

function swap(values: LuaValue[], i: number, j: number): void {
  const value = values[i]
  values[i] = values[j]
  values[j] = value
}

const sort: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'sort')
  const values = table.arr
  if (args[1] !== undefined) {
    const fn = functionArg(args, 1, 'sort')
    sortWith(table, function luaCallback(a, b) {
      return isTrue(fn(a, b))
    })
  } else if (values.every((value) => typeof value === 'string')) {
    if (table.readonly) throw hostError('Attempt to modify a readonly table')
    values.sort()
  } else sortWith(table, lessThanFromHost)
  return NO_RESULTS
}

function sortWith(table: LuaTable, less: Less): void {
  if (table.readonly && table.arr.length > 1) throw hostError('Attempt to modify a readonly table')
  const values = table.arr
  const count = values.length
  nested(() => quicksort(values, 0, count - 1, less))
}

function isTrue(result: unknown): boolean {
  const value = result instanceof Array ? result[0] : result
  return value !== undefined && value !== false
}

export function createTableLib(): LuaTable {
  describeBuiltin(concat, { isSingle: true, type: 's' })
  describeBuiltin(getn, { isSingle: true, type: 'n' })
  describeBuiltin(maxn, { isSingle: true, type: 'n' })
  for (const fn of [sort, foreach, foreachi]) describeBuiltin(fn, { callsLua: true })
  return new LuaTable()
    .init('concat', concat)
    .init('foreach', foreach)
    .init('foreachi', foreachi)
    .init('getn', getn)
    .init('insert', insert)
    .init('maxn', maxn)
    .init('remove', remove)
    .init('setn', setn)
    .init('sort', sort)
}
