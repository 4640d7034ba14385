/**
 * Calling Lua values from host code: metamethods, callbacks of library functions, protected calls.
 *
 * Calls from host code nest in the JavaScript stack without the caller counting, so their depth is limited here, as Lua
 * limits nested C calls.
 */
import { LuaTable } from './table.ts'
import {
  hostError,
  LuaError,
  type LuaFunction,
  type LuaResult,
  type LuaValue,
  libError,
  ScriptAborted,
  typeName,
} from './value.ts'

/** Nested calls of Lua functions by host functions (LUAI_MAXCCALLS). */
const HOST_CALLS_MAX = 195

let hostCalls = 0

/** The first result of a call, or nil. */
export function first(result: LuaResult): LuaValue {
  return result instanceof Array ? result[0] : (result as LuaValue)
}

/** The results of a call as a list. */
export function listOf(result: LuaResult): readonly LuaValue[] {
  return result instanceof Array ? result : [result as LuaValue]
}

/** The handler of an event for a value, or nil. Only tables have metatables that scripts can set. */
export function metamethod(value: LuaValue, event: string): LuaValue {
  return value instanceof LuaTable && value.meta !== null ? value.meta.getString(event) : undefined
}

/** How many calls from host code are under way. Who catches an error gives it back to `restoreHostCalls`. */
export function currentHostCalls(): number {
  return hostCalls
}

/**
 * Sets the number of calls from host code back to what it was before an error was raised. Counting down while the error
 * passes would take a `finally` in each call, which costs as much as raising it.
 */
export function restoreHostCalls(count: number): void {
  hostCalls = count
}

/** Library functions call from C, so the error has no position. */
function enterHostCall(): void {
  if (hostCalls >= HOST_CALLS_MAX) throw hostError('C stack overflow')
  hostCalls++
}

/** Before Lua code nests a call of its own: of an iterator or a metamethod. */
export function enterNested(): void {
  if (hostCalls >= HOST_CALLS_MAX) throw libError('C stack overflow')
  hostCalls++
}

export function leaveNested(): void {
  hostCalls--
}

/**
 * Runs a library function that calls back many times as one nested call: counted once, so that callbacks cost nothing
 * more, and still limited.
 */
export function nested<T>(run: () => T): T {
  enterHostCall()
  const result = run()
  hostCalls--
  return result
}

/** Calls any value as a function. */
export function callValue(value: LuaValue, ...args: LuaValue[]): LuaResult {
  const fn = typeof value === 'function' ? value : callHandler(value)
  enterHostCall()
  const result = typeof value === 'function' ? fn(...args) : fn(value, ...args)
  hostCalls--
  return result
}

/** As `callValue`, on behalf of Lua code. */
export function callMetamethod(value: LuaValue, ...args: LuaValue[]): LuaResult {
  const fn = typeof value === 'function' ? value : callHandler(value)
  enterNested()
  const result = typeof value === 'function' ? fn(...args) : fn(value, ...args)
  hostCalls--
  return result
}

function callHandler(value: LuaValue): LuaFunction {
  const handler = metamethod(value, '__call')
  if (typeof handler === 'function') return handler
  throw hostError(`attempt to call a ${typeName(value)} value`)
}

/**
 * The error value of something caught, for `pcall`: Lua errors and the two limits of the JavaScript engine that a script
 * can reach. Everything else, above all `ScriptAborted`, is thrown on.
 */
export function caughtValue(error: unknown): LuaValue {
  if (error instanceof LuaError) return error.value
  const message = limitReached(error)
  if (message !== null) return message
  throw error
}

/** Lua's wording when a JavaScript error means that a limit was reached, or null. */
export function limitReached(error: unknown): string | null {
  if (error instanceof ScriptAborted || !(error instanceof RangeError)) return null
  return error.message.startsWith('Maximum call stack') ? 'stack overflow' : 'not enough memory'
}
