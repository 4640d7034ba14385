/** The basic functions of Lua 5.1, as far as Redis' sandbox has them. Source: lbaselib.c; pcall: Redis script_lua.c. */
import { anyArg, functionArg, intArg, optionalInt, stringArg, tableArg } from './args.ts'
import { describeBuiltin } from './builtins.ts'
import { callValue, caughtValue, currentHostCalls, first, listOf, metamethod, restoreHostCalls } from './call.ts'
import { charge } from './memory.ts'
import { numberToString, parseNumber } from './number-format.ts'
import { positionPrefix } from './position.ts'
import { hooks, index, rawSetFromHost } from './runtime.ts'
import { LuaTable } from './table.ts'
import {
  argumentError,
  hostError,
  LuaError,
  type LuaFunction,
  type LuaResult,
  type LuaThread,
  LuaUserdata,
  type LuaValue,
  libError,
  NO_RESULTS,
  typeName,
} from './value.ts'

/** Compiles a chunk for `loadstring`; throws `LuaCompileError`. The chunk name is a display name, such as `[string "x"]`. */
/** What a piece of a source takes beside its text until the whole is read, and the time that it takes. */
const PIECE_BYTES = 1024

export type ChunkLoader = (source: string, chunkName: string) => LuaFunction

/** Values that `unpack` returns at most: what Lua's C stack holds. */
const UNPACK_MAX = 7999
/** Length of the name of a chunk in messages (LUA_IDSIZE), and in those of the compiler (MAXSRC). */
const CHUNK_ID_SIZE = 60
const CHUNK_ID_SIZE_COMPILING = 80

const addresses = new WeakMap<object, number>()
let addressCount = 0

/** A stable made-up address for values that print as one. */
function addressOf(value: object): string {
  let serial = addresses.get(value)
  if (serial === undefined) {
    serial = ++addressCount
    addresses.set(value, serial)
  }
  return `0x${(0x7f0000000000 + serial * 32).toString(16)}`
}

/** A value as `tostring` writes it. */
export function toText(value: LuaValue): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
      return numberToString(value)
    case 'undefined':
      return 'nil'
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return objectText(value)
  }
}

function objectText(value: LuaTable | LuaFunction | LuaUserdata | LuaThread): string {
  const handler = metamethod(value, '__tostring')
  if (handler !== undefined) {
    const text = first(callValue(handler, value))
    if (typeof text === 'string') return text
    if (typeof text === 'number') return numberToString(text)
    throw libError("'tostring' must return a string to 'print'")
  }
  if (value instanceof LuaUserdata) return `userdata: ${value.label}`
  return `${typeName(value)}: ${addressOf(value)}`
}

const luaAssert: LuaFunction = (...args) => {
  const value = anyArg(args, 0, 'assert')
  if (value !== undefined && value !== false) return args.length === 1 ? value : args
  // The message is printed as a C string.
  throw libError(args[1] === undefined ? 'assertion failed!' : stringArg(args, 1, 'assert').split('\0', 1)[0]!)
}

const luaError: LuaFunction = (...args) => {
  const value = args[0]
  const level = optionalInt(args, 1, 'error', 1)
  if ((typeof value !== 'string' && typeof value !== 'number') || level <= 0) {
    throw new LuaError(value, positionPrefix().line)
  }
  const { prefix } = positionPrefix(level)
  throw new LuaError(prefix + toText(value), positionPrefix().line)
}

/** Stack frames by this name mark a protected call (see `position.ts`). */
function luaPcall(...args: LuaValue[]): LuaResult {
  // Redis' pcall puts a place holder where the function should be.
  if (args.length === 0) return [false, 'attempt to call a boolean value']
  const hostCalls = currentHostCalls()
  try {
    const fn = args[0]
    const result = typeof fn === 'function' && args.length === 1 ? callPlain(fn) : callRest(args)
    if (isReturnedError(result)) return failed(result.value)
    return result instanceof Array ? [true, ...result] : [true, result as LuaValue]
  } catch (error) {
    restoreHostCalls(hostCalls)
    return failed(caughtValue(error))
  }
}

