/**
 * Runs scripts for EVAL, FCALL and their kin: the engines' host on top of the execute pipeline. Hot path: `call`.
 *
 * One runner per command context. A script's commands run through `ctx.server.call`, so each records its own effect;
 * they all fall into the unit of the EVAL, which the journal frames by MULTI and EXEC when there are several. EVAL itself
 * is not recorded. Functions run in the same way. Source: Redis src/script.c scriptCall, scriptPrepareForRun.
 */
import { formatDouble17 } from '../../bytes/double.ts'
import { TextCache } from '../../bytes/text-cache.ts'
import { JournalTarget } from '../../persistence/journal.ts'
import { type Args, ArgsBuilder } from '../../resp/args.ts'
import {
  AccessDenied,
  BUSY,
  BUSY_FUNCTION,
  deniedInScript,
  diskRefusalOfScript,
  MASTERDOWN,
  MASTERDOWN_SCRIPT,
  NOTBUSY,
  OOM,
  OOM_SCRIPT,
  READONLY_SCRIPT,
  type ReplyError,
  SCRIPT_COMMAND_NOT_ALLOWED,
  SCRIPT_IS_READ_ONLY,
  SCRIPT_ON_STALE_REPLICA,
  SCRIPT_UNKNOWN_COMMAND,
  SCRIPT_WRITES_IN_RO,
  SCRIPT_WRONG_ARITY,
  UNKILLABLE,
} from '../../resp/errors.ts'
import { doubleFormat, type ReplySink } from '../../resp/reply.ts'
import { type FoundFunction, FunctionLibraries } from '../../scripting/function-libraries.ts'
import { allowance, Room, scriptMemory } from '../../scripting/lua/memory.ts'
import { type LuaValue, ScriptAborted } from '../../scripting/lua/value.ts'
import { numberArgument, type ReplyUse } from '../../scripting/redis-library.ts'
import type { EngineHost, Script } from '../../scripting/script-engine.ts'
import { ScriptEngine } from '../../scripting/script-engine.ts'
import { ScriptSink } from '../../scripting/script-sink.ts'
import { ScriptFlag } from '../../scripting/shebang.ts'
import { authorize } from '../acl/authorize.ts'
import { AccessContext, type CommandContext } from '../context.ts'
import { CommandFlag } from '../define.ts'
import { Command } from '../registry.ts'

/** Where the keys of an EVAL or FCALL begin. */
export const FIRST_KEY = 3
/** Steps of a script between two looks at the clock. */
const TICK_STEPS = 2000
/** The same when the script holds much memory. */
const TICK_STEPS_SCARCE = 500
/** Commands of a script between two looks at the clock: one counts for many steps. */
const TICK_CALLS = 500
/** A command that is not brief counts for so many: its time grows with what it works on. */
const SLOW_CALL_WEIGHT = 100
/** An error whose first word is longer has no code of its own. */
const ERROR_CODE_CHARS_MAX = 31
/** Bits of `redis.set_repl`, which are those of JournalTarget. */
const REPL_ALL = JournalTarget.All

/** What a running script needs of the process around the commands; the server replaces the defaults. */
export interface ScriptServices {
  /** `redis.log`; levels 0 (debug) to 3 (warning). */
  log(level: number, text: string): void
  /** Called now and then while a script runs: lets other clients be answered when it runs too long. */
  poll(runner: ScriptRunner): void
}

/** What runs scripts, or functions. */
interface Engine<What> {
  run(what: What, keys: LuaValue[], argv: LuaValue[], reply: ReplySink): void
}

/** What runs: a script of EVAL, or a function. */
export const RunKind = { Eval: 0, Function: 1 } as const
export type RunKind = (typeof RunKind)[keyof typeof RunKind]

export const EvalMode = { ReadWrite: 0, ReadOnly: 1 } as const
export type EvalMode = (typeof EvalMode)[keyof typeof EvalMode]

