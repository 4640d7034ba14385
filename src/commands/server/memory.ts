/**
 * MEMORY DOCTOR | HELP | MALLOC-STATS | PURGE | STATS
 * MEMORY USAGE key [SAMPLES count]
 *
 * USAGE: the size is counted, not sampled: blocks of the arena with their slack, objects and arrays of big collections, and
 * the key's place in the index. STATS has the figures of INFO memory. PURGE frees at once what waits to be freed; the
 * segments of the arena stay for new data.
 *
 * Reply: USAGE: integer, bytes; null when the key is missing. STATS: map. DOCTOR: verbatim string. PURGE: OK.
 * Errors: syntax, a negative count.
 * Source: Valkey src/object.c `memoryCommand`.
 */
import type { Database } from '../../keyspace/database.ts'
import type { Keyspace } from '../../keyspace/keyspace.ts'
import type { Args } from '../../resp/args.ts'
import { NOT_AN_INTEGER, SYNTAX_ERROR, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { DictStride, NO_ROW } from '../../storage/dict.ts'
import { isObjectKind, Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand, keyAt } from '../define.ts'
import { helpSubcommand } from '../help.ts'
import { existingScriptRunner } from '../scripting/script-runner.ts'
import { memoryReport } from './memory-doctor.ts'
import { memoryOverview } from './memory-overview.ts'

const HELP = [
  'DOCTOR',
  '    Return what is worth looking at in the use of memory.',
  'MALLOC-STATS',
  '    Return statistics of the allocator. There are none beside those of STATS.',
  'PURGE',
  '    Free at once what waits to be freed in the background.',
  'STATS',
  '    Return what memory is used for.',
  'USAGE <key> [SAMPLES <count>]',
  '    Return how many bytes a key and its value take. All of it is counted, so <count> changes nothing.',
]

const WORD_BYTES = 4
/** A row of the index, and its share of a hash table that is half full. */
const ROW_BYTES = DictStride.Keys * WORD_BYTES + 2 * WORD_BYTES
/** Time and row in the order of expire times. */
const EXPIRE_BYTES = 12

const REPORT_TIPS: readonly string[] = [
  'nondeterministic_output',
  'request_policy:all_shards',
  'response_policy:special',
]

export const memory = defineCommand({
  name: 'memory',
  summary: 'A container for commands about memory.',
  group: 'server',
  since: '4.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    defineCommand({
      name: 'doctor',
      summary: 'Returns what is worth looking at in the use of memory.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1)',
      arity: 2,
      flags: 0,
      categories: 0,
      tips: REPORT_TIPS,
      handler: doctorHandler,
    }),
    helpSubcommand({ group: 'server', since: '4.0.0', categories: 0, lines: HELP }),
    defineCommand({
      name: 'malloc-stats',
      summary: 'Returns statistics of the allocator.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1)',
      arity: 2,
      flags: 0,
      categories: 0,
      tips: REPORT_TIPS,
      handler: (_ctx, _args, reply) => reply.bulkText('Stats not supported for the current allocator'),
    }),
    defineCommand({
      name: 'purge',
      summary: 'Frees what waits to be freed in the background.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(N) for the N elements that wait to be freed.',
      arity: 2,
      flags: 0,
      categories: 0,
      tips: ['request_policy:all_shards', 'response_policy:all_succeeded'],
      handler: purgeHandler,
    }),
    defineCommand({
      name: 'stats',
      summary: 'Returns what memory is used for.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1)',
      arity: 2,
      flags: 0,
      categories: 0,
      tips: REPORT_TIPS,
      handler: statsHandler,
    }),
    defineCommand({
      name: 'usage',
      summary: 'Returns how many bytes a key and its value take.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1) for most values; at worst O(N), N being the number of blocks of the value.',
      arity: -3,
      flags: CommandFlag.ReadOnly,
      categories: 0,
      keys: keyAt(2, 'RO'),
      handler: usageHandler,
    }),
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function usageHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  for (let i = 3; i < args.count; i += 2) {
    if (!args.is(i, 'SAMPLES') || i + 1 >= args.count) throw SYNTAX_ERROR
    if (args.integer(i + 1, NOT_AN_INTEGER) < 0) throw SYNTAX_ERROR
  }
  const row = ctx.db.find(args, 2)
  if (row === NO_ROW) reply.nil()
  else reply.integer(usedBytes(ctx.db, row))
}

function doctorHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const { clientCount, replication } = ctx.server
  const replicas = replication.attached.length
  const counts = {
    clients: clientCount - replicas,
    replicas,
    cachedScripts: existingScriptRunner(ctx)?.engine.count ?? 0,
  }
  reply.verbatim(memoryReport(memoryOverview(ctx), counts), 'txt')
}

function purgeHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  ctx.keyspace.lazyFree.freeUntil(Number.POSITIVE_INFINITY)
  reply.ok()
}

function statsHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const overview = memoryOverview(ctx)
  const { used, rss, reserved, startup, peak, keyCount, databases } = overview
  const net = Math.max(1, used - startup)
  const before: readonly (readonly [string, number])[] = [
    ['peak.allocated', peak],
    ['total.allocated', used],
    ['startup.allocated', startup],
    ['replication.backlog', overview.backlog],
    ['clients.slaves', overview.replicas],
    ['clients.normal', overview.clients],
    ['cluster.links', 0],
    ['aof.buffer', overview.aofBuffer],
    ['lua.caches', overview.scripts],
    ['functions.caches', overview.functions],
  ]
  const after: readonly (readonly [string, number])[] = [
    ['overhead.total', overview.overhead],
    ['keys.count', keyCount],
    ['keys.bytes-per-key', keyCount === 0 ? 0 : Math.floor(net / keyCount)],
    ['dataset.bytes', overview.dataset],
    ['dataset.percentage', (overview.dataset * 100) / net],
    ['peak.percentage', peak === 0 ? 0 : (used * 100) / peak],
    ['allocator.allocated', used],
    ['allocator.active', reserved],
    ['allocator.resident', rss],
    ['allocator-fragmentation.ratio', ratioOf(reserved, used)],
    ['allocator-fragmentation.bytes', reserved - used],
    ['allocator-rss.ratio', ratioOf(rss, reserved)],
    ['allocator-rss.bytes', rss - reserved],
    ['rss-overhead.ratio', 1],
    ['rss-overhead.bytes', 0],
    ['fragmentation', ratioOf(rss, used)],
    ['fragmentation.bytes', rss - used],
  ]
  reply.map(before.length + databases.length + after.length)
  replyFigures(reply, before)
  for (const { index, keys, expires } of databases) {
    reply.bulkText(`db.${index}`)
    reply.map(3)
    replyFigures(reply, [
      ['overhead.hashtable.main', keys],
      ['overhead.hashtable.expires', expires],
      ['overhead.hashtable.slot-to-keys', 0],
    ])
  }
  replyFigures(reply, after)
}

/** Ratios and percentages are doubles, all others integers. */
function replyFigures(reply: ReplySink, figures: readonly (readonly [string, number])[]): void {
  for (const [name, value] of figures) {
    reply.bulkText(name)
    if (isFraction(name)) reply.double(value)
    else reply.integer(value)
  }
}

function isFraction(name: string): boolean {
  return name.endsWith('.percentage') || name.endsWith('.ratio') || name === 'fragmentation'
}

function ratioOf(value: number, by: number): number {
  return by > 0 ? value / by : 0
}

/** Bytes that a key and its value take. */
export function usedBytes(db: Database, row: number): number {
  const bytes = keyBytes(db.arena.capacity(db.keys.keyRef(row)), db.expireTime(row))
  return bytes + valueBytes(db.keyspace, db.kind(row), db.keys.value(row))
}

/** Bytes that a key takes, from the capacity of its block and its expire time (-1: none), without its value. */
export function keyBytes(capacity: number, expireMs: number): number {
  return ROW_BYTES + capacity + (expireMs >= 0 ? EXPIRE_BYTES : 0)
}

/** Bytes that a value takes, of a kind and as it stands in the key index, beside its place there. */
export function valueBytes(keyspace: Keyspace, kind: number, value: number): number {
  if (kind === Kind.StringInteger) return 0
  if (!isObjectKind(kind)) return keyspace.arena.capacity(value)
  const object = keyspace.object(value)
  return object.arenaBytes() + object.overheadBytes()
}
