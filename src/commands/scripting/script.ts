/**
 * SCRIPT DEBUG NO
 * SCRIPT EXISTS sha1 [sha1 ...]
 * SCRIPT FLUSH [ASYNC | SYNC]
 * SCRIPT HELP
 * SCRIPT KILL
 * SCRIPT LOAD script
 * SCRIPT SHOW sha1
 *
 * Manages the cache of scripts. DEBUG refuses YES and SYNC: there is no debugger. SHOW (Valkey 8.0) replies the source of
 * one; NOSCRIPT without one. Source: Redis src/eval.c `scriptCommand`, src/commands/script-*.json.
 */
import type { Args } from '../../resp/args.ts'
import { NO_SCRIPT_DEBUGGER, NOSCRIPT, SCRIPT_DEBUG_MODE, SCRIPT_FLUSH_OPTION } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { helpSubcommand } from '../help.ts'
import { compileScript } from './eval.ts'
import { RunKind, scriptRunner } from './script-runner.ts'

const HELP = [
  'DEBUG NO',
  '    Set the debug mode for subsequent scripts executed; there is no debugger for YES and SYNC.',
  'EXISTS <sha1> [<sha1> ...]',
  '    Return information about the existence of the scripts in the script cache.',
  'FLUSH [ASYNC|SYNC]',
  '    Flush the Lua scripts cache. Very dangerous on replicas.',
  '    When called without the optional mode argument, the behavior is determined',
  '    by the lazyfree-lazy-user-flush configuration directive. Valid modes are:',
  '    * ASYNC: Asynchronously flush the scripts cache.',
  '    * SYNC: Synchronously flush the scripts cache.',
  'KILL',
  '    Kill the currently executing Lua script.',
  'LOAD <script>',
  '    Load a script into the scripts cache without executing it.',
  'SHOW <sha1>',
  '    Show the source of a script in the scripts cache.',
]

const debug = defineCommand({
  name: 'debug',
  summary: 'Sets the debug mode of scripts, which is always off.',
  group: 'scripting',
  since: '3.2.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  handler: debugHandler,
})

const exists = defineCommand({
  name: 'exists',
  summary: 'Tells which SHA1 digests are those of cached scripts.',
  group: 'scripting',
  since: '2.6.0',
  complexity: 'O(N), N being the number of digests.',
  arity: -3,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ['request_policy:all_shards', 'response_policy:agg_logical_and'],
  handler: existsHandler,
})

const flush = defineCommand({
  name: 'flush',
  summary: 'Forgets all cached scripts.',
  group: 'scripting',
  since: '2.6.0',
  complexity: 'O(N), N being the number of cached scripts.',
  arity: -2,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
  handler: flushHandler,
})

const help = helpSubcommand({ group: 'scripting', since: '5.0.0', categories: AclCategory.Scripting, lines: HELP })

const kill = defineCommand({
  name: 'kill',
  summary: 'Ends the running script, unless it has written.',
  group: 'scripting',
  since: '2.6.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.NoScript | CommandFlag.AllowBusy,
  categories: AclCategory.Scripting,
  tips: ['request_policy:all_shards', 'response_policy:one_succeeded'],
  handler: killHandler,
})

const load = defineCommand({
  name: 'load',
  summary: 'Compiles a script and keeps it in the cache.',
  group: 'scripting',
  since: '2.6.0',
  complexity: 'O(N), N being the length of the script.',
  arity: 3,
  flags: CommandFlag.NoScript | CommandFlag.Stale,
  categories: AclCategory.Scripting,
  tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
  handler: loadHandler,
})

const show = defineCommand({
  name: 'show',
  summary: 'Returns the source of a cached script.',
  group: 'scripting',
  since: '8.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.NoScript,
  categories: AclCategory.Scripting,
  handler: showHandler,
})

export const script = defineCommand({
  name: 'script',
  summary: 'A container for commands about the cache of scripts.',
  group: 'scripting',
  since: '2.6.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [debug, exists, flush, help, kill, load, show],
  handler: () => {},
})

/** Clients switch the debugger off without asking whether there is one. */
function debugHandler(_ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.is(2, 'YES') || args.is(2, 'SYNC')) throw NO_SCRIPT_DEBUGGER
  if (!args.is(2, 'NO')) throw SCRIPT_DEBUG_MODE
  reply.ok()
}

function existsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { engine } = scriptRunner(ctx)
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) reply.integer(engine.find(args.text(i).toLowerCase()) === null ? 0 : 1)
}

function flushHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3 || (args.count === 3 && !args.is(2, 'SYNC') && !args.is(2, 'ASYNC'))) throw SCRIPT_FLUSH_OPTION
  scriptRunner(ctx).engine.flush()
  reply.ok()
}

function killHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  scriptRunner(ctx).kill(RunKind.Eval)
  reply.ok()
}

function loadHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.bulkText(compileScript(scriptRunner(ctx).engine, args.text(2), 'load').sha)
}

function showHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const found = scriptRunner(ctx).engine.find(args.text(2).toLowerCase())
  if (found === null) throw NOSCRIPT
  reply.bulkText(found.source)
}
