/**
 * What compiled Lua code calls: table access, the slow paths of operators, error texts. Hot path.
 *
 * Each function that may raise takes a description of its operands: a kind letter (`l`ocal, `u`pvalue, `g`lobal, `f`ield,
 * `m`ethod) and the name, or '' for an unnamed value; error texts name the operand by it as luaG_typeerror does. The
 * compiled code calls these functions by the names in `HELPERS`.
 */
import { callMetamethod, callValue, enterNested, first, leaveNested, metamethod } from './call.ts'
import { $gc, $mk } from './coroutine.ts'
import { FREE_CHARS_MAX, joined } from './memory.ts'
import { numberToString, parseNumber } from './number-format.ts'
import { LuaTable } from './table.ts'
import {
  argumentError,
  hostError,
  LuaError,
  type LuaFunction,
  type LuaResult,
  type LuaValue,
  libError,
  NO_RESULTS,
  typeName,
} from './value.ts'

/** Steps that a chain of `__index` or `__newindex` tables may have (MAXTAGLOOP). */
const META_CHAIN_MAX = 100

/** What the running script depends on; set by the embedder before each run. */
export interface RuntimeHooks {
  /** Called when the step budget is used up; returns the next budget. Throws `ScriptAborted` to end the script. */
  tick: () => number
  /** The table behind `$gg`: globals that are looked up at run time. */
  globals: LuaTable
  /** What `s.name` on a string finds. */
  stringMethods: LuaTable
}

export const hooks: RuntimeHooks = {
  tick: () => 10_000,
  globals: new LuaTable(),
  stringMethods: new LuaTable(),
}

/** The call depth of what is called in libraries, in stack slots; set back by the embedder before each call. */
export const libraryDepth: { d: number } = { d: 0 }

const KIND_NAMES: Readonly<Record<string, string>> = { l: 'local', u: 'upvalue', g: 'global', f: 'field', m: 'method' }

function typeError(operation: string, value: LuaValue, description: string): LuaError {
  const type = typeName(value)
  if (description === '') return libError(`attempt to ${operation} a ${type} value`)
  const kind = KIND_NAMES[description[0]!] ?? ''
  // Printed as a C string.
  const name = description.slice(1).split('\0', 1)[0]
  return libError(`attempt to ${operation} ${kind} '${name}' (a ${type} value)`)
}

// Table access

function $gs(object: LuaValue, key: string, description: string): LuaValue {
  if (object instanceof LuaTable) {
    const hash = object.hash
    if (hash !== null) {
      const value = hash.get(key)
      if (value !== undefined) return value
    }
    if (object.meta === null) return undefined
  }
  return index(object, key, description)
}

function $gn(object: LuaValue, key: number, description: string): LuaValue {
  if (object instanceof LuaTable) {
    const value = object.getNumber(key)
    if (value !== undefined || object.meta === null) return value
  }
  return index(object, key, description)
}

function $ga(object: LuaValue, key: LuaValue, description: string): LuaValue {
  if (object instanceof LuaTable) {
    const value =
      typeof key === 'number' ? object.getNumber(key) : object.hash === null ? undefined : object.hash.get(key)
    if (value !== undefined || object.meta === null) return value
  }
  return index(object, key, description)
}

/** Who looks something up: how its metamethods are called, and what its errors are. */
interface Indexing {
  call(handler: LuaValue, object: LuaValue, key: LuaValue): LuaResult
  wrongType(object: LuaValue, description: string): LuaError
  loop(): LuaError
}

const BY_SCRIPT: Indexing = {
  call: callMetamethod,
  wrongType: (object, description) => typeError('index', object, description),
  loop: () => libError('loop in gettable'),
}

/** What library functions call has no Lua caller, and their own errors carry no position. */
const BY_LIBRARY: Indexing = {
  call: callValue,
  wrongType: (object) => hostError(`attempt to index a ${typeName(object)} value`),
  loop: () => hostError('loop in gettable'),
}

