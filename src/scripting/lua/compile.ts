/**
 * From Lua source to something that runs: parse, generate, let V8 compile. A compiled chunk is independent of any run
 * and can be cached.
 */
import { limitReached } from './call.ts'
import { type GeneratedCode, generate } from './generator.ts'
import { LuaCompileError } from './lexer.ts'
import { NO_MEMORY } from './memory.ts'
import { parseChunk } from './parser.ts'
import { rememberChunk, SOURCE_PREFIX } from './position.ts'
import { HELPERS } from './runtime.ts'
import type { LuaTable } from './table.ts'
import { type LuaFunction, type LuaResult, type LuaValue, ScriptAborted } from './value.ts'
import { isWalkable, walkScript } from './walk.ts'

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
  /**
   * Whether it may never run again. Then it is walked where it can be, see `walk.ts`; and else sources that only differ in
   * their numbers and strings share what V8 compiles, which takes four times as long as all else but runs a little slower.
   */
  readonly runsOnce: boolean
}

/** Runs the chunk with its KEYS and ARGV, and with what `...` is. Throws `LuaError`, or what the tick hook threw. */
export type CompiledChunk = (keys: LuaValue, argv: LuaValue, values: readonly LuaValue[]) => LuaResult

/** The function that V8 makes of a generated text. */
type Run = (...args: unknown[]) => LuaResult

/** Texts kept for other sources; all go when there are more, as that only happens with sources of many makes. */
const SHARED_MAX = 200
/** Longer sources than this are not made from one pattern with other values, and are worth compiling. */
const ONCE_SOURCE_CHARS_MAX = 2000

const shared = new Map<string, Run>()
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
  const sharesText = options.runsOnce && source.length <= ONCE_SOURCE_CHARS_MAX
  if (sharesText && options.globals !== null && isWalkable(chunk)) {
    const { chunkName, globals, stringMethods } = options
    const walk = { chunkName, globals, stringMethods }
    return (keys, argv, varargs) => walkScript(chunk, walk, keys, argv, varargs)
  }
  const isCoroutineMode = chunk.globals.has('coroutine') || chunk.globals.has('_G')
  const code = generate(chunk, { ...options, isCoroutineMode, sharesText })
  const run = sharesText ? sharedRun(code, options.chunkName) : makeRun(parameters(code), code.body, options.chunkName)
  const values: unknown[] = [...code.helpers.map((name) => HELPERS[name]), ...code.constants, ...code.literals]
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

function parameters({ helpers, constants, literals }: GeneratedCode): string {
  let names = ''
  for (const helper of helpers) names += `${helper},`
  for (let i = 0; i < constants.length; i++) names += `$c${i},`
  for (let i = 0; i < literals.length; i++) names += `$q${i},`
  return `${names}$KEYS,$ARGV,$V`
}

function sharedRun(code: GeneratedCode, chunkName: string): Run {
  const params = parameters(code)
  const key = `${chunkName}\n${params}\n${code.body}`
  let run = shared.get(key)
  if (run === undefined) {
    run = makeRun(params, code.body, chunkName)
    if (shared.size >= SHARED_MAX) shared.clear()
    shared.set(key, run)
  }
  return run
}

function makeRun(params: string, body: string, chunkName: string): Run {
  const url = `${SOURCE_PREFIX}${++serial}:${sourceName(chunkName)}`
  // The one place where text becomes code; the generator lets no script text through but escaped literals.
  const run = new Function(params, `${body}\n//# sourceURL=${url}`) as Run
  rememberChunk(serial, run)
  return run
}
