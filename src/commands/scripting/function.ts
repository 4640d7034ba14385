/**
 * FUNCTION DELETE library-name
 * FUNCTION DUMP
 * FUNCTION FLUSH [ASYNC | SYNC]
 * FUNCTION HELP
 * FUNCTION KILL
 * FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]
 * FUNCTION LOAD [REPLACE] function-code
 * FUNCTION RESTORE serialized-value [FLUSH | APPEND | REPLACE]
 * FUNCTION STATS
 *
 * Manages libraries of functions. What changes them is recorded as it came; FLUSHALL leaves them alone.
 * Source: Redis src/functions.c, src/commands/function-*.json.
 */
import { GlobCase, globMatch } from '../../bytes/glob.ts'
import type { Args } from '../../resp/args.ts'
import {
  err,
  FUNCTION_FLUSH_OPTION,
  LIBRARY_NAME_MISSING,
  LIBRARY_NOT_FOUND,
  RESTORE_POLICY,
  shown,
  subcommandSyntax,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { ENGINE_NAME } from '../../scripting/function-engine.ts'
import { LOAD_MS_MAX, LoadMode, RestoreMode } from '../../scripting/function-libraries.ts'
import { FunctionError, type FunctionLibrary } from '../../scripting/function-library.ts'
import { SCRIPT_FLAG_BITS } from '../../scripting/shebang.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { helpSubcommand } from '../help.ts'
import { checkPayload, dumpFunctions, readPayload } from './function-payload.ts'
import { RunKind, scriptRunner } from './script-runner.ts'

const HELP = [
  'LOAD [REPLACE] <FUNCTION CODE>',
  '    Create a new library with the given library name and code.',
  'DELETE <LIBRARY NAME>',
  '    Delete the given library.',
  'LIST [LIBRARYNAME PATTERN] [WITHCODE]',
  '    Return general information on all the libraries:',
  '    * Library name',
  '    * The engine used to run the Library',
  '    * Library description',
  '    * Functions list',
  '    * Library code (if WITHCODE is given)',
  '    It also possible to get only function that matches a pattern using LIBRARYNAME argument.',
  'STATS',
  '    Return information about the current function running:',
  '    * Function name',
  '    * Command used to run the function',
  '    * Duration in MS that the function is running',
  '    If no function is running, return nil',
  '    In addition, returns a list of available engines.',
  'KILL',
  '    Kill the current running function.',
  'FLUSH [ASYNC|SYNC]',
  '    Delete all the libraries.',
  '    When called without the optional mode argument, the behavior is determined by the',
  '    lazyfree-lazy-user-flush configuration directive. Valid modes are:',
  '    * ASYNC: Asynchronously flush the libraries.',
  '    * SYNC: Synchronously flush the libraries.',
  'DUMP',
  '    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command',
  'RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]',
  '    Restore the libraries represented by the given payload, it is possible to give a restore policy to',
  '    control how to handle existing libraries (default APPEND):',
  '    * FLUSH: delete all existing libraries.',
  '    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.',
  '    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old',
  '      libraries with the new libraries (notice that even on this option there is a chance of failure',
  '      in case of functions name collision with another library).',
]

const LIBRARIES_COMPLEXITY = 'O(N), N being the number of libraries.'
const ALL_SHARDS_SUCCEEDED = ['request_policy:all_shards', 'response_policy:all_succeeded']

const deleteLibrary = defineCommand({
  name: 'delete',
  summary: 'Deletes a library and its functions.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ALL_SHARDS_SUCCEEDED,
  handler: deleteHandler,
})

const dump = defineCommand({
  name: 'dump',
  summary: 'Returns all libraries as a payload for FUNCTION RESTORE.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'O(N), N being the length of all libraries.',
  arity: 2,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  handler: dumpHandler,
})

const flush = defineCommand({
  name: 'flush',
  summary: 'Deletes all libraries and functions.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'O(N), N being the number of functions.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ALL_SHARDS_SUCCEEDED,
  handler: flushHandler,
})

const help = helpSubcommand({ group: 'scripting', since: '7.0.0', categories: AclCategory.Scripting, lines: HELP })

const kill = defineCommand({
  name: 'kill',
  summary: 'Ends the running function, unless it has written.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.NoScript | CommandFlag.AllowBusy,
  categories: AclCategory.Scripting,
  tips: ['request_policy:all_shards', 'response_policy:one_succeeded'],
  handler: killHandler,
})

const list = defineCommand({
  name: 'list',
  summary: 'Returns the libraries with their functions.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'O(N), N being the number of functions.',
  arity: -2,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ['nondeterministic_output_order'],
  handler: listHandler,
})

const load = defineCommand({
  name: 'load',
  summary: 'Creates a library.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'O(1), considering that the code is compiled anyway.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ALL_SHARDS_SUCCEEDED,
  handler: loadHandler,
})

const restore = defineCommand({
  name: 'restore',
  summary: 'Restores all libraries from a payload of FUNCTION DUMP.',
  group: 'scripting',
  since: '7.0.0',
  complexity: LIBRARIES_COMPLEXITY,
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ALL_SHARDS_SUCCEEDED,
  handler: restoreHandler,
})

const stats = defineCommand({
  name: 'stats',
  summary: 'Returns what runs, and how many functions there are.',
  group: 'scripting',
  since: '7.0.0',
  complexity: LIBRARIES_COMPLEXITY,
  arity: 2,
  flags: CommandFlag.NoScript | CommandFlag.AllowBusy,
  categories: AclCategory.Scripting,
  tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
  handler: statsHandler,
})

export const functionCommand = defineCommand({
  name: 'function',
  summary: 'A container for commands about functions.',
  group: 'scripting',
  since: '7.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [deleteLibrary, dump, flush, help, kill, list, load, restore, stats],
  handler: () => {},
})

function deleteHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (!scriptRunner(ctx).functions.delete(args.text(2))) throw LIBRARY_NOT_FOUND
  ctx.markDirty(1)
  reply.ok()
}

function dumpHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const compresses = ctx.config.bool('rdbcompression')
  const payload = dumpFunctions(scriptRunner(ctx).functions.sources(), { compresses })
  reply.bulk(payload, 0, payload.length)
}

function flushHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw subcommandSyntax(args.text(1), args.text(0))
  if (args.count === 3 && !args.is(2, 'SYNC') && !args.is(2, 'ASYNC')) throw FUNCTION_FLUSH_OPTION
  scriptRunner(ctx).functions.clear()
  ctx.markDirty(1)
  reply.ok()
}

function killHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  scriptRunner(ctx).kill(RunKind.Function)
  reply.ok()
}

function loadHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const code = args.count - 1
  let mode: LoadMode = LoadMode.Refuse
  for (let i = 2; i < code; i++) {
    if (!args.is(i, 'REPLACE')) throw err(`Unknown option given: ${shown(args.text(i))}`)
    mode = LoadMode.Replace
  }
  const { functions } = scriptRunner(ctx)
  const { name } = refusing(() => functions.add(args.text(code), mode, limitMs(ctx)))
  ctx.markDirty(1)
  reply.bulkText(name)
}

function restoreHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 4) throw subcommandSyntax(args.text(1), args.text(0))
  const mode = args.count === 4 ? parsePolicy(args) : RestoreMode.Append
  checkPayload(args, 2)
  const { functions } = scriptRunner(ctx)
  refusing(() => functions.restore(readPayload(args, 2), mode, limitMs(ctx)))
  ctx.markDirty(1)
  reply.ok()
}

function parsePolicy(args: Args): RestoreMode {
  if (args.is(3, 'APPEND')) return RestoreMode.Append
  if (args.is(3, 'REPLACE')) return RestoreMode.Replace
  if (args.is(3, 'FLUSH')) return RestoreMode.Flush
  throw RESTORE_POLICY
}

/** What a log says is loaded however long it takes: it has been loaded before. */
function limitMs(ctx: CommandContext): number {
  return ctx.session.isReplay ? 0 : LOAD_MS_MAX
}

/** Runs what may refuse a library. @throws the error reply of a refusal. */
function refusing<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof FunctionError) throw err(shown(error.message))
    throw error
  }
}

interface ListOptions {
  pattern: string | null
  isWithCode: boolean
}

function parseList(args: Args): ListOptions {
  const options: ListOptions = { pattern: null, isWithCode: false }
  for (let i = 2; i < args.count; i++) {
    if (!options.isWithCode && args.is(i, 'WITHCODE')) options.isWithCode = true
    else if (options.pattern === null && args.is(i, 'LIBRARYNAME')) {
      if (i === args.count - 1) throw LIBRARY_NAME_MISSING
      options.pattern = args.text(++i)
    } else throw err(`Unknown argument ${shown(args.text(i))}`)
  }
  return options
}

function listHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { pattern, isWithCode } = parseList(args)
  const listed: FunctionLibrary[] = []
  for (const library of scriptRunner(ctx).functions.all()) {
    if (pattern === null || globMatch(pattern, library.name, GlobCase.Ignore)) listed.push(library)
  }
  reply.array(listed.length)
  for (const library of listed) replyLibrary(library, isWithCode, reply)
}

function replyLibrary({ name, source, functions }: FunctionLibrary, isWithCode: boolean, reply: ReplySink): void {
  reply.map(isWithCode ? 4 : 3)
  reply.bulkText('library_name')
  reply.bulkText(name)
  reply.bulkText('engine')
  reply.bulkText(ENGINE_NAME)
  reply.bulkText('functions')
  reply.array(functions.size)
  for (const fn of functions.values()) {
    reply.map(3)
    reply.bulkText('name')
    reply.bulkText(fn.name)
    reply.bulkText('description')
    if (fn.description === null) reply.nil()
    else reply.bulkText(fn.description)
    reply.bulkText('flags')
    replyFlags(fn.flags, reply)
  }
  if (!isWithCode) return
  reply.bulkText('library_code')
  reply.bulkText(source)
}

function replyFlags(flags: number, reply: ReplySink): void {
  const names: string[] = []
  for (const [name, bit] of SCRIPT_FLAG_BITS) if ((flags & bit) !== 0) names.push(name)
  reply.set(names.length)
  for (const name of names) reply.status(name)
}

function statsHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const runner = scriptRunner(ctx)
  if (runner.isRunning && runner.kind === RunKind.Eval) throw runner.busyError
  const { functions, caller } = runner
  reply.map(2)
  reply.bulkText('running_script')
  if (caller === null) reply.nil()
  else {
    reply.map(3)
    reply.bulkText('name')
    reply.bulkText(runner.name)
    reply.bulkText('command')
    reply.array(caller.count)
    for (let i = 0; i < caller.count; i++) reply.bulk(caller.buffer, caller.start(i), caller.length(i))
    reply.bulkText('duration_ms')
    reply.integer(Math.floor(performance.now() - runner.firstTickMs))
  }
  reply.bulkText('engines')
  reply.map(1)
  reply.bulkText(ENGINE_NAME)
  reply.map(2)
  reply.bulkText('libraries_count')
  reply.integer(functions.size)
  reply.bulkText('functions_count')
  let count = 0
  for (const library of functions.all()) count += library.functions.size
  reply.integer(count)
}
