/**
 * From Lua source to something that runs: parse, generate, let V8 compile. A compiled chunk is independent of any run
 * and can be cached.
 */

import { limitReached } from './call.ts'
import { generate } from './generator.ts'
import { LuaCompileError } from './lexer.ts'
import { NO_MEMORY } from './memory.ts'
import { parseChunk } from './parser.ts'
import { SOURCE_PREFIX } from './position.ts'
import { HELPERS } from './runtime.ts'
import type { LuaTable } from './table.ts'
import { type LuaFunction, type LuaResult, type LuaValue, ScriptAborted } from './value.ts'

export interface CompileOptions {
  /** How positions name the chunk: `user_script` in `user_script:1: …`. */
  readonly chunkName: string
  /** Read-only globals that names are bound to, or null to look names up in `hooks.globals` at run time. */
  readonly globals: LuaTable | null
  /** Those that names outside of functions are bound to, when they differ: a library while it is loaded. Else null. */
  readonly mainGlobals: LuaTable | null
  /**
   * Whether functions of the chunk may be called after it has run: the call depth is in `libraryDepth` then, and `KEYS`
   * and `ARGV` are no names of globals.
   */
  readonly isLibrary: boolean
  /** The `string` library. */
  readonly stringMethods: LuaTable
}

/** Runs the chunk with its KEYS and ARGV, and with what `...` is. Throws `LuaError`, or what the tick hook threw. */
export type CompiledChunk = (keys: LuaValue, argv: LuaValue, values: readonly LuaValue[]) => LuaResult

let serial = 0

/** A source URL must hold neither spaces nor quotes. */
function sourceName(chunkName: string): string {
  return encodeURIComponent(chunkName).replaceAll("'", '%27')
}

/** Compiles a chunk. Throws `LuaCompileError`. */
export function compile(source: string, options: CompileOptions): CompiledChunk {
  try {
    return compileChunk(source, options)
  } catch (error) {
    const limit = error instanceof ScriptAborted ? NO_MEMORY : limitReached(error)
    if (limit === null) throw error
    throw new LuaCompileError(limit)
  }
}

function compileChunk(source: string, options: CompileOptions): CompiledChunk {
  const chunk = parseChunk(source, options.chunkName)
  const { globals } = chunk
  const isCoroutineMode = globals.has('coroutine') || globals.has('_G')
  const code = generate(chunk, { ...options, isCoroutineMode })
  const params: string[] = [...code.helpers, ...code.constants.map((_, i) => `$c${i}`), '$KEYS', '$ARGV', '$V']
  const body = `${code.body}\n//# sourceURL=${SOURCE_PREFIX}${++serial}:${sourceName(options.chunkName)}`
  // The one place where text becomes code; the generator lets no script text through but escaped literals.
  const run = new Function(...params, body) as (...args: unknown[]) => LuaResult
  const values: unknown[] = [...code.helpers.map((name) => HELPERS[name]), ...code.constants]
  const count = values.length
  values.push(undefined, undefined, undefined)
  return (keys, argv, varargs) => {
    values[count] = keys
    values[count + 1] = argv
    values[count + 2] = varargs
    const result = run.apply(undefined, values)
    return isCoroutineMode ? (result as LuaFunction)() : result
  }
}
