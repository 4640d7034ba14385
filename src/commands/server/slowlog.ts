/**
 * SLOWLOG GET [count] | LEN | RESET | HELP
 *
 * Reply: GET: entries, newest first (10 by default, all for -1), each of ID, time in seconds, duration in microseconds,
 * arguments, address and name of the client; LEN: integer; RESET: OK. Errors: a count below -1.
 * Source: Valkey src/slowlog.c `slowlogCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { SLOWLOG_COUNT, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'
import { helpSubcommand } from '../help.ts'

const COUNT_DEFAULT = 10
const COUNT_ALL = -1

const HELP = [
  'GET [<count>]',
  '    Return the newest <count> entries (default: 10, -1 means all).',
  '    An entry has an ID, the time, the duration in microseconds, the arguments,',
  '    the address and the name of the client.',
  'LEN',
  '    Return the number of entries.',
  'RESET',
  '    Remove all entries.',
]

const FLAGS = CommandFlag.Admin | CommandFlag.Loading | CommandFlag.Stale

export const slowlog = defineCommand({
  name: 'slowlog',
  summary: 'A container for commands about the slow log.',
  group: 'server',
  since: '2.2.12',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    defineCommand({
      name: 'get',
      summary: 'Returns the newest entries of the slow log.',
      group: 'server',
      since: '2.2.12',
      complexity: 'O(N), N being the number of entries that are replied.',
      arity: -2,
      flags: FLAGS,
      categories: 0,
      tips: ['request_policy:all_nodes', 'nondeterministic_output'],
      handler: getHandler,
    }),
    helpSubcommand({ group: 'server', since: '6.2.0', categories: 0, lines: HELP }),
    defineCommand({
      name: 'len',
      summary: 'Returns how many entries the slow log has.',
      group: 'server',
      since: '2.2.12',
      complexity: 'O(1)',
      arity: 2,
      flags: FLAGS,
      categories: 0,
      tips: ['request_policy:all_nodes', 'response_policy:agg_sum', 'nondeterministic_output'],
      handler: (ctx, _args, reply) => reply.integer(ctx.server.slowlog.length),
    }),
    defineCommand({
      name: 'reset',
      summary: 'Removes all entries from the slow log.',
      group: 'server',
      since: '2.2.12',
      complexity: 'O(N), N being the number of entries.',
      arity: 2,
      flags: FLAGS,
      categories: 0,
      tips: ['request_policy:all_nodes', 'response_policy:all_succeeded'],
      handler: resetHandler,
    }),
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function getHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw subcommandSyntax(args.text(1), args.text(0))
  const count = args.count === 3 ? args.integer(2, SLOWLOG_COUNT) : COUNT_DEFAULT
  if (count < COUNT_ALL) throw SLOWLOG_COUNT
  const { slowlog: log } = ctx.server
  const entries = log.latest(count === COUNT_ALL ? log.length : count)
  reply.array(entries.length)
  for (const entry of entries) {
    reply.array(6)
    reply.integer(entry.id)
    reply.integer(entry.timeSeconds)
    reply.integer(entry.microseconds)
    reply.array(entry.words.length)
    for (const word of entry.words) reply.bulkText(word)
    reply.bulkText(entry.clientAddress)
    reply.bulkText(entry.clientName)
  }
}

function resetHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  ctx.server.slowlog.reset()
  reply.ok()
}
