/**
 * The engine of functions: compiles libraries, has them register their functions, and runs those. Apart from the engine
 * of EVAL scripts, as in Redis: libraries have globals of their own.
 *
 * A library's code runs when it is loaded, and sees little more than `redis.register_function` then; its functions see
 * everything but that when they are called. A function may be reached in both phases, so the compiler cannot know what a
 * name stands for. But loading cannot go on after it has met a name that is not there: there is no `pcall`. So it is done
 * twice, which nobody can tell, as nothing in it depends on chance:
 *
 *     1. names are looked up when they are used, in `hooks.globals`: this finds what is wrong, and is thrown away
 *     2. names within functions are bound to what these will see: the functions that this registers are fast
 *
 * Source: Redis src/function_lua.c.
 */
import type { ReplySink } from '../resp/reply.ts'
import { FunctionError, type FunctionLibrary, type LibraryFunction } from './function-library.ts'
import { createRegisterFunction, type Registry } from './function-registration.ts'
import { first, restoreHostCalls } from './lua/call.ts'
import { type CompiledChunk, type CompileOptions, compile } from './lua/compile.ts'
import { LuaCompileError } from './lua/lexer.ts'
import { allowance, scriptMemory } from './lua/memory.ts'
import { hooks, libraryDepth } from './lua/runtime.ts'
import { createGlobals, sealGlobals, sealStrictly } from './lua/sandbox.ts'
import { LuaTable } from './lua/table.ts'
import { type LuaValue, NO_RESULTS, ScriptAborted } from './lua/value.ts'
import { replyFailure, replyLuaValue } from './lua-reply.ts'
import { createFunctionLibrary, createLoadLibrary, type Logger } from './redis-library.ts'
import { type EngineHost, failureText, libraryTable, raisedText } from './script-engine.ts'

/** The engine's name, as FUNCTION LIST and STATS have it. */
export const ENGINE_NAME = 'LUA'
/** How error positions name code of libraries. */
const CHUNK_NAME = 'user_function'
/** Steps of a library that is being loaded between two looks at the clock. */
const LOAD_TICK_STEPS = 2000

export class FunctionEngine {
  private readonly host: EngineHost
  /** What functions see, and what libraries see while they are loaded. */
  private readonly globals: LuaTable
  private readonly loadGlobals: LuaTable = new LuaTable()
  private readonly stringMethods: LuaTable
  private readonly dynamicOptions: CompileOptions
  private readonly boundOptions: CompileOptions
  /** What the library that is being loaded has registered; null when none is. */
  private registry: Registry | null = null
  /** Whether the library that is being loaded has logged before what it logs. */
  private isSilent: boolean = false

  constructor(host: EngineHost) {
    this.host = host
    const logger: Logger = { log: (level, text) => this.log(level, text) }
    this.globals = createGlobals((source, chunkName) => {
      const chunk = compile(source, { ...this.boundOptions, mainGlobals: null, chunkName })
      return (...args) => chunk(undefined, undefined, args)
    })
    this.globals.setString('redis', createFunctionLibrary(host, logger))
    this.stringMethods = libraryTable(this.globals, 'string')
    sealGlobals(this.globals)
    const api = createLoadLibrary(
      logger,
      createRegisterFunction(() => this.registry),
    )
    sealStrictly(api)
    this.loadGlobals.setString('redis', api)
    sealStrictly(this.loadGlobals)
    const common = { chunkName: CHUNK_NAME, isLibrary: true, runsOnce: false, stringMethods: this.stringMethods }
    this.dynamicOptions = { ...common, globals: null, mainGlobals: null }
    this.boundOptions = { ...common, globals: this.globals, mainGlobals: this.loadGlobals }
  }

  /**
   * Runs the code of a library, which registers its functions.
   *
   * @param body the source without its first line
   * @param limitMs how long each of the two runs may take; 0: as long as it likes
   * @throws FunctionError
   */
  load(name: string, source: string, body: string, limitMs: number): FunctionLibrary {
    this.register(this.compile(body, this.dynamicOptions), limitMs)
    const compiled = this.compile(body, this.boundOptions)
    this.isSilent = true
    try {
      const functions = this.register(compiled, limitMs)
      return { name, source, functions }
    } finally {
      this.isSilent = false
    }
  }

  /** Runs a library, and returns what it has registered. */
  private register(chunk: CompiledChunk, limitMs: number): Registry {
    const functions: Registry = new Map()
    const startMs = performance.now()
    this.prepare(this.loadGlobals, () => {
      if (limitMs > 0 && performance.now() - startMs > limitMs) throw new ScriptAborted('ERR FUNCTION LOAD timeout')
      scriptMemory.look()
      return LOAD_TICK_STEPS
    })
    this.registry = functions
    try {
      chunk(undefined, undefined, NO_RESULTS)
    } catch (error) {
      restoreHostCalls(0)
      throw new FunctionError(`Error registering functions: ${raisedText(error)}`)
    } finally {
      this.registry = null
    }
    if (functions.size === 0) throw new FunctionError('No functions registered')
    return functions
  }

  /** Runs a function and replies what it returns, or the error it raised. Other exceptions than Lua's pass through. */
  run(fn: LibraryFunction, keys: LuaValue[], argv: LuaValue[], reply: ReplySink): void {
    this.prepare(this.globals, () => this.host.tick())
    let value: LuaValue
    try {
      value = first(fn.callback(new LuaTable(keys), new LuaTable(argv)))
    } catch (error) {
      restoreHostCalls(0)
      this.fail(error, fn, reply)
      return
    }
    const aborted = replyLuaValue(value, reply, this.host)
    if (aborted !== null) this.fail(aborted, fn, reply)
  }

  private fail(error: unknown, fn: LibraryFunction, reply: ReplySink): void {
    replyFailure(error, failureText(error, fn.name, CHUNK_NAME), reply, this.host)
  }

  private log(level: number, text: string): void {
    if (!this.isSilent) this.host.log(level, text)
  }

  private compile(body: string, options: CompileOptions): CompiledChunk {
    try {
      return compile(body, options)
    } catch (error) {
      if (error instanceof LuaCompileError) throw new FunctionError(`Error compiling function: ${error.message}`)
      throw error
    }
  }

  private prepare(globals: LuaTable, tick: () => number): void {
    // An error that left functions early has left their depth behind.
    libraryDepth.d = 0
    hooks.globals = globals
    hooks.stringMethods = this.stringMethods
    hooks.tick = tick
    allowance.tick = tick
    scriptMemory.begin()
  }
}