/** Functions that only a protected call can call return an error instead of throwing it (see the generator). */
function isReturnedError(result: unknown): result is LuaError {
  return result instanceof LuaError
}

function failed(value: LuaValue): LuaResult {
  if (!(value instanceof LuaTable)) return [false, value]
  // Redis' own pcall: of an error table only its text is left, else what was looked up comes as a third value.
  const text = index(value, 'err')
  return typeof text === 'string' || typeof text === 'number' ? [false, text] : [false, value, text]
}

function callPlain(fn: LuaFunction): LuaResult {
  return callValue(fn)
}

function callRest(args: readonly LuaValue[]): LuaResult {
  return callValue(args[0], ...args.slice(1))
}

function luaXpcall(...args: LuaValue[]): LuaResult {
  if (args.length < 2) throw argumentError(2, 'xpcall', 'value expected')
  const hostCalls = currentHostCalls()
  try {
    const result = callValue(args[0])
    if (isReturnedError(result)) throw result
    return [true, ...listOf(result)]
  } catch (error) {
    restoreHostCalls(hostCalls)
    return [false, handled(args[1], caughtValue(error))]
  }
}

/** What the handler of `xpcall` makes of an error. Where it raises one itself, or cannot be called, there is only this. */
function handled(handler: LuaValue, value: LuaValue): LuaValue {
  const hostCalls = currentHostCalls()
  try {
    const result = callValue(handler, value)
    if (isReturnedError(result)) throw result
    return first(result)
  } catch (error) {
    restoreHostCalls(hostCalls)
    // What no script catches is thrown on.
    caughtValue(error)
    return 'error in error handling'
  }
}

const luaNext: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'next')
  try {
    return table.next(args[1]) ?? undefined
  } catch {
    // The only thing `LuaTable.next` throws.
    throw hostError("invalid key to 'next'")
  }
}

const luaPairs: LuaFunction = (...args) => [luaNext, tableArg(args, 0, 'pairs'), undefined]

const ipairsStep: LuaFunction = (...args) => {
  const i = intArg(args, 1, 'ipairs') + 1
  const value = tableArg(args, 0, 'ipairs').getNumber(i)
  return value === undefined ? NO_RESULTS : [i, value]
}

const luaIpairs: LuaFunction = (...args) => [ipairsStep, tableArg(args, 0, 'ipairs'), 0]

const luaSelect: LuaFunction = (...args) => {
  if (args[0] === '#') return args.length - 1
  const n = intArg(args, 0, 'select')
  const count = args.length
  const from = n < 0 ? count + n : n > count ? count : n
  if (from < 1) throw argumentError(1, 'select', 'index out of range')
  return args.slice(from)
}

const luaGetmetatable: LuaFunction = (...args) => {
  const value = anyArg(args, 0, 'getmetatable')
  if (typeof value === 'string') return stringMeta()
  if (!(value instanceof LuaTable) || value.meta === null) return undefined
  return value.meta.getString('__metatable') ?? value.meta
}

let stringMetaTable: LuaTable | null = null

/** The metatable of strings: read-only, as a script could otherwise change strings for all later scripts. */
function stringMeta(): LuaTable {
  if (stringMetaTable === null || stringMetaTable.getString('__index') !== hooks.stringMethods) {
    stringMetaTable = new LuaTable().init('__index', hooks.stringMethods)
    stringMetaTable.readonly = true
  }
  return stringMetaTable
}