/** `object[key]` with metatables. */
export function index(object: LuaValue, key: LuaValue, description = ''): LuaValue {
  return indexBy(BY_SCRIPT, object, key, description)
}

/** As `index` of a table, for library functions. */
export function indexFromHost(table: LuaTable, key: LuaValue): LuaValue {
  return indexBy(BY_LIBRARY, table, key, '')
}

function indexBy(by: Indexing, object: LuaValue, key: LuaValue, description: string): LuaValue {
  let current = object
  for (let i = 0; i < META_CHAIN_MAX; i++) {
    let handler: LuaValue
    if (current instanceof LuaTable) {
      const value = current.get(key)
      if (value !== undefined) return value
      handler = current.meta === null ? undefined : current.meta.getString('__index')
      if (handler === undefined) return undefined
    } else if (typeof current === 'string') handler = hooks.stringMethods
    else throw by.wrongType(current, i === 0 ? description : '')
    if (typeof handler === 'function') return first(by.call(handler, current, key))
    current = handler
  }
  throw by.loop()
}

function $ss(object: LuaValue, key: string, value: LuaValue, description: string): void {
  if (object instanceof LuaTable && object.meta === null && !object.readonly) object.setString(key, value)
  else setIndex(object, key, value, description)
}

function $sn(object: LuaValue, key: number, value: LuaValue, description: string): void {
  if (object instanceof LuaTable && object.meta === null && !object.readonly && !Number.isNaN(key))
    object.setNumber(key, value)
  else setIndex(object, key, value, description)
}

function $sa(object: LuaValue, key: LuaValue, value: LuaValue, description: string): void {
  if (object instanceof LuaTable && object.meta === null && !object.readonly) {
    if (typeof key === 'string') {
      object.setString(key, value)
      return
    }
    if (typeof key === 'number' && !Number.isNaN(key)) {
      object.setNumber(key, value)
      return
    }
  }
  setIndex(object, key, value, description)
}

/** `object[key] = value` with metatables. */
export function setIndex(object: LuaValue, key: LuaValue, value: LuaValue, description = ''): void {
  let current = object
  for (let i = 0; i < META_CHAIN_MAX; i++) {
    if (!(current instanceof LuaTable)) throw typeError('index', current, i === 0 ? description : '')
    // Lua makes room for the key before it looks for a handler.
    checkSet(current, key)
    const handler: LuaValue =
      current.meta === null || current.get(key) !== undefined ? undefined : current.meta.getString('__newindex')
    if (handler === undefined) {
      current.set(key, value)
      return
    }
    if (typeof handler === 'function') {
      callMetamethod(handler, current, key, value)
      return
    }
    current = handler
  }
  throw libError('loop in settable')
}

/** Sets a field without metamethods, but refuses read-only tables and impossible keys. */
export function rawSet(table: LuaTable, key: LuaValue, value: LuaValue): void {
  checkSet(table, key)
  table.set(key, value)
}

function checkSet(table: LuaTable, key: LuaValue): void {
  if (table.readonly) throw libError('Attempt to modify a readonly table')
  if (key === undefined) throw libError('table index is nil')
  if (typeof key === 'number' && Number.isNaN(key)) throw libError('table index is NaN')
}

/** As `rawSet`, for library functions: interpreter errors in C functions carry no position. */
export function rawSetFromHost(table: LuaTable, key: LuaValue, value: LuaValue): void {
  if (table.readonly) throw hostError('Attempt to modify a readonly table')
  if (key === undefined) throw hostError('table index is nil')
  if (typeof key === 'number' && Number.isNaN(key)) throw hostError('table index is NaN')
  table.set(key, value)
}

// Globals

function $gx(name: string): LuaValue {
  throw libError(`Script attempted to access nonexistent global variable '${name}'`)
}

function $gg(name: string): LuaValue {
  const value = hooks.globals.getString(name)
  return value === undefined ? $gx(name) : value
}

