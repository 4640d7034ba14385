/**
 * The script engine: compiled scripts by their SHA1, and running them over a `ScriptHost`. Knows no commands.
 *
 * One engine per server. A script is compiled once; compiled code is bound to the engine's global tables, which are
 * read-only, and takes KEYS and ARGV as parameters.
 */
import type { ReplySink } from '../resp/reply.ts'
import { first, limitReached, restoreHostCalls } from './lua/call.ts'
import { type CompiledChunk, compile } from './lua/compile.ts'
import { toText } from './lua/lib-base.ts'
import { allowance, scriptMemory } from './lua/memory.ts'
import { LINE_OF_C } from './lua/position.ts'
import { hooks } from './lua/runtime.ts'
import { createGlobals, sealGlobals } from './lua/sandbox.ts'
import { LuaTable } from './lua/table.ts'
import { LuaError, type LuaValue, NO_RESULTS, ScriptAborted } from './lua/value.ts'
import { errorTableText, type ReplyHost, replyFailure, replyLuaValue, untilZero } from './lua-reply.ts'
import { createRedisLibrary, type ScriptHost, sha1 } from './redis-library.ts'
import { type Ordered, ScriptOrder } from './script-order.ts'
import { parseShebang } from './shebang.ts'

/** How error positions name scripts of EVAL. */
const CHUNK_NAME = 'user_script'

/** Scripts kept for EVAL alone; beyond, the least recently used one goes (Redis 7.4: LRU_LIST_LENGTH). */
const TRANSIENT_MAX = 500

/** Length of a SHA1 in hex. */
export const SHA_CHARS = 40
/** A power of two. */
const RECENT_SLOTS = 64

/** What a chunk is compiled for: to run once, which is compiled sooner, or often, which runs faster. */
const ChunkForm = { Once: 0, Lasting: 1 } as const
type ChunkForm = (typeof ChunkForm)[keyof typeof ChunkForm]

/** A compiled script. */
export interface Script extends Ordered<Script> {
  readonly sha: string
  readonly source: string
  /** Bits of ScriptFlag; null without a shebang: then checks happen per command. */
  readonly flags: number | null
  chunk: CompiledChunk
  /** Whether `chunk` is made to run once, and whether it has. */
  runsOnce: boolean
  hasRun: boolean
}

/** What the engine asks while a script runs, besides what scripts ask. */
export interface EngineHost extends ScriptHost, ReplyHost {
  /** Called every few thousand steps; returns the steps until the next time. Throws `ScriptAborted` to end the script. */
  tick(): number
}

export class ScriptEngine {
  private readonly host: EngineHost
  private readonly tick: () => number
  private readonly globals: LuaTable
  private readonly stringMethods: LuaTable
  private readonly scripts = new Map<string, Script>()
  /** The same by their source: EVAL sends that, and to hash it takes longer than most scripts. */
  private readonly bySource = new Map<string, Script>()
  /** Scripts that only EVAL knows. */
  private readonly transient = new ScriptOrder<Script>()
  /** Those that `findDigest` has found, by the first bytes of their digest; all of them are known. */
  private readonly recent = new Array<Script | null>(RECENT_SLOTS).fill(null)
  private sourceBytes = 0
  private keys: LuaTable = new LuaTable()
  private argv: LuaTable = new LuaTable()

  constructor(host: EngineHost) {
    this.host = host
    this.tick = () => host.tick()
    this.globals = createGlobals((source, chunkName) => {
      const chunk = this.compile(source, chunkName, ChunkForm.Lasting)
      return (...args) => chunk(this.keys, this.argv, args)
    })
    this.globals.setString('redis', createRedisLibrary(host))
    this.stringMethods = libraryTable(this.globals, 'string')
    sealGlobals(this.globals)
  }

  get count(): number {
    return this.scripts.size
  }

  /** Bytes of source text held, for `used_memory_scripts`. */
  get memoryBytes(): number {
    return this.sourceBytes
  }

  /** The script with this SHA1 (lower case), or null. */
  find(sha: string): Script | null {
    return this.scripts.get(sha) ?? null
  }

  /**
   * As `find`, by the bytes of the SHA1 at `source[start, …)`, in any case. What was asked for lately is found without making
   * a string of them.
   */
  findDigest(source: Buffer, start: number): Script | null {
    const slot = (source[start]! * 31 + source[start + 1]!) & (RECENT_SLOTS - 1)
    const recent = this.recent[slot]!
    if (recent !== null && isText(recent.sha, source, start)) return recent
    const digest = source.latin1Slice(start, start + SHA_CHARS)
    const script = this.find(digest) ?? this.find(digest.toLowerCase())
    this.recent[slot] = script
    return script
  }

