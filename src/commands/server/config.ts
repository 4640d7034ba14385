/**
 * CONFIG GET name|glob ... | SET name value ... | RESETSTAT | REWRITE | HELP
 *
 * Reply: GET: map of names and values; the others OK. Errors: those of the directives (config/config.ts); syntax.
 * Source: Valkey src/config.c `configGetCommand`, `configSetCommand`, `configRewriteCommand`, `configResetStatCommand`.
 */
import { describeUser } from '../../access/rules.ts'
import { quote } from '../../bytes/quoting.ts'
import { DirectiveFlag } from '../../config/directive.ts'
import { findDirective } from '../../config/directives.ts'
import type { Args } from '../../resp/args.ts'
import { ReplyError, SYNTAX_ERROR, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { type CommandDefinition, CommandFlag, defineCommand, type Handler } from '../define.ts'
import { replyHelp } from '../help.ts'

const HELP = [
  'GET <pattern>',
  '    Return the settings whose names match <pattern>, and their values.',
  'SET <directive> <value>',
  '    Change the setting <directive>.',
  'RESETSTAT',
  '    Set the counters that INFO shows to zero.',
  'REWRITE',
  '    Write the settings into the configuration file.',
]

const FLAGS = CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale
const ALL_NODES = ['request_policy:all_nodes', 'response_policy:all_succeeded']

interface Details {
  readonly name: string
  readonly summary: string
  readonly since: string
  readonly complexity: string
  readonly arity: number
  readonly flags?: number
  readonly tips?: readonly string[]
  readonly sensitiveArguments?: (args: Args) => number[]
  readonly handler: Handler
}

function setting(details: Details): CommandDefinition {
  return defineCommand({ group: 'server', flags: FLAGS, categories: 0, ...details })
}

export const config = defineCommand({
  name: 'config',
  summary: 'A container for commands about the settings of the server.',
  group: 'server',
  since: '2.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    setting({
      name: 'get',
      summary: 'Returns settings.',
      since: '2.0.0',
      complexity: 'O(N), N being the number of directives that are named.',
      arity: -3,
      handler: getHandler,
    }),
    setting({
      name: 'help',
      summary: 'Returns a description of the subcommands.',
      since: '5.0.0',
      complexity: 'O(1)',
      arity: 2,
      flags: CommandFlag.Loading | CommandFlag.Stale,
      handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
    }),
    setting({
      name: 'resetstat',
      summary: 'Sets the counters of the server to zero.',
      since: '2.0.0',
      complexity: 'O(1)',
      arity: 2,
      tips: ALL_NODES,
      handler: resetstatHandler,
    }),
    setting({
      name: 'rewrite',
      summary: 'Writes the settings into the configuration file.',
      since: '2.8.0',
      complexity: 'O(1)',
      arity: 2,
      tips: ALL_NODES,
      handler: rewriteHandler,
    }),
    setting({
      name: 'set',
      summary: 'Changes settings while the server runs.',
      since: '2.0.0',
      complexity: 'O(N), N being the number of directives that are named.',
      arity: -4,
      tips: ALL_NODES,
      sensitiveArguments: secretValues,
      handler: setHandler,
    }),
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function getHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const patterns: string[] = []
  for (let i = 2; i < args.count; i++) patterns.push(args.text(i))
  const settings = ctx.config.get(patterns)
  reply.map(settings.length)
  for (const [name, value] of settings) {
    reply.bulkText(name)
    reply.bulkText(value)
  }
}

function setHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count % 2 !== 0) throw SYNTAX_ERROR
  const pairs: [string, string][] = []
  for (let i = 2; i < args.count; i += 2) pairs.push([args.text(i), args.text(i + 1)])
  const refusal = ctx.config.set(pairs, { isLocalClient: ctx.session.isLocal, isLoading: ctx.server.loading.isActive })
  if (refusal !== null) throw new ReplyError(refusal)
  reply.ok()
}

/** Values of passwords, wherever they stand and whether or not the command succeeds. */
function secretValues(args: Args): number[] {
  const secrets: number[] = []
  for (let i = 2; i + 1 < args.count; i += 2) {
    const entry = findDirective(args.text(i))
    if (entry !== null && (entry.directive.flags & DirectiveFlag.Sensitive) !== 0) secrets.push(i + 1)
  }
  return secrets
}

function resetstatHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  ctx.server.resetStatistics()
  reply.ok()
}

/** Users as they are now, unless they have a file of their own. A word with quotes in it must be read as it was. */
export function userLines(ctx: CommandContext): string[] {
  if (ctx.config.text('aclfile') !== '') return []
  return [...ctx.server.users].map((user) =>
    `${user.name} ${describeUser(user)}`
      .split(' ')
      .map((word) => (/["']/.test(word) ? quote(word) : word))
      .join(' '),
  )
}

function rewriteHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const refusal = ctx.config.rewrite(userLines(ctx))
  if (refusal !== null) throw new ReplyError(refusal)
  reply.ok()
}