function $gw(): void {
  throw libError('Attempt to modify a readonly table')
}

// Calls

/** A function to call in place of a value that is none; it raises, if at all, only when it is called. */
function $cl(value: LuaValue, description: string): LuaFunction {
  if (typeof value === 'function') return value
  const handler = metamethod(value, '__call')
  if (typeof handler === 'function') return (...args) => callValue(handler, value, ...args)
  return () => {
    throw typeError('call', value, description)
  }
}

function $mt(object: LuaValue, name: string, description: string): LuaFunction {
  const method = $gs(object, name, description)
  return typeof method === 'function' ? method : $cl(method, `m${name}`)
}

function $sp(result: LuaResult): readonly LuaValue[] {
  return result instanceof Array ? result : [result as LuaValue]
}

function $rv(values: readonly LuaValue[]): LuaResult {
  return values.length === 1 ? values[0] : values
}

function $arg(values: readonly LuaValue[]): LuaTable {
  return LuaTable.fromList(values.slice()).init('n', values.length)
}

function $so(): void {
  throw libError('stack overflow')
}

/** The error of `error(value)`; `$er` raises it. */
function $ne(value: LuaValue, position: string, line: number): LuaError {
  if (typeof value === 'string') return new LuaError(position + value, line)
  if (typeof value === 'number') return new LuaError(position + numberToString(value), line)
  return new LuaError(value, line)
}

function $er(value: LuaValue, position: string, line: number): never {
  throw $ne(value, position, line)
}

// Operators

/** The number that arithmetic takes a value for, or undefined. */
export function toNumber(value: LuaValue): number | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'string' ? parseNumber(value) : undefined
}

type Descriptions = [left: string, right: string]

function arithmeticOperands(
  a: LuaValue,
  b: LuaValue,
  event: string,
  names: Descriptions,
): { a: number; b: number } | { result: LuaValue } {
  const x = toNumber(a)
  const y = toNumber(b)
  if (x !== undefined && y !== undefined) return { a: x, b: y }
  const handler = metamethod(a, event) ?? metamethod(b, event)
  if (handler !== undefined) return { result: first(callMetamethod(handler, a, b)) }
  throw x === undefined
    ? typeError('perform arithmetic on', a, names[0])
    : typeError('perform arithmetic on', b, names[1])
}

function $add(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const r = arithmeticOperands(a, b, '__add', [left, right])
  return 'result' in r ? r.result : r.a + r.b
}

function $sub(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const r = arithmeticOperands(a, b, '__sub', [left, right])
  return 'result' in r ? r.result : r.a - r.b
}

function $mul(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const r = arithmeticOperands(a, b, '__mul', [left, right])
  return 'result' in r ? r.result : r.a * r.b
}

function $div(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const r = arithmeticOperands(a, b, '__div', [left, right])
  return 'result' in r ? r.result : r.a / r.b
}

function $mod(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const r = arithmeticOperands(a, b, '__mod', [left, right])
  return 'result' in r ? r.result : r.a - Math.floor(r.a / r.b) * r.b
}

function $pow(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const r = arithmeticOperands(a, b, '__pow', [left, right])
  return 'result' in r ? r.result : $pn(r.a, r.b)
}

/** C's pow: 1 to any power is 1, also to NaN, and so is -1 to ±infinity. */
export function $pn(a: number, b: number): number {
  if (a === 1 || (a === -1 && (b === Number.POSITIVE_INFINITY || b === Number.NEGATIVE_INFINITY))) return 1
  return a ** b
}

function $unm(value: LuaValue, description: string): LuaValue {
  const n = toNumber(value)
  if (n !== undefined) return -n
  const handler = metamethod(value, '__unm')
  if (handler !== undefined) return first(callMetamethod(handler, value, value))
  throw typeError('perform arithmetic on', value, description)
}

