/**
 * INFO [section ...]
 *
 * Sections by name, in any case; `default` (as without arguments), `all` (with statistics per command) and `everything`
 * (with modules) stand for several. Unknown names give nothing.
 *
 * Reply: verbatim text, one `name:value` per line, sections with a title and an empty line between them.
 * Source: Valkey src/server.c `infoCommand`, `genRedisInfoString`, `genInfoSectionDict`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import {
  clientLines,
  commandStatsLines,
  cpuLines,
  errorStatsLines,
  type InfoLines,
  keyspaceLines,
  latencyStatsLines,
  memoryLines,
  persistenceLines,
  replicationLines,
  serverLines,
  stallLines,
  statsLines,
} from './info-sections.ts'

interface Section {
  readonly names: readonly string[]
  readonly title: string
  /** Whether it is part of the default and of `all`; all are part of `everything`. */
  readonly inDefault: boolean
  readonly inAll: boolean
  readonly lines: (ctx: CommandContext) => InfoLines
}

const SECTIONS: readonly Section[] = [
  plain('server', 'Server', serverLines),
  plain('clients', 'Clients', clientLines),
  plain('memory', 'Memory', memoryLines),
  plain('persistence', 'Persistence', persistenceLines),
  plain('stats', 'Stats', statsLines),
  // A section of our own: readers of the default ones need not know it.
  { names: ['stalls'], title: 'Stalls', inDefault: false, inAll: true, lines: stallLines },
  plain('replication', 'Replication', replicationLines),
  plain('cpu', 'CPU', cpuLines),
  { names: ['modules', 'module_list'], title: 'Modules', inDefault: true, inAll: false, lines: () => [] },
  { names: ['commandstats'], title: 'Commandstats', inDefault: false, inAll: true, lines: commandStatsLines },
  plain('errorstats', 'Errorstats', errorStatsLines),
  { names: ['latencystats'], title: 'Latencystats', inDefault: false, inAll: true, lines: latencyStatsLines },
  plain('cluster', 'Cluster', () => [['cluster_enabled', 0]]),
  plain('keyspace', 'Keyspace', keyspaceLines),
]

export const info = defineCommand({
  name: 'info',
  summary: 'Returns facts and counters of the server.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: -1,
  flags: CommandFlag.Loading | CommandFlag.Stale,
  categories: AclCategory.Dangerous,
  tips: ['nondeterministic_output', 'request_policy:all_shards', 'response_policy:special'],
  handler: infoHandler,
})

function plain(name: string, title: string, lines: Section['lines']): Section {
  return { names: [name], title, inDefault: true, inAll: true, lines }
}

function infoHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const names = new Set<string>()
  for (let i = 1; i < args.count; i++) names.add(args.text(i).toLowerCase())
  reply.verbatim(textOf(ctx, names), 'txt')
}

/** The default sections. */
export function infoText(ctx: CommandContext): string {
  return textOf(ctx, new Set())
}

function textOf(ctx: CommandContext, names: ReadonlySet<string>): string {
  const texts: string[] = []
  for (const section of SECTIONS) if (isWanted(section, names)) texts.push(sectionText(ctx, section))
  return texts.join('\r\n')
}

function isWanted(section: Section, names: ReadonlySet<string>): boolean {
  if (names.has('everything')) return true
  if (names.has('all') && section.inAll) return true
  if ((names.size === 0 || names.has('default')) && section.inDefault) return true
  return section.names.some((name) => names.has(name))
}

function sectionText(ctx: CommandContext, section: Section): string {
  let text = `# ${section.title}\r\n`
  for (const [name, value] of section.lines(ctx)) text += `${name}:${value}\r\n`
  return text
}