  /** Compiles a script and keeps it until `flush` (SCRIPT LOAD). Throws `LuaCompileError`, or `ShebangError`. */
  load(source: string): Script {
    const script = this.loadTransient(source)
    this.transient.remove(script)
    return script
  }

  /** As `load`, but the script may be forgotten when many others came after it (EVAL). */
  loadTransient(source: string): Script {
    const known = this.bySource.get(source)
    if (known !== undefined) return known
    const sha = sha1(source)
    const { flags, body } = parseShebang(source)
    scriptMemory.begin()
    const script: Script = {
      sha,
      source,
      flags,
      chunk: this.compile(body, CHUNK_NAME, ChunkForm.Once),
      runsOnce: true,
      hasRun: false,
      older: null,
      newer: null,
      isForgettable: false,
    }
    this.scripts.set(sha, script)
    this.bySource.set(source, script)
    this.sourceBytes += source.length
    this.transient.add(script)
    if (this.transient.count > TRANSIENT_MAX) this.forgetOldest()
    return script
  }

  private forgetOldest(): void {
    const { oldest } = this.transient
    if (oldest === null) return
    this.transient.remove(oldest)
    this.sourceBytes -= oldest.source.length
    this.scripts.delete(oldest.sha)
    this.recent.fill(null)
    this.bySource.delete(oldest.source)
  }

  /** Forgets all scripts. */
  flush(): void {
    this.scripts.clear()
    this.recent.fill(null)
    this.bySource.clear()
    this.transient.clear()
    this.sourceBytes = 0
  }

  /** Runs a script and replies what it returns, or the error it raised. Other exceptions than Lua's pass through. */
  run(script: Script, keys: LuaValue[], argv: LuaValue[], reply: ReplySink): void {
    this.transient.used(script)
    this.keys = new LuaTable(keys)
    this.argv = new LuaTable(argv)
    hooks.tick = this.tick
    allowance.tick = this.tick
    scriptMemory.begin()
    hooks.globals = this.globals
    hooks.stringMethods = this.stringMethods
    if (script.runsOnce) this.prepareRun(script)
    let value: LuaValue
    try {
      value = first(script.chunk(this.keys, this.argv, NO_RESULTS))
    } catch (error) {
      restoreHostCalls(0)
      this.fail(error, script, reply)
      return
    }
    const aborted = replyLuaValue(value, reply, this.host)
    if (aborted !== null) this.fail(aborted, script, reply)
  }

  /** A script that runs a second time will run again: it is compiled for that. */
  private prepareRun(script: Script): void {
    if (!script.hasRun) {
      script.hasRun = true
      return
    }
    script.runsOnce = false
    script.chunk = this.compile(parseShebang(script.source).body, CHUNK_NAME, ChunkForm.Lasting)
  }

  private fail(error: unknown, script: Script, reply: ReplySink): void {
    replyFailure(error, failureText(error, script.sha, CHUNK_NAME), reply, this.host)
  }

  private compile(source: string, chunkName: string, form: ChunkForm): CompiledChunk {
    const { globals, stringMethods } = this
    const runsOnce = form === ChunkForm.Once
    return compile(source, { chunkName, globals, mainGlobals: null, isLibrary: false, runsOnce, stringMethods })
  }
}

/** Whether the bytes at `source[start, …)` are those of a text. */
function isText(text: string, source: Buffer, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== source[start + i]) return false
  return true
}

/** A library of a global table. */
export function libraryTable(globals: LuaTable, name: string): LuaTable {
  const table = globals.getString(name)
  if (!(table instanceof LuaTable)) throw new Error(`Library ${name} is missing`)
  return table
}

/** The error line of a script that failed: `ERR user_script:1: boom script: <sha>, on @user_script:1.` */
export function failureText(error: unknown, name: string, chunkName: string): string {
  const text = raisedText(error)
  const line = error instanceof LuaError || error instanceof ScriptAborted ? error.line : 0
  const place = line > 0 ? `, on @${chunkName}:${line}.` : line === LINE_OF_C ? `, on =[C]:${line}.` : ''
  return `${text} script: ${name}${place}`
}

/** What ended a script, as an error with its code. Other exceptions than Lua's are thrown on. */
export function raisedText(error: unknown): string {
  if (error instanceof LuaError) return untilZero(errorTableText(error) ?? `ERR ${errorText(error.value)}`)
  if (error instanceof ScriptAborted) return error.message
  const limit = limitReached(error)
  if (limit === null) throw error
  return `ERR ${limit}`
}

function errorText(value: LuaValue): string {
  try {
    return toText(value)
  } catch {
    // A failing `__tostring` of an error value must not hide the error.
    return 'unknown error'
  }
}