const luaSetmetatable: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'setmetatable')
  const meta = args[1]
  if (!(meta instanceof LuaTable) && (meta !== undefined || args.length < 2)) {
    throw argumentError(2, 'setmetatable', 'nil or table expected')
  }
  if (table.meta !== null && table.meta.getString('__metatable') !== undefined) {
    throw libError('cannot change a protected metatable')
  }
  if (table.readonly) throw hostError('Attempt to modify a readonly table')
  table.meta = meta ?? null
  return table
}

const luaTonumber: LuaFunction = (...args) => {
  const base = optionalInt(args, 1, 'tonumber', 10)
  if (base === 10) {
    const value = anyArg(args, 0, 'tonumber')
    return typeof value === 'number' ? value : typeof value === 'string' ? parseNumber(value) : undefined
  }
  const text = stringArg(args, 0, 'tonumber')
  if (base < 2 || base > 36) throw argumentError(2, 'tonumber', 'base out of range')
  return parseInBase(text, base)
}

/** strtoul: spaces, sign, digits of the base, an optional 0x for base 16, spaces. */
function parseInBase(text: string, base: number): number | undefined {
  const match = /^[ \t-\r]*([+-]?)(0[xX])?([\da-zA-Z]*)[ \t-\r]*(?:$|\0)/.exec(text)
  if (match === null) return undefined
  const digits = match[2] !== undefined && base !== 16 ? match[2] + match[3]! : match[3]!
  if (digits === '') return undefined
  let value = 0n
  for (const char of digits.toLowerCase()) {
    const digit = Number.parseInt(char, 36)
    if (digit >= base) return undefined
    value = value * BigInt(base) + BigInt(digit)
  }
  if (value > 0xffffffffffffffffn) value = 0xffffffffffffffffn
  else if (match[1] === '-') value = BigInt.asUintN(64, -value)
  return Number(value)
}

const luaUnpack: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'unpack')
  const from = optionalInt(args, 1, 'unpack', 1)
  const to = optionalInt(args, 2, 'unpack', table.arr.length)
  if (from > to) return NO_RESULTS
  if (to - from >= UNPACK_MAX) throw libError('too many results to unpack')
  if (from === 1 && to === table.arr.length) return table.arr.slice()
  const values: LuaValue[] = []
  for (let i = from; i <= to; i++) values.push(table.getNumber(i))
  return values
}

const luaRawset: LuaFunction = (...args) => {
  const table = tableArg(args, 0, 'rawset')
  rawSetFromHost(table, anyArg(args, 1, 'rawset'), anyArg(args, 2, 'rawset'))
  return table
}

const luaCollectgarbage: LuaFunction = (...args) => {
  const option = args[0] === undefined ? 'collect' : stringArg(args, 0, 'collectgarbage')
  switch (option) {
    case 'count':
      return 40 // the heap is not the script's own; a plausible constant in KB
    case 'step':
      return true
    case 'stop':
    case 'restart':
    case 'collect':
    case 'setpause':
    case 'setstepmul':
      return 0
    default:
      throw argumentError(1, 'collectgarbage', `invalid option '${option}'`)
  }
}

/** How messages name a chunk that `loadstring` was given, as luaO_chunkid. */
function chunkId(name: string, size: number): string {
  if (name.startsWith('=')) return name.slice(1, size)
  if (name.startsWith('@')) {
    const path = name.slice(1)
    const room = size - 8
    return path.length > room ? `...${path.slice(path.length - room)}` : path
  }
  const end = name.search(/[\n\r]/)
  const room = size - 17
  const line = end < 0 ? name : name.slice(0, end)
  if (end >= 0 || line.length > room) return `[string "${line.slice(0, room)}..."]`
  return `[string "${line}"]`
}

function loadText(load: ChunkLoader, source: string, fullName: string): LuaResult {
  // A C string.
  const name = fullName.split('\0', 1)[0]!
  // Bytecode is refused without a word.
  if (source.startsWith('\x1b')) return [undefined, 'attempt to load chunk with wrong mode']
  const shortName = chunkId(name, CHUNK_ID_SIZE)
  try {
    return load(source, shortName)
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'LuaCompileError') throw error
    const { message } = error
    // A limit that was reached has no position.
    if (!message.startsWith(shortName)) return [undefined, message]
    return [undefined, chunkId(name, CHUNK_ID_SIZE_COMPILING) + message.slice(shortName.length)]
  }
}

