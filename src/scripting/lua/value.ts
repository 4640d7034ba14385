/**
 * Lua values as JavaScript values, and the calling convention of Lua functions. Hot path.
 *
 * | Lua            | JavaScript                                                             |
 * |----------------|------------------------------------------------------------------------|
 * | nil            | `undefined` (never `null`)                                             |
 * | boolean        | boolean                                                                |
 * | number         | number (a double, as in Lua 5.1)                                       |
 * | string         | byte string: a primitive string whose chars are all 0–255              |
 * | table          | `LuaTable`                                                             |
 * | function       | a plain JavaScript function                                            |
 * | light userdata | `LuaUserdata` (`cjson.null`)                                           |
 * | thread         | `LuaThread`                                                            |
 *
 * Calling convention: Lua arguments are JavaScript arguments (a missing one is `undefined`; who must tell a missing
 * argument from nil takes rest parameters). A function returns
 *   - the bare value for exactly one result (`return undefined` is ONE result, nil),
 *   - a JavaScript array for none (`NO_RESULTS`) or for two and more results.
 * An array is never a Lua value itself, so `r instanceof Array` tells the two apart; an array of one is accepted too.
 * Results are read-only for the receiver: it copies what it keeps.
 *
 * Errors: a library throws `libError('…')`, which puts the script position (`user_script:3: `) in front exactly when
 * real Lua would (`luaL_error`), or `new LuaError(value)` where the value must stay as it is. Argument errors are
 * `argumentError(1, 'rep', "string expected, got nil")`. Nothing else may be thrown by a library except `ScriptAborted`,
 * which no pcall catches.
 */
import { positionPrefix } from './position.ts'
import type { LuaTable } from './table.ts'

export type LuaValue = undefined | boolean | number | string | LuaTable | LuaFunction | LuaUserdata | LuaThread

/** What a call returns: the bare value for one result, an array for none or several. */
export type LuaResult = LuaValue | readonly LuaValue[]

export type LuaFunction = (...args: LuaValue[]) => LuaResult

/** The result list of a function that returns nothing. */
export const NO_RESULTS: readonly LuaValue[] = []

/** An opaque value that is only equal to itself. */
export class LuaUserdata {
  /** What `tostring` answers after `userdata: `. */
  readonly label: string

  constructor(label: string) {
    this.label = label
  }
}

/** A coroutine; `coroutine.ts` gives it its behaviour. */
export abstract class LuaThread {
  abstract status(): string
}

/**
 * A raised Lua error. Not a JavaScript `Error`: raising one must not capture a stack, as scripts use pcall/error in
 * normal operation. `line` is the script line where it was raised when the raiser knew it, else 0.
 */
export class LuaError {
  readonly value: LuaValue
  line: number

  constructor(value: LuaValue, line = 0) {
    this.value = value
    this.line = line
  }
}

/** Thrown by the tick hook to end a script: no Lua code can catch it. */
export class ScriptAborted {
  readonly message: string
  /** The script line that was running, or 0. */
  readonly line: number

  constructor(message: string) {
    this.message = message
    this.line = positionPrefix().scriptLine
  }
}

/** An error raised by library code with the position of the calling script line in front, as `luaL_error`. */
export function libError(message: string): LuaError {
  const where = positionPrefix()
  return new LuaError(where.prefix + message, where.line)
}

/** An error of the interpreter itself while a library function runs: no position in the text, as `luaG_runerror` in C. */
export function hostError(message: string): LuaError {
  return new LuaError(message, positionPrefix().line)
}

/**
 * `bad argument #1 to 'rep' (string expected, got nil)`, as `luaL_argerror`. A name with a colon in front stands for a
 * method call: there the object itself does not count.
 */
export function argumentError(index: number, functionName: string, problem: string): LuaError {
  const where = positionPrefix()
  // What a protected call has called has no name.
  if (where.isHidden) return new LuaError(`bad argument #${index} to '?' (${problem})`, where.line)
  if (functionName.startsWith(':')) {
    const name = functionName.slice(1)
    if (index === 1) return libError(`calling '${name}' on bad self (${problem})`)
    return libError(`bad argument #${index - 1} to '${name}' (${problem})`)
  }
  const called = where.calledAs() ?? `f${functionName}`
  const name = called === '' ? '?' : called.slice(1).split('\0', 1)[0]!
  if (!called.startsWith('m'))
    return new LuaError(`${where.prefix}bad argument #${index} to '${name}' (${problem})`, where.line)
  if (index === 1) return libError(`calling '${name}' on bad self (${problem})`)
  return libError(`bad argument #${index - 1} to '${name}' (${problem})`)
}

/** The Lua type name of a value, as `type()` answers it. */
export function typeName(value: LuaValue): string {
  switch (typeof value) {
    case 'undefined':
      return 'nil'
    case 'boolean':
      return 'boolean'
    case 'number':
      return 'number'
    case 'string':
      return 'string'
    case 'function':
      return 'function'
    default:
      return value instanceof LuaUserdata ? 'userdata' : value instanceof LuaThread ? 'thread' : 'table'
  }
}
