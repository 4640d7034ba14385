/**
 * MODULE LIST | LOAD path [arg ...] | LOADEX path [CONFIG name value ...] [ARGS arg ...] | UNLOAD name | HELP
 *
 * There are no modules: they are written in C, against the inside of Redis.
 *
 * Reply: LIST: an empty array. Errors: of LOAD, LOADEX and UNLOAD: not allowed, as `enable-module-command` says; else that
 * the module cannot be loaded, or that there is none with that name.
 * Source: Valkey src/module.c `moduleCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { disabledCommand, MODULE_LOAD_FAILED, MODULE_UNKNOWN, type ReplyError } from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import { type CommandDefinition, CommandFlag, defineCommand, type Handler } from '../define.ts'
import { helpSubcommand } from '../help.ts'

const HELP = [
  'LIST',
  '    Return the loaded modules: none, as they cannot be loaded here.',
  'LOAD <path> [<arg> ...]',
  'LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]',
  '    Load a module, which always fails.',
  'UNLOAD <name>',
  '    Unload a module.',
]

const LIST_FLAGS = CommandFlag.Admin | CommandFlag.NoScript
const LOAD_FLAGS = LIST_FLAGS | CommandFlag.NoAsyncLoading
const NOT_ALLOWED = disabledCommand('MODULE', 'enable-module-command')

export const module = defineCommand({
  name: 'module',
  summary: 'A container for commands about modules.',
  group: 'server',
  since: '4.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    helpSubcommand({ group: 'server', since: '5.0.0', categories: 0, lines: HELP }),
    defineCommand({
      name: 'list',
      summary: 'Returns the loaded modules, of which there are none.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1)',
      arity: 2,
      flags: LIST_FLAGS,
      categories: 0,
      tips: ['nondeterministic_output_order'],
      handler: (_ctx, _args, reply) => reply.array(0),
    }),
    refused('load', '4.0.0', -3, 'Loads a module, which always fails.', MODULE_LOAD_FAILED),
    refused('loadex', '7.0.0', -3, 'Loads a module with settings, which always fails.', MODULE_LOAD_FAILED),
    refused('unload', '4.0.0', 3, 'Unloads a module, of which there are none.', MODULE_UNKNOWN),
  ],
  handler: () => {
    throw new Error('MODULE is called by its subcommands only')
  },
})

/** A subcommand that changes the loaded modules, which it cannot. */
function refused(name: string, since: string, arity: number, summary: string, error: ReplyError): CommandDefinition {
  const handler: Handler = (ctx: CommandContext, _args: Args): void => {
    const allowed = ctx.config.text('enable-module-command')
    throw allowed === 'yes' || (allowed === 'local' && ctx.session.isLocal) ? error : NOT_ALLOWED
  }
  return defineCommand({
    name,
    summary,
    group: 'server',
    since,
    complexity: 'O(1)',
    arity,
    flags: LOAD_FLAGS,
    categories: 0,
    handler,
  })
}