export class ScriptRunner implements EngineHost {
  readonly engine: ScriptEngine
  readonly functions: FunctionLibraries
  readonly args: ArgsBuilder = new ArgsBuilder()
  services: ScriptServices = { log: () => {}, poll: () => {} }
  hasFailed: boolean = false
  respVersion = 2
  /** Whether a script is running. */
  isRunning: boolean = false
  /** Whether the running script has written: then it cannot be killed. */
  hasWritten: boolean = false
  /** Whether scripts may call what is not for scripts (DEBUG SET-DISABLE-DENY-SCRIPTS). */
  allowsDenied: boolean = false
  /** Whether scripts may call commands that block, which give up at once there; Redis 7.0 refused them. */
  private readonly allowsBlocking: boolean
  /** Whether there was an error in the reply of the script that ran last. */
  hasRepliedError: boolean = false
  /** When the script that runs was first seen running, in ms of the process; 0 until then. */
  firstTickMs: number = 0
  /** SHA1 of the script, or name of the function, that runs or ran last. */
  name: string = ''
  kind: RunKind = RunKind.Eval
  /** The call of what runs, null when nothing does. */
  caller: Args | null = null
  readonly numberText: (n: number) => string
  private readonly ctx: CommandContext
  private readonly sink: ScriptSink
  /** Keys, arguments and replies are mostly names that were there before. */
  private readonly texts = new TextCache()
  private isReadOnly: boolean = false
  /** Whether memory was full when the script began, and it may not go on writing then. */
  private deniesOom: boolean = false
  /** Whether it is known that calls are not refused for what depends on the server, the user or the script. */
  private isUnhindered: boolean = false
  private isKilled: boolean = false
  private replication: number = REPL_ALL
  private callsLeft = TICK_CALLS

  constructor(ctx: CommandContext) {
    this.ctx = ctx
    const { release } = ctx
    this.sink = new ScriptSink(ctx.arena, doubleFormat(release), this.texts)
    this.engine = new ScriptEngine(this)
    this.functions = new FunctionLibraries(this)
    this.allowsBlocking = release !== '7.0'
    this.numberText = release === '7.0' ? formatDouble17 : numberArgument
  }

  /**
   * Runs a script for the current session; `call` is its EVAL, of which arguments from `firstKey` on are keys.
   *
   * @throws the error that refuses it before it starts
   */
  run(script: Script, call: Args, keyCount: number, mode: EvalMode, reply: ReplySink): void {
    this.prepare(script.flags, mode)
    this.name = script.sha
    this.kind = RunKind.Eval
    this.within(this.engine, script, call, keyCount, reply)
  }

  /** As `run`, for a function and its FCALL. */
  runFunction(found: FoundFunction, call: Args, keyCount: number, mode: EvalMode, reply: ReplySink): void {
    const { fn } = found
    this.prepare(fn.flags, mode)
    this.name = fn.name
    this.kind = RunKind.Function
    this.within(this.functions.runner, fn, call, keyCount, reply)
  }

  /** FCALL and EVAL have the same form: name or script, number of keys, keys, arguments. */
  private within<What>(engine: Engine<What>, what: What, call: Args, keyCount: number, reply: ReplySink): void {
    const { ctx, texts } = this
    const { buffer } = call
    const keys: LuaValue[] = []
    const argv: LuaValue[] = []
    const firstArg = FIRST_KEY + keyCount
    for (let i = FIRST_KEY; i < firstArg; i++) keys.push(texts.text(buffer, call.start(i), call.length(i)))
    for (let i = firstArg; i < call.count; i++) argv.push(texts.text(buffer, call.start(i), call.length(i)))
    const { session } = ctx
    const db = session.db
    const mayBlock = ctx.mayBlock
    ctx.mayBlock = false
    ctx.inScript = true
    this.isRunning = true
    this.caller = call
    try {
      engine.run(what, keys, argv, reply)
    } finally {
      this.isRunning = false
      this.caller = null
      ctx.inScript = false
      ctx.mayBlock = mayBlock
      // SELECT in a script ends with the script.
      session.db = db
    }
  }

  /**
   * SCRIPT KILL and FUNCTION KILL: what runs ends at its next tick.
   *
   * @throws the error when nothing runs, when it has written, or when it is of the other kind
   */
  kill(kind: RunKind): void {
    if (!this.isRunning) throw NOTBUSY
    if (this.hasWritten) throw UNKILLABLE
    if (this.kind !== kind) throw this.busyError
    this.isKilled = true
  }

  /** What others are answered while a script or function runs too long. */
  get busyError(): ReplyError {
    return this.kind === RunKind.Function ? BUSY_FUNCTION : BUSY
  }