function createLoad(load: ChunkLoader): LuaFunction {
  return (...args) => {
    const reader = functionArg(args, 0, 'load')
    const name = args[1] === undefined ? '=(load)' : stringArg(args, 1, 'load')
    let source = ''
    for (;;) {
      const piece = first(callValue(reader))
      if (piece === undefined || piece === '') break
      if (typeof piece !== 'string') return [undefined, 'reader function must return a string']
      // Nobody counts the steps of a reader that never ends.
      charge(piece.length + PIECE_BYTES)
      source += piece
    }
    return loadText(load, source, name)
  }
}

function createLoadstring(load: ChunkLoader): LuaFunction {
  return (...args) => {
    const source = stringArg(args, 0, 'loadstring')
    return loadText(load, source, args[1] === undefined ? source : stringArg(args, 1, 'loadstring'))
  }
}

/** Puts the basic functions into a table of globals. */
export function installBaseLib(globals: LuaTable, load: ChunkLoader): void {
  const luaType: LuaFunction = (...args) => typeName(anyArg(args, 0, 'type'))
  const luaTostring: LuaFunction = (...args) => {
    const value = anyArg(args, 0, 'tostring')
    const handler = metamethod(value, '__tostring')
    // The handler's result is not checked, whatever its type.
    return handler === undefined ? toText(value) : first(callValue(handler, value))
  }
  const rawequal: LuaFunction = (...args) => anyArg(args, 0, 'rawequal') === anyArg(args, 1, 'rawequal')
  const rawget: LuaFunction = (...args) => tableArg(args, 0, 'rawget').get(anyArg(args, 1, 'rawget'))
  globals
    .init('_VERSION', 'Lua 5.1')
    .init('assert', luaAssert)
    .init('collectgarbage', luaCollectgarbage)
    .init('error', luaError)
    .init('gcinfo', () => 40)
    .init('getmetatable', luaGetmetatable)
    .init('ipairs', luaIpairs)
    .init('load', createLoad(load))
    .init('loadstring', createLoadstring(load))
    .init('next', luaNext)
    .init('pairs', luaPairs)
    .init('pcall', luaPcall)
    .init('rawequal', rawequal)
    .init('rawget', rawget)
    .init('rawset', luaRawset)
    .init('select', luaSelect)
    .init('setmetatable', luaSetmetatable)
    .init('tonumber', luaTonumber)
    .init('tostring', luaTostring)
    .init('type', luaType)
    .init('unpack', luaUnpack)
    .init('xpcall', luaXpcall)
  describeBuiltin(luaError, { inline: 'error' })
  describeBuiltin(luaNext, { inline: 'next' })
  describeBuiltin(luaPairs, { inline: 'pairs' })
  describeBuiltin(luaIpairs, { inline: 'ipairs' })
  describeBuiltin(luaSelect, { inline: 'select' })
  describeBuiltin(luaPcall, { inline: 'protected', callsLua: true })
  describeBuiltin(luaXpcall, { inline: 'protected', callsLua: true })
  describeBuiltin(luaGetmetatable, { isSingle: true })
  describeBuiltin(rawequal, { isSingle: true, type: 'b' })
  describeBuiltin(rawget, { isSingle: true })
  describeBuiltin(luaRawset, { isSingle: true, type: 't' })
  describeBuiltin(luaSetmetatable, { isSingle: true, type: 't' })
  describeBuiltin(luaTonumber, { isSingle: true })
  describeBuiltin(luaTostring, { isSingle: true, callsLua: true })
  describeBuiltin(luaType, { isSingle: true, type: 's' })
}
