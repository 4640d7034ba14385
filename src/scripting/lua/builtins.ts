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
  /**
   * A function to call in its place, without the first argument, where that is a string constant: lets a host look a
   * command up once per script instead of once per call.
   */
  /** The variant for method calls, whose argument errors do not count the object; null when there is none. */
  readonly asMethod: LuaFunction | null
  readonly specialize: ((first: string) => LuaFunction | null) | null
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