  private prepare(flags: number | null, mode: EvalMode): void {
    const mayWrite = flags === null || (flags & ScriptFlag.NoWrites) === 0
    if (this.ctx.server.following.isStale) {
      if (flags === null) throw MASTERDOWN
      if ((flags & ScriptFlag.AllowStale) === 0) throw MASTERDOWN_SCRIPT
    }
    if (flags !== null && mayWrite) this.checkDeclaredWrites(mode)
    const allowsOom = flags !== null && (flags & (ScriptFlag.AllowOom | ScriptFlag.NoWrites)) !== 0
    const { memoryLimit } = this.ctx.server
    if (flags !== null && !allowsOom && memoryLimit.isFull) throw OOM_SCRIPT
    this.deniesOom = !allowsOom && memoryLimit.isFull
    this.isReadOnly = mode === EvalMode.ReadOnly || !mayWrite
    this.isKilled = false
    this.hasWritten = false
    this.hasRepliedError = false
    this.firstTickMs = 0
    this.replication = REPL_ALL
    this.lookAtHindrances()
    this.setResp(2)
  }

  /** Finds out whether there is anything that calls may be refused for; again when others were served. */
  private lookAtHindrances(): void {
    const { server, session } = this.ctx
    this.isUnhindered = !this.isReadOnly && !server.following.isStale && session.user.isUnrestricted
  }

  /** A script that says what it does, and does not say that it will not write, is refused as a whole. */
  private checkDeclaredWrites(mode: EvalMode): void {
    const { server } = this.ctx
    const { diskRefusal } = this
    if (server.following.writeRefusal !== null && !this.ctx.session.isReplay) throw READONLY_SCRIPT
    if (diskRefusal !== null) throw diskRefusalOfScript(diskRefusal)
    if (mode === EvalMode.ReadOnly) throw SCRIPT_WRITES_IN_RO
    if (server.replication.writeRefusal !== null) throw server.replication.writeRefusal
  }

  /** Why the disk forbids writes; a log that is loaded is obeyed, or it would lose what it holds. */
  private get diskRefusal(): ReplyError | null {
    return this.ctx.session.isReplay ? null : this.ctx.server.writeRefusal
  }

  // What scripts ask

  resolve(name: string): object | null {
    const command = this.ctx.registry.byFullName(name.toLowerCase())
    // The subcommand of a container is only known with the arguments.
    return command === null || command.subcommands !== null || name.includes('|') ? null : command
  }

  call(handle: object | null, use: ReplyUse): LuaValue {
    const { ctx, sink } = this
    const { args } = this.args
    const command = handle instanceof Command ? handle : this.find()
    this.callsLeft -= command !== null && !command.isBrief ? SLOW_CALL_WEIGHT : 1
    if (allowance.left < 0) this.tick()
    else if (this.callsLeft < 0) this.interrupt()
    sink.start(use)
    sink.version = this.respVersion
    const refusal = command === null ? SCRIPT_UNKNOWN_COMMAND : this.refusal(command)
    if (refusal !== null || command === null) this.refuse(command, refusal ?? SCRIPT_UNKNOWN_COMMAND)
    else if (this.replication === REPL_ALL) ctx.server.call(ctx.session, command, args, sink)
    else this.callUnrecorded(command)
    this.hasFailed = sink.isError
    const { overflow } = sink
    if (overflow !== null) {
      sink.reset()
      throw overflow
    }
    return sink.take()
  }

  errorReplied(text: string, isCounted: boolean): void {
    this.hasRepliedError = true
    if (!isCounted) this.ctx.server.errors.count(errorCode(text))
  }

  setResp(version: number): void {
    this.respVersion = version
  }

  setReplication(flags: number): void {
    this.replication = flags
  }

  log(level: number, text: string): void {
    this.services.log(level, text)
  }

  isAllowed(): boolean | null {
    const command = this.find()
    return command === null ? null : authorize(this.ctx.session.user, command, this.args.args) === null
  }

  tick(): number {
    this.interrupt()
    return scriptMemory.look() === Room.Ample ? TICK_STEPS : TICK_STEPS_SCARCE
  }

  /** Lets others be served, and ends the script that one of them has killed. */
  private interrupt(): void {
    this.callsLeft = TICK_CALLS
    this.services.poll(this)
    this.lookAtHindrances()
    if (this.isKilled) throw new ScriptAborted('ERR Script killed by user with SCRIPT KILL...')
  }