function $len(value: LuaValue, description: string): LuaValue {
  if (value instanceof LuaTable) return value.arr.length
  if (typeof value === 'string') return value.length
  throw typeError('get length of', value, description)
}

function $cat(a: LuaValue, b: LuaValue, left: string, right: string): LuaValue {
  const isTextA = typeof a === 'string' || typeof a === 'number'
  if (isTextA && (typeof b === 'string' || typeof b === 'number')) {
    return $jo((typeof a === 'string' ? a : numberToString(a)) + (typeof b === 'string' ? b : numberToString(b)))
  }
  const handler = metamethod(a, '__concat') ?? metamethod(b, '__concat')
  if (handler !== undefined) return first(callMetamethod(handler, a, b))
  throw isTextA ? typeError('concatenate', b, right) : typeError('concatenate', a, left)
}

/** A string that was put together. */
function $jo(text: string): string {
  return text.length > FREE_CHARS_MAX ? joined(text) : text
}

/** `a == b` for values that are not identical. */
function $eq(a: LuaValue, b: LuaValue): boolean {
  if (!(a instanceof LuaTable) || !(b instanceof LuaTable) || a.meta === null || b.meta === null) return false
  const handler = a.meta.getString('__eq')
  if (handler === undefined || (a.meta !== b.meta && b.meta.getString('__eq') !== handler)) return false
  return isTrue(first(callMetamethod(handler, a, b)))
}

function isTrue(value: LuaValue): boolean {
  return value !== undefined && value !== false
}

function orderHandler(a: LuaValue, b: LuaValue, event: string): LuaValue {
  const handler = metamethod(a, event)
  return handler !== undefined && metamethod(b, event) === handler ? handler : undefined
}

function orderProblem(a: LuaValue, b: LuaValue): string {
  const [left, right] = [typeName(a), typeName(b)]
  return left === right ? `attempt to compare two ${left} values` : `attempt to compare ${left} with ${right}`
}

function orderError(a: LuaValue, b: LuaValue): LuaError {
  return libError(orderProblem(a, b))
}

/** `a < b` on behalf of a library function, whose errors carry no position. */
export function lessThanFromHost(a: LuaValue, b: LuaValue): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b
  if (typeof a === 'string' && typeof b === 'string') return a < b
  const handler = typeName(a) === typeName(b) ? orderHandler(a, b, '__lt') : undefined
  if (handler === undefined) throw hostError(orderProblem(a, b))
  return isTrue(first(callValue(handler, a, b)))
}

/** `a < b` */
function lessThan(a: LuaValue, b: LuaValue): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b
  if (typeof a === 'string' && typeof b === 'string') return a < b
  if (typeName(a) !== typeName(b)) throw orderError(a, b)
  const handler = orderHandler(a, b, '__lt')
  if (handler === undefined) throw orderError(a, b)
  return isTrue(first(callMetamethod(handler, a, b)))
}

function $le(a: LuaValue, b: LuaValue): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a <= b
  if (typeof a === 'string' && typeof b === 'string') return a <= b
  if (typeName(a) !== typeName(b)) throw orderError(a, b)
  const handler = orderHandler(a, b, '__le')
  if (handler !== undefined) return isTrue(first(callMetamethod(handler, a, b)))
  const reversed = orderHandler(b, a, '__lt')
  if (reversed === undefined) throw orderError(a, b)
  return !isTrue(first(callMetamethod(reversed, b, a)))
}

// Loops

function $fn(value: LuaValue, what: string): number {
  const n = toNumber(value)
  if (n === undefined)
    throw libError(what === 'initial' ? "'for' initial value must be a number" : `'for' ${what} must be a number`)
  return n
}

/** A step of a generic `for`: Lua nests the call of the iterator as one of C. */
function $it(iterator: LuaFunction, state: LuaValue, control: LuaValue): LuaResult {
  enterNested()
  const result = iterator(state, control)
  leaveNested()
  return result
}

