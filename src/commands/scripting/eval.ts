/**
 * EVAL script numkeys [key [key ...]] [arg [arg ...]]
 * EVALSHA sha1 numkeys [key [key ...]] [arg [arg ...]]
 * EVAL_RO, EVALSHA_RO: the same for scripts that must not write
 *
 * Runs a Lua script on the server, atomically.
 *
 * Reply: what the script returns. Errors, in this order: NOSCRIPT for a SHA1 that cannot be one, numkeys, NOSCRIPT, what
 * does not compile, what refuses the run.
 * Source: Redis src/eval.c `evalGenericCommand`, src/commands/eval*.json.
 */
import type { Args } from '../../resp/args.ts'
import {
  err,
  NOSCRIPT,
  NOT_AN_INTEGER,
  NUMKEYS_EXCEED_ARGS,
  NUMKEYS_NEGATIVE,
  type ReplyError,
  scriptCompileError,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { LuaCompileError } from '../../scripting/lua/lexer.ts'
import { type Script, type ScriptEngine, SHA_CHARS } from '../../scripting/script-engine.ts'
import { parseShebang, ScriptFlag, ShebangError } from '../../scripting/shebang.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, type KeySpec, keyCountAt } from '../define.ts'
import { EvalMode, FIRST_KEY, scriptRunner } from './script-runner.ts'

const FLAGS =
  CommandFlag.NoScript |
  CommandFlag.SkipMonitor |
  CommandFlag.NoMandatoryKeys |
  CommandFlag.Stale |
  CommandFlag.MovableKeys
export const READ_WRITE_FLAGS = FLAGS | CommandFlag.MayReplicate
export const READ_ONLY_FLAGS = FLAGS | CommandFlag.ReadOnly
const COMPLEXITY = 'Depends on the script.'

/** Where the keys of a script or function stand that may write. */
export const READ_WRITE_KEYS: readonly KeySpec[] = [
  {
    ...keyCountAt(2, 'RW', 'access', 'update'),
    notes: 'We cannot tell how the keys will be used so we assume the worst, RW and UPDATE',
  },
]
export const READ_ONLY_KEYS: readonly KeySpec[] = [
  {
    ...keyCountAt(2, 'RO', 'access'),
    notes: 'We cannot tell how the keys will be used so we assume the worst, RO and ACCESS',
  },
]

export const evalCommand = defineCommand({
  name: 'eval',
  summary: 'Runs a Lua script.',
  group: 'scripting',
  since: '2.6.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: READ_WRITE_FLAGS,
  categories: AclCategory.Scripting,
  keys: READ_WRITE_KEYS,
  callFlags: (_ctx, args) => flagsOfSource(args.text(1), READ_WRITE_FLAGS),
  handler: (ctx, args, reply) => runSource(ctx, args, EvalMode.ReadWrite, reply),
})

export const evalsha = defineCommand({
  name: 'evalsha',
  summary: 'Runs the Lua script with a SHA1 digest.',
  group: 'scripting',
  since: '2.6.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: READ_WRITE_FLAGS,
  categories: AclCategory.Scripting,
  keys: READ_WRITE_KEYS,
  callFlags: (ctx, args) => flagsOfScript(findScript(ctx, args)?.flags ?? null, READ_WRITE_FLAGS),
  handler: (ctx, args, reply) => runDigest(ctx, args, EvalMode.ReadWrite, reply),
})

export const evalRo = defineCommand({
  name: 'eval_ro',
  summary: 'Runs a Lua script that must not write.',
  group: 'scripting',
  since: '7.0.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: READ_ONLY_FLAGS,
  categories: AclCategory.Scripting,
  keys: READ_ONLY_KEYS,
  callFlags: (_ctx, args) => flagsOfSource(args.text(1), READ_ONLY_FLAGS),
  handler: (ctx, args, reply) => runSource(ctx, args, EvalMode.ReadOnly, reply),
})

export const evalshaRo = defineCommand({
  name: 'evalsha_ro',
  summary: 'Runs the Lua script with a SHA1 digest, which must not write.',
  group: 'scripting',
  since: '7.0.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: READ_ONLY_FLAGS,
  categories: AclCategory.Scripting,
  keys: READ_ONLY_KEYS,
  callFlags: (ctx, args) => flagsOfScript(findScript(ctx, args)?.flags ?? null, READ_ONLY_FLAGS),
  handler: (ctx, args, reply) => runDigest(ctx, args, EvalMode.ReadOnly, reply),
})

function runSource(ctx: CommandContext, args: Args, mode: EvalMode, reply: ReplySink): void {
  const keyCount = parseKeyCount(args)
  const script = compileScript(scriptRunner(ctx).engine, args.text(1), 'loadTransient')
  run(ctx, args, script, keyCount, mode, reply)
}

function runDigest(ctx: CommandContext, args: Args, mode: EvalMode, reply: ReplySink): void {
  if (args.length(1) !== SHA_CHARS) throw NOSCRIPT
  const keyCount = parseKeyCount(args)
  const script = findScript(ctx, args)
  if (script === null) throw NOSCRIPT
  run(ctx, args, script, keyCount, mode, reply)
}

/** The script whose digest is argument 1, or null. */
function findScript(ctx: CommandContext, args: Args): Script | null {
  return args.length(1) === SHA_CHARS ? scriptRunner(ctx).engine.findDigest(args.buffer, args.start(1)) : null
}

/** Flags of a call with this source; a malformed shebang is the handler's business. */
function flagsOfSource(source: string, commandFlags: number): number {
  try {
    return flagsOfScript(parseShebang(source).flags, commandFlags)
  } catch (error) {
    if (error instanceof ShebangError) return commandFlags
    throw error
  }
}

/**
 * The flags of a call, given those of its command. Without a shebang a script may do anything; with one it says whether
 * it writes. Source: Redis src/script.c scriptFlagsToCmdFlags.
 */
export function flagsOfScript(scriptFlags: number | null, commandFlags: number): number {
  if (scriptFlags === null) return commandFlags
  const isFresh = (scriptFlags & ScriptFlag.AllowStale) === 0
  const base = (isFresh ? commandFlags & ~CommandFlag.Stale : commandFlags) & ~CommandFlag.MayReplicate
  if ((scriptFlags & ScriptFlag.NoWrites) !== 0) return base
  const flags = base | CommandFlag.Write
  return (scriptFlags & ScriptFlag.AllowOom) === 0 ? flags | CommandFlag.DenyOom : flags
}

/** Reads the number of keys, argument 2. @throws `malformed` when it is no number. */
export function parseKeyCount(args: Args, malformed: ReplyError = NOT_AN_INTEGER): number {
  const count = args.integer(2, malformed)
  if (count > args.count - FIRST_KEY) throw NUMKEYS_EXCEED_ARGS
  if (count < 0) throw NUMKEYS_NEGATIVE
  return count
}

/** Compiles a script into the engine's cache. @throws the error reply of a script that does not compile. */
export function compileScript(engine: ScriptEngine, source: string, method: 'load' | 'loadTransient'): Script {
  try {
    return engine[method](source)
  } catch (error) {
    if (error instanceof LuaCompileError) throw scriptCompileError(error.message)
    if (error instanceof ShebangError) throw err(error.message)
    throw error
  }
}

function run(
  ctx: CommandContext,
  args: Args,
  script: Script,
  keyCount: number,
  mode: EvalMode,
  reply: ReplySink,
): void {
  const runner = scriptRunner(ctx)
  runner.run(script, args, keyCount, mode, reply)
  noteFailure(ctx, args)
}

/** Counts the call of a script or function as failed when there was an error in its reply. */
export function noteFailure(ctx: CommandContext, args: Args): void {
  if (!scriptRunner(ctx).hasRepliedError) return
  const command = ctx.registry.find(args)
  if (command !== null) command.failedCalls++
}