  private refuse(command: Command | null, refusal: ReplyError): void {
    if (command !== null) command.rejectedCalls++
    const isDenied = refusal instanceof AccessDenied
    if (isDenied) this.ctx.server.access.denied(this.ctx.session, refusal, AccessContext.Script)
    const error = isDenied ? deniedInScript(refusal) : refusal
    this.ctx.server.errors.count(error.code)
    this.sink.error(error.text)
  }

  /** The command in `args` with its subcommand, or null. */
  private find(): Command | null {
    const { args } = this.args
    const command = this.ctx.registry.find(args)
    if (command === null || command.subcommands === null || args.count < 2) return command
    return command.subcommands.get(args.text(1).toLowerCase()) ?? null
  }

  private refusal(command: Command): ReplyError | null {
    const { args } = this.args
    if (!command.accepts(args.count)) return SCRIPT_WRONG_ARITY
    const { flags } = command
    // Nearly all calls: nothing that may be refused, by a user who may do all, and of writes not the first.
    const isHarmless = (flags & (CommandFlag.NoScript | CommandFlag.Blocking)) === 0
    if (isHarmless && this.isUnhindered && (this.hasWritten || (flags & CommandFlag.Write) === 0)) return null
    if (((flags & CommandFlag.NoScript) !== 0 || this.isBlocking(command)) && this.isDenied(command))
      return SCRIPT_COMMAND_NOT_ALLOWED
    if (this.ctx.server.following.isStale && (flags & CommandFlag.Stale) === 0) return SCRIPT_ON_STALE_REPLICA
    const { user } = this.ctx.session
    if (!user.isUnrestricted) {
      const denial = authorize(user, command, args)
      if (denial !== null) return denial
    }
    // PUBLISH and the like count as writes, so that scripts that do not write may run during CLIENT PAUSE WRITE.
    if (this.isReadOnly && (flags & (CommandFlag.Write | CommandFlag.MayReplicate)) !== 0) return SCRIPT_IS_READ_ONLY
    if ((flags & CommandFlag.Write) === 0) return null
    if (!this.hasWritten) {
      // Once a script has written it may go on: half a script is worse than one more write.
      const { server, session } = this.ctx
      const refusal = session.isReplay
        ? null
        : (server.following.writeRefusal ?? this.diskRefusal ?? server.replicaRefusal)
      if (refusal !== null) return refusal
      if (this.deniesOom && (flags & CommandFlag.DenyOom) !== 0) return OOM
      this.hasWritten = true
    }
    return null
  }

  /** Whether scripts may not call it because it may block. What reads streams refuses its BLOCK option by itself. */
  private isBlocking({ flags, definition }: Command): boolean {
    return !this.allowsBlocking && (flags & CommandFlag.Blocking) !== 0 && definition.group !== 'stream'
  }

  /** Commands of the scripting family always are: a script runs alone. */
  private isDenied(command: Command): boolean {
    return !this.allowsDenied || command.definition.group === 'scripting'
  }

  /** A call whose effects are not for all: `redis.set_repl`. */
  private callUnrecorded(command: Command): void {
    const { ctx } = this
    const { journal } = ctx
    const outer = journal.narrow(this.replication)
    try {
      ctx.server.call(ctx.session, command, this.args.args, this.sink)
    } finally {
      journal.widen(outer)
    }
  }
}

/** Under which code the statistics count an error that a script has made. Source: Valkey src/networking.c afterErrorReply. */
function errorCode(text: string): string {
  const space = text.indexOf(' ')
  return space < 0 || space >= ERROR_CODE_CHARS_MAX ? 'ERR' : text.slice(0, space)
}

const runners = new WeakMap<CommandContext, ScriptRunner>()

/** The runner of a context; made when it is first needed. */
export function scriptRunner(ctx: CommandContext): ScriptRunner {
  let runner = runners.get(ctx)
  if (runner === undefined) {
    runner = new ScriptRunner(ctx)
    runners.set(ctx, runner)
  }
  return runner
}

/** The runner of a context if a script was ever used, else null. */
export function existingScriptRunner(ctx: CommandContext): ScriptRunner | null {
  return runners.get(ctx) ?? null
}
