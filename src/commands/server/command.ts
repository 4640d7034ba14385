/**
 * COMMAND, COMMAND COUNT | DOCS [name ...] | GETKEYS call | GETKEYSANDFLAGS call | INFO [name ...] |
 * LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob] | HELP
 *
 * All of it is derived from the registry. Subcommands are named `container|subcommand`.
 *
 * Reply: arrays of descriptions, null for unknown names; names; keys. Errors: calls without keys or malformed; syntax.
 * Source: Valkey src/server.c `commandCommand`, `getKeysSubcommandImpl`, `commandListCommand`.
 */
import { GlobCase, globMatch } from '../../bytes/glob.ts'
import { Args } from '../../resp/args.ts'
import {
  GETKEYS_INVALID_ARGUMENTS,
  GETKEYS_INVALID_COMMAND,
  GETKEYS_NO_KEYS,
  GETKEYS_WRONG_ARITY,
  SYNTAX_ERROR,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import {
  AclCategory,
  CATEGORY_NAMES,
  type CommandDefinition,
  CommandFlag,
  defineCommand,
  type Handler,
} from '../define.ts'
import { replyHelp } from '../help.ts'
import { hasKeys, keyArguments } from '../key-extraction.ts'
import type { Command, Registry } from '../registry.ts'
import { replyCommandDocs } from './command-docs.ts'
import { replyCommandInfo, replyStatusSet } from './command-info.ts'

const HELP = [
  '(no subcommand)',
  '    Describe all commands.',
  'COUNT',
  '    Count the commands.',
  'LIST',
  '    List the names of all commands, subcommands included.',
  'INFO [<command-name> ...]',
  '    Describe these commands; all by default.',
  'DOCS [<command-name> ...]',
  '    Document these commands; all by default.',
  'GETKEYS <full-command>',
  '    Tell which arguments of a call are keys.',
  'GETKEYSANDFLAGS <full-command>',
  '    Tell which arguments of a call are keys, and what the command does with them.',
]

const COMPLEXITY_ALL = 'O(N), N being the number of all commands.'
const COMPLEXITY_SOME = 'O(N), N being the number of commands that are named; of all without names.'
const COMPLEXITY_ARGUMENTS = 'O(N), N being the number of arguments of the call.'
const ANY_ORDER = ['nondeterministic_output_order']

interface Details {
  readonly name: string
  readonly summary: string
  readonly since: string
  readonly complexity: string
  readonly arity: number
  readonly tips?: readonly string[]
  readonly subcommands?: readonly CommandDefinition[]
  readonly handler: Handler
}

/** COMMAND and its subcommands have these in common. */
function describing(details: Details): CommandDefinition {
  return defineCommand({
    group: 'server',
    flags: CommandFlag.Loading | CommandFlag.Stale,
    categories: AclCategory.Connection,
    ...details,
  })
}

const subcommands = [
  describing({
    name: 'count',
    summary: 'Returns how many commands there are.',
    since: '2.8.13',
    complexity: 'O(1)',
    arity: 2,
    handler: (ctx, _args, reply) => reply.integer([...ctx.registry.all()].length),
  }),
  describing({
    name: 'docs',
    summary: 'Returns the documentation of commands.',
    since: '7.0.0',
    complexity: COMPLEXITY_SOME,
    arity: -2,
    tips: ANY_ORDER,
    handler: docsHandler,
  }),
  describing({
    name: 'getkeys',
    summary: 'Returns the keys of a call.',
    since: '2.8.13',
    complexity: COMPLEXITY_ARGUMENTS,
    arity: -3,
    handler: getkeysHandler,
  }),
  describing({
    name: 'getkeysandflags',
    summary: 'Returns the keys of a call and what is done with them.',
    since: '7.0.0',
    complexity: COMPLEXITY_ARGUMENTS,
    arity: -3,
    handler: getkeysandflagsHandler,
  }),
  describing({
    name: 'help',
    summary: 'Returns a description of the subcommands.',
    since: '5.0.0',
    complexity: 'O(1)',
    arity: 2,
    handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
  }),
  describing({
    name: 'info',
    summary: 'Returns descriptions of commands.',
    since: '2.8.13',
    complexity: COMPLEXITY_SOME,
    arity: -2,
    tips: ANY_ORDER,
    handler: infoHandler,
  }),
  describing({
    name: 'list',
    summary: 'Returns the names of commands.',
    since: '7.0.0',
    complexity: COMPLEXITY_ALL,
    arity: -2,
    tips: ANY_ORDER,
    handler: listHandler,
  }),
]

export const command = describing({
  name: 'command',
  summary: 'Returns descriptions of all commands.',
  since: '2.8.13',
  complexity: COMPLEXITY_ALL,
  arity: -1,
  tips: ANY_ORDER,
  subcommands,
  handler: (ctx, _args, reply) => replyAllInfo(ctx.registry, reply),
})

function replyAllInfo(registry: Registry, reply: ReplySink): void {
  const commands = [...registry.all()]
  reply.array(commands.length)
  for (const each of commands) replyCommandInfo(reply, each)
}

function infoHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 2) {
    replyAllInfo(ctx.registry, reply)
    return
  }
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) {
    const named = ctx.registry.byFullName(args.text(i).toLowerCase())
    if (named === null) reply.nil()
    else replyCommandInfo(reply, named)
  }
}

function docsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const commands: Command[] = args.count === 2 ? [...ctx.registry.all()] : []
  for (let i = 2; i < args.count; i++) {
    const named = ctx.registry.byFullName(args.text(i).toLowerCase())
    if (named !== null) commands.push(named)
  }
  reply.map(commands.length)
  for (const each of commands) {
    reply.bulkText(each.fullName)
    replyCommandDocs(reply, each)
  }
}

function getkeysHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const call = callBehind(args, 2)
  const keys = keysOf(ctx.registry, call)
  reply.array(keys.length)
  for (const { index } of keys) reply.bulk(call.buffer, call.start(index), call.length(index))
}

function getkeysandflagsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const call = callBehind(args, 2)
  const keys = keysOf(ctx.registry, call)
  reply.array(keys.length)
  for (const { index, flags } of keys) {
    reply.array(2)
    reply.bulk(call.buffer, call.start(index), call.length(index))
    replyStatusSet(reply, flags)
  }
}

/** The arguments from `from` on as a call of their own, over the same bytes. */
function callBehind(args: Args, from: number): Args {
  const call = new Args()
  call.buffer = args.buffer
  call.reserve(args.count - from)
  for (let i = from; i < args.count; i++) {
    call.offsets[i - from] = args.start(i)
    call.lengths[i - from] = args.length(i)
  }
  call.count = args.count - from
  return call
}

function keysOf(registry: Registry, call: Args): NonNullable<ReturnType<typeof keyArguments>> {
  const called = resolve(registry, call)
  if (called === null) throw GETKEYS_INVALID_COMMAND
  if (!hasKeys(called)) throw GETKEYS_NO_KEYS
  if (!called.accepts(call.count)) throw GETKEYS_WRONG_ARITY
  const keys = keyArguments(called, call)
  if (keys !== null && keys.length > 0) return keys
  if ((called.flags & CommandFlag.NoMandatoryKeys) === 0) throw GETKEYS_INVALID_ARGUMENTS
  return []
}

function resolve(registry: Registry, call: Args): Command | null {
  const named = registry.find(call)
  if (named === null || named.subcommands === null || call.count < 2) return named
  return named.subcommands.get(call.text(1).toLowerCase()) ?? null
}

function listHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isWanted = listFilter(args)
  const names: string[] = []
  for (const each of ctx.registry.all()) {
    if (isWanted(each)) names.push(each.fullName)
    for (const sub of each.subcommands?.values() ?? []) if (isWanted(sub)) names.push(sub.fullName)
  }
  reply.array(names.length)
  for (const name of names) reply.bulkText(name)
}

function listFilter(args: Args): (command: Command) => boolean {
  if (args.count === 2) return () => true
  if (args.count !== 5 || !args.is(2, 'FILTERBY')) throw SYNTAX_ERROR
  const value = args.text(4)
  // There are no modules, so no command belongs to one.
  if (args.is(3, 'MODULE')) return () => false
  if (args.is(3, 'PATTERN')) return (each) => globMatch(value, each.fullName, GlobCase.Ignore)
  if (!args.is(3, 'ACLCAT')) throw SYNTAX_ERROR
  const bit = CATEGORY_NAMES.find(([, name]) => name === value.toLowerCase())?.[0] ?? 0
  return (each) => (each.categories & bit) !== 0
}
