/**
 * LATENCY DOCTOR | GRAPH event | HISTOGRAM [command ...] | HISTORY event | LATEST | RESET [event ...] | HELP
 *
 * Events that have held up the server (observe/latency-monitor.ts), and how long each command takes.
 *
 * Reply: DOCTOR and GRAPH: text; HISTOGRAM: a map from commands to calls and a cumulative distribution; HISTORY: pairs of
 * time and milliseconds; LATEST: event, time, last and longest; RESET: how many events were forgotten. Errors: GRAPH of an
 * event that has not happened.
 * Source: Valkey src/latency.c `latencyCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { noLatencySamples, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { type CommandDefinition, CommandFlag, defineCommand, type Handler } from '../define.ts'
import { replyHelp } from '../help.ts'
import type { Command } from '../registry.ts'
import { latencyGraph, latencyReport } from './latency-report.ts'

const HELP = [
  'DOCTOR',
  '    Return an analysis of what has held up the server.',
  'GRAPH <event>',
  '    Return a graph of an event.',
  'HISTORY <event>',
  '    Return times and durations of an event.',
  'LATEST',
  '    Return the latest and the longest duration of each event.',
  'RESET [<event> ...]',
  '    Forget events (default: all).',
  'HISTOGRAM [<command> ...]',
  '    Return how long commands take (default: all), as a cumulative distribution.',
]

const FLAGS = CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale
const TIPS = ['nondeterministic_output', 'request_policy:all_nodes', 'response_policy:special']
const MS_PER_S = 1000

interface Details {
  readonly name: string
  readonly summary: string
  readonly arity: number
  readonly handler: Handler
  readonly since?: string
  readonly complexity?: string
  readonly tips?: readonly string[]
  readonly flags?: number
}

/** The subcommands have these in common. */
function subcommand(details: Details): CommandDefinition {
  return defineCommand({
    group: 'server',
    since: '2.8.13',
    complexity: 'O(1)',
    flags: FLAGS,
    categories: 0,
    tips: TIPS,
    ...details,
  })
}

export const latency: CommandDefinition = defineCommand({
  name: 'latency',
  summary: 'A container for commands about delays.',
  group: 'server',
  since: '2.8.13',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    subcommand({
      name: 'doctor',
      summary: 'Returns an analysis of what has held up the server.',
      arity: 2,
      handler: (ctx, _args, reply) => reply.verbatim(latencyReport(ctx.server.latency, secondsOf(ctx)), 'txt'),
    }),
    subcommand({ name: 'graph', summary: 'Returns a graph of an event.', arity: 3, handler: graphHandler }),
    subcommand({
      name: 'help',
      summary: 'Returns a description of the subcommands.',
      arity: 2,
      flags: CommandFlag.Loading | CommandFlag.Stale,
      tips: [],
      handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
    }),
    subcommand({
      name: 'histogram',
      summary: 'Returns how long commands take, as cumulative distributions.',
      since: '7.0.0',
      complexity: 'O(N), N being the number of commands that are replied.',
      arity: -2,
      handler: histogramHandler,
    }),
    subcommand({
      name: 'history',
      summary: 'Returns times and durations of an event.',
      arity: 3,
      handler: historyHandler,
    }),
    subcommand({
      name: 'latest',
      summary: 'Returns the latest and the longest duration of each event.',
      arity: 2,
      handler: latestHandler,
    }),
    subcommand({
      name: 'reset',
      summary: 'Forgets events.',
      arity: -2,
      tips: ['request_policy:all_nodes', 'response_policy:agg_sum'],
      handler: resetHandler,
    }),
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function secondsOf(ctx: CommandContext): number {
  return Math.floor(ctx.now / MS_PER_S)
}

function graphHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const event = args.text(2)
  const series = ctx.server.latency.series.get(event)
  if (series === undefined) throw noLatencySamples(event)
  reply.verbatim(latencyGraph(event, series, secondsOf(ctx)), 'txt')
}

function historyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const samples = ctx.server.latency.series.get(args.text(2))?.samples ?? []
  reply.array(samples.length)
  for (const { timeSeconds, ms } of samples) {
    reply.array(2)
    reply.integer(timeSeconds)
    reply.integer(ms)
  }
}

function latestHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const { series } = ctx.server.latency
  reply.array(series.size)
  for (const [event, { latest, maxMs }] of series) {
    reply.array(4)
    reply.bulkText(event)
    reply.integer(latest.timeSeconds)
    reply.integer(latest.ms)
    reply.integer(maxMs)
  }
}

function resetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const monitor = ctx.server.latency
  if (args.count === 2) {
    reply.integer(monitor.resetAll())
    return
  }
  let count = 0
  for (let i = 2; i < args.count; i++) count += monitor.reset(args.text(i))
  reply.integer(count)
}

function histogramHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const timed: Command[] = []
  const add = (command: Command): void => {
    if (command.latency !== null) timed.push(command)
    for (const sub of command.subcommands?.values() ?? []) if (sub.latency !== null) timed.push(sub)
  }
  if (args.count === 2) for (const command of ctx.registry.all()) add(command)
  for (let i = 2; i < args.count; i++) {
    const command = ctx.registry.byFullName(args.text(i).toLowerCase())
    if (command !== null) add(command)
  }
  reply.map(timed.length)
  for (const command of timed) replyHistogram(command, reply)
}

function replyHistogram({ fullName, latency: histogram }: Command, reply: ReplySink): void {
  const pairs = histogram === null ? [] : histogram.distribution()
  reply.bulkText(fullName)
  reply.map(2)
  reply.bulkText('calls')
  reply.integer(histogram === null ? 0 : histogram.total)
  reply.bulkText('histogram_usec')
  reply.map(pairs.length)
  for (const [microseconds, count] of pairs) {
    reply.integer(microseconds)
    reply.integer(count)
  }
}
