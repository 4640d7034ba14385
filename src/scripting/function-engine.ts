/**
 * The engine of functions: compiles libraries, has them register their functions, and runs those. Apart from the engine
 * of EVAL scripts, as in Redis: libraries have globals of their own.
 *
 * A library's code runs once, when it is loaded, and sees little more than `redis.register_function` then; its functions
 * see everything but that when they are called. The same code may be reached in both phases, so names of globals are
 * looked up when they are used, in `hooks.globals`, and not bound by the compiler. Source: Redis src/function_lua.c.
 */
import type { ReplySink } from '../resp/reply.ts'
import { FunctionError, type FunctionLibrary, type LibraryFunction } from './function-library.ts'
import { createRegisterFunction, type Registry } from './function-registration.ts'
import { first } from './lua/call.ts'
import { type CompiledLibrary, type CompileOptions, compile, compileLibrary } from './lua/compile.ts'
import { LuaCompileError } from './lua/lexer.ts'
import { hooks } from './lua/runtime.ts'
import { createGlobals, sealGlobals, sealStrictly } from './lua/sandbox.ts'
import { LuaTable } from './lua/table.ts'
import { type LuaValue, ScriptAborted } from './lua/value.ts'
import { replyFailure, replyLuaValue } from './lua-reply.ts'
import { createFunctionLibrary, createLoadLibrary } from './redis-library.ts'
import { type EngineHost, failureText, libraryTable, raisedText } from './script-engine.ts'

/** The engine's name, as FUNCTION LIST and STATS have it. */
export const ENGINE_NAME = 'LUA'
/** How error positions name code of libraries. */
const CHUNK_NAME = 'user_function'
/** Steps of a library that is being loaded between two looks at the clock. */
const LOAD_TICK_STEPS = 10_000

export class FunctionEngine {
  private readonly host: EngineHost
  /** What functions see, and what libraries see while they are loaded. */
  private readonly globals: LuaTable
  private readonly loadGlobals: LuaTable = new LuaTable()
  private readonly stringMethods: LuaTable
  private readonly options: CompileOptions
  /** What the library that is being loaded has registered; null when none is. */
  private registry: Registry | null = null

  constructor(host: EngineHost) {
    this.host = host
    this.globals = createGlobals((source, chunkName) => {
      const chunk = compile(source, { ...this.options, chunkName })
      return (...args) => chunk(undefined, undefined, args)
    })
    this.globals.setString('redis', createFunctionLibrary(host))
    this.stringMethods = libraryTable(this.globals, 'string')
    sealGlobals(this.globals)
    const api = createLoadLibrary(
      host,
      createRegisterFunction(() => this.registry),
    )
    sealStrictly(api)
    this.loadGlobals.setString('redis', api)
    sealStrictly(this.loadGlobals)
    this.options = { chunkName: CHUNK_NAME, globals: null, stringMethods: this.stringMethods }
  }

  /**
   * Runs the code of a library, which registers its functions.
   *
   * @param body the source without its first line
   * @param limitMs how long that may take; 0: as long as it likes
   * @throws FunctionError
   */
  load(name: string, source: string, body: string, limitMs: number): FunctionLibrary {
    const compiled = this.compile(body)
    const functions: Registry = new Map()
    const startMs = performance.now()
    this.prepare(this.loadGlobals, () => {
      if (limitMs > 0 && performance.now() - startMs > limitMs) throw new ScriptAborted('ERR FUNCTION LOAD timeout')
      return LOAD_TICK_STEPS
    })
    this.registry = functions
    try {
      compiled.run()
    } catch (error) {
      throw new FunctionError(`Error registering functions: ${raisedText(error)}`)
    } finally {
      this.registry = null
    }
    if (functions.size === 0) throw new FunctionError('No functions registered')
    return { name, source, functions, resetDepth: () => compiled.resetDepth() }
  }

  /** Runs a function and replies what it returns, or the error it raised. Other exceptions than Lua's pass through. */
  run(library: FunctionLibrary, fn: LibraryFunction, keys: LuaValue[], argv: LuaValue[], reply: ReplySink): void {
    this.prepare(this.globals, () => this.host.tick())
    library.resetDepth()
    let value: LuaValue
    try {
      value = first(fn.callback(new LuaTable(keys), new LuaTable(argv)))
    } catch (error) {
      replyFailure(error, failureText(error, fn.name, CHUNK_NAME), reply, this.host)
      return
    }
    replyLuaValue(value, reply, this.host)
  }

  private compile(body: string): CompiledLibrary {
    try {
      return compileLibrary(body, this.options)
    } catch (error) {
      if (error instanceof LuaCompileError) throw new FunctionError(`Error compiling function: ${error.message}`)
      throw error
    }
  }

  private prepare(globals: LuaTable, tick: () => number): void {
    hooks.globals = globals
    hooks.stringMethods = this.stringMethods
    hooks.tick = tick
  }
}
