/**
 * What the compiler knows about library functions, beyond calling them. A library function without an entry works; with
 * one, calls to it compile to less code.
 */
import type { StaticType } from './ast.ts'
import type { LuaFunction } from './value.ts'

/** Special code that the generator has for a function. */
export type InlineForm = 'floor' | 'error' | 'select' | 'pairs' | 'ipairs' | 'next' | 'protected' | 'yield'

export interface BuiltinInfo {
  /** It returns exactly one value each time. */
  readonly isSingle: boolean
  /** Static type of that value, '' when it varies. */
  readonly type: StaticType
  readonly inline: InlineForm | null
  /** Whether it may call back into Lua. */
  readonly callsLua: boolean
  /** The variant for method calls, whose argument errors do not count the object; null when there is none. */
  readonly asMethod: LuaFunction | null
  /**
   * A function to call in its place where the first argument is a string constant; it gets the arguments that are not
   * constant only. Lets a host look a command up, and encode what is known, once per script instead of once per call.
   */
  readonly specialize: ((shape: CallShape) => LuaFunction | null) | null
}

/** What is known of a call when it is compiled. */
export interface CallShape {
  readonly first: string
  /** The other arguments; null: not known. When the last one may stand for any number of values, this is null. */
  readonly rest: readonly (string | number | null)[] | null
  /** Whether nothing is done with what it returns. */
  readonly isStatement: boolean
}

const known = new WeakMap<LuaFunction, BuiltinInfo>()

const DEFAULTS: BuiltinInfo = {
  isSingle: false,
  type: '',
  inline: null,
  callsLua: false,
  asMethod: null,
  specialize: null,
}

/** Tells the compiler about a library function. */
export function describeBuiltin(fn: LuaFunction, info: Partial<BuiltinInfo>): void {
  known.set(fn, { ...DEFAULTS, ...info })
}

export function builtinInfo(fn: LuaFunction): BuiltinInfo {
  return known.get(fn) ?? DEFAULTS
}
