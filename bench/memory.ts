/** What data cost in memory, beside redis-server: one server at a time, a fresh one for each kind of data. */
import { RespClient } from '../test/support/resp-client.ts'
import { digits, encode, fillKeys, send, valueText } from './support/fill.ts'
import { type Bench, column, isWanted, table } from './support/report.ts'
import { eachAlone, pause, rssBytes } from './support/servers.ts'

/** A quick run has so much less of everything. */
const QUICK_DIVISOR = 1000
/** What is free goes back to the system within so many seconds after a start or after work. */
const SETTLE_MS = 5000
const FIELDS = Array.from({ length: 10 }, (_, i) => i)

interface Kind {
  readonly name: string
  readonly count: number
  fill(port: number, count: number): Promise<void>
}

/** Many elements of one key. */
function elements(name: string, request: (index: number) => string, linesPerReply: 1 | 2 = 1): Kind {
  return { name, count: 1_000_000, fill: (port, count) => send(port, count, request, linesPerReply) }
}

const KINDS: readonly Kind[] = [
  { name: 'keys of 16 B with values of 64 B', count: 5_000_000, fill: fillKeys },
  {
    name: 'hashes of 10 small fields',
    count: 1_000_000,
    fill: (port, count) =>
      send(port, count, (i) => encode('HSET', `h:${digits(i)}`, ...FIELDS.flatMap((f) => [`f${f}`, String(i + f)]))),
  },
  elements('fields of a hash', (i) => encode('HSET', 'hash', `field:${digits(i)}`, valueText(i).slice(0, 20))),
  elements('elements of a list', (i) => encode('RPUSH', 'list', `element:${digits(i)}`)),
  elements('members of a set', (i) => encode('SADD', 'set', `member:${digits(i)}`)),
  elements('members of a sorted set', (i) => encode('ZADD', 'zset', String((i * 7919) % 1e6), `member:${digits(i)}`)),
  elements(
    'entries of a stream',
    (i) => encode('XADD', 'stream', `${1_700_000_000_000 + i}-0`, 'field', valueText(i).slice(0, 20)),
    2,
  ),
]

interface Figures {
  readonly emptyRss: number
  readonly rss: number
  readonly used: number
}

export const memory: Bench = {
  name: 'memory',
  summary: 'used_memory and RSS with 5 million keys, a million hashes, collections of a million; 2 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const rows: { kind: Kind; count: number; redis: Figures; millrace: Figures }[] = []
    for (const kind of KINDS.filter(({ name }) => isWanted(name, options))) {
      const count = options.isQuick ? kind.count / QUICK_DIVISOR : kind.count
      process.stderr.write(`  ${count} ${kind.name}\n`)
      const [redis, millrace] = await measure(kind, count, options.isQuick ? 0 : SETTLE_MS)
      rows.push({ kind, count, redis, millrace })
    }
    const mb = (bytes: number): number => bytes / 1e6
    return {
      method:
        'Written by one pipelining connection, no log, one server at a time; RSS 5 s after the start and 5 s after the last write. Growth leaves out what an empty server takes: Node itself is most of that.',
      tables: [
        table(
          'Memory in MB',
          [
            column('data', 0),
            column('Redis RSS', 0),
            column('Millrace RSS', 0),
            column('ratio', 2),
            column('growth', 0),
            column('growth', 0),
            column('ratio of growth', 2),
            column('Redis used_memory', 0),
            column('Millrace used_memory', 0),
          ],
          rows.map(({ kind, count, redis, millrace }) => [
            `${count.toLocaleString('en-US')} ${kind.name}`,
            mb(redis.rss),
            mb(millrace.rss),
            millrace.rss / redis.rss,
            mb(redis.rss - redis.emptyRss),
            mb(millrace.rss - millrace.emptyRss),
            (millrace.rss - millrace.emptyRss) / (redis.rss - redis.emptyRss),
            mb(redis.used),
            mb(millrace.used),
          ]),
        ),
      ],
      goals: rows.map(({ kind, redis, millrace }) => ({
        what: `RSS beside Redis: ${kind.name}`,
        atMost: 0.9,
        figure: millrace.rss / redis.rss,
      })),
      plots: [],
    }
  },
}

function measure(kind: Kind, count: number, settleMs: number): Promise<readonly [Figures, Figures]> {
  return eachAlone(['--appendonly', 'no'], async (server) => {
    const client = await RespClient.connect({ port: server.port })
    const used = async (): Promise<number> =>
      Number(/used_memory:(\d+)/.exec(String(await client.call('INFO', 'memory')))?.[1])
    await pause(settleMs)
    const emptyRss = rssBytes(server.pid)
    await kind.fill(server.port, count)
    await pause(settleMs)
    const figures = { emptyRss, rss: rssBytes(server.pid), used: await used() }
    client.close()
    return figures
  })
}