/** The state of a `pairs` loop. */
export class PairsCursor {
  key: LuaValue
  value: LuaValue
  private readonly table: LuaTable
  private position: number
  private keys: Iterator<LuaValue> | null

  constructor(table: LuaTable) {
    this.key = undefined
    this.value = undefined
    this.table = table
    this.position = 0
    this.keys = null
  }

  /** Goes on to the next entry; false at the end. */
  next(): boolean {
    const arr = this.table.arr
    while (this.position < arr.length) {
      const value = arr[this.position++]
      if (value !== undefined) {
        this.key = this.position
        this.value = value
        return true
      }
    }
    return this.nextHashed()
  }

  private nextHashed(): boolean {
    const hash = this.table.hash
    if (hash === null) return false
    if (this.keys === null) {
      this.keys = hash.keys()
      // From here on entries that move to the dense part must not come twice.
      this.position = Number.POSITIVE_INFINITY
    }
    const step = this.keys.next()
    if (step.done === true) return false
    this.key = step.value
    this.value = hash.get(step.value)
    return true
  }
}

function tableArgument(value: LuaValue, functionName: string): LuaTable {
  if (value instanceof LuaTable) return value
  throw argumentError(1, functionName, `table expected, got ${typeName(value)}`)
}

function $pc(table: LuaValue): PairsCursor {
  return new PairsCursor(tableArgument(table, 'pairs'))
}

function $nc(table: LuaValue): PairsCursor {
  return new PairsCursor(tableArgument(table, '(for generator)'))
}

function $ip(table: LuaValue): LuaTable {
  return tableArgument(table, 'ipairs')
}

// Table constructors

function $ti(table: LuaTable, key: LuaValue, value: LuaValue): LuaTable {
  rawSet(table, key, value)
  return table
}

/** As `$ti` in a constructor that also has positional items: number keys stay aside until `$td`. */
function $tk(table: LuaTable, key: LuaValue, value: LuaValue): LuaTable {
  if (typeof key !== 'number' || Number.isNaN(key)) return $ti(table, key, value)
  if (table.hash === null) table.hash = new Map()
  table.hash.set(key, value)
  table.hashNumberCount = 1
  return table
}

/** Adds a positional item, nil included: `$td` drops nils at the end. */
function $tp(table: LuaTable, value: LuaValue): LuaTable {
  table.arr.push(value)
  return table
}

function $ta(table: LuaTable, values: readonly LuaValue[]): LuaTable {
  for (const value of values) table.arr.push(value)
  return table
}

/** Ends a constructor with positional and keyed items: positional ones win over equal integer keys. */
function $td(table: LuaTable): LuaTable {
  const { arr } = table
  if (table.hashNumberCount === 0 && (arr.length === 0 || arr[arr.length - 1] !== undefined)) return table
  const count = arr.length
  const done = LuaTable.fromList(arr)
  for (const [key, value] of table.hash ?? []) {
    const isPositional = typeof key === 'number' && key >= 1 && key <= count && Math.floor(key) === key
    if (!isPositional) done.set(key, value)
  }
  return done
}

const $k = (): number => hooks.tick()

/** Everything compiled code may refer to, by the name it uses. */
export const HELPERS = {
  $jo,
  $D: libraryDepth,
  $E: NO_RESULTS,
  $T: LuaTable,
  $add,
  $arg,
  $cat,
  $cl,
  $div,
  $eq,
  $er,
  $fn,
  $ga,
  $gc,
  $gg,
  $gn,
  $gs,
  $gw,
  $gx,
  $ip,
  $it,
  $k,
  $le,
  $len,
  $lt: lessThan,
  $mk,
  $mod,
  $mt,
  $mul,
  $nc,
  $ne,
  $pc,
  $pn,
  $pow,
  $rv,
  $sa,
  $sn,
  $so,
  $sp,
  $ss,
  $sub,
  $ta,
  $td,
  $ti,
  $tk,
  $tp,
  $unm,
} as const

export type HelperName = keyof typeof HELPERS
