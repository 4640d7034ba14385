/**
 * Full load for ten minutes, with clients that come and go: whether memory and descriptors grow. Eight connections write,
 * read and delete what does not become more, streams with groups among it; meanwhile others connect, ask something,
 * subscribe or block, and leave, some in the midst of a request.
 */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { median } from './support/numbers.ts'
import { type Bench, column, table } from './support/report.ts'
import { cpuMs, pause, rssBytes, startMillrace } from './support/servers.ts'

const MINUTES = 10
const QUICK_MINUTES = 0.05
const SAMPLES = 20
const WORKERS = 8
const DEPTH = 64
const KEYS = 100_000
const VALUE = 'v'.repeat(100)
/** Clients that are there for a moment, at a time. */
const VISITORS = 50
const MB = 1024 * 1024
/**
 * After the first part of the time all that is kept for reuse is there: growth counts from here on. One look at the memory
 * says little, as it goes up and down with the visitors: the medians of two equal parts are compared.
 */
const WARM_SHARE = 0.3
const PART_SHARE = 0.35

/** What a visitor sends before it leaves, with or without a reply. */
const VISITS = [
  'PING\r\n',
  'SUBSCRIBE channel\r\n',
  'BLPOP nothing 0\r\n',
  'MULTI\r\nSET key:1 x\r\nGET key:1\r\n',
  '*3\r\n$3\r\nSET\r\n$5\r\nkey:2\r\n$1000000\r\nbeginning',
  'WATCH key:3\r\nCLIENT TRACKING ON\r\nGET key:3\r\n',
  `HELLO 3\r\n${'GET key:4\r\n'.repeat(1000)}`,
  '*1\r\n$-5\r\n',
]

function command(worker: number, i: number): string {
  const key = (i * 7919 + worker * 13) % KEYS
  switch (i % 8) {
    case 0:
      return `SET key:${key} ${VALUE}`
    case 1:
      return `GET key:${key}`
    case 2:
      return `SET gone:${key} ${VALUE} PX ${(key % 1000) + 1}`
    case 3:
      return `HSET hash:${key % 1000} field-${key % 200} ${i}`
    case 4:
      return `ZADD zset:${key % 100} ${i} member-${key % 500}`
    case 5:
      return `XADD stream:${worker} MAXLEN ~ 1000 * field ${VALUE}`
    case 6:
      return `XREADGROUP GROUP g c COUNT 2 NOACK STREAMS stream:${worker} >`
    default:
      return i % 16 === 7 ? `UNLINK key:${key}` : `LPUSH list:${worker} ${i}\r\nLTRIM list:${worker} 0 99`
  }
}

/** Sends batch after batch, until it is stopped. */
async function work(port: number, worker: number, isOver: () => boolean): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`XGROUP CREATE stream:${worker} g $ MKSTREAM\r\n`)
  await once(socket, 'data')
  let i = 0
  while (!isOver()) {
    const lines: string[] = []
    for (const end = i + DEPTH; i < end; i++) lines.push(command(worker, i))
    const mark = `$${String(i).length}\r\n${i}\r\n`
    socket.write(`${lines.join('\r\n')}\r\nECHO ${i}\r\n`)
    for (let tail = ''; !tail.endsWith(mark); ) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      tail = (tail + chunk.toString('latin1')).slice(-mark.length)
    }
  }
  socket.destroy()
  return i
}

/** Comes, asks, and leaves, again and again. */
async function visit(port: number, visitor: number, isOver: () => boolean): Promise<number> {
  let visits = 0
  for (; !isOver(); visits++) {
    const socket: Socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    const isOpen = await Promise.race([once(socket, 'connect').then(() => true), pause(5000).then(() => false)])
    if (isOpen) socket.write(VISITS[(visitor + visits) % VISITS.length]!)
    await pause((visits * 7) % 20)
    if (visits % 2 === 0) socket.end()
    else socket.resetAndDestroy()
    if (visits % 2 === 0) await Promise.race([once(socket, 'close'), pause(100)])
    socket.destroy()
  }
  return visits
}

interface Sample {
  readonly minute: number
  readonly rss: number
  readonly descriptors: number
  readonly cpuMs: number
}

export const soak: Bench = {
  name: 'soak',
  summary: 'memory and descriptors under full load with clients that come and go; 10 minutes',
  programs: [],
  run: async (options) => {
    const durationMs = (options.isQuick ? QUICK_MINUTES : MINUTES) * 60_000
    const server = await startMillrace({ args: ['--appendonly', 'no'] })
    const begunMs = performance.now()
    const isOver = (): boolean => performance.now() - begunMs > durationMs
    const samples: Sample[] = []
    const look = (): void => {
      const descriptors = readdirSync(`/proc/${server.pid}/fd`).length
      const minute = (performance.now() - begunMs) / 60_000
      samples.push({ minute, rss: rssBytes(server.pid), descriptors, cpuMs: cpuMs(server.pid) })
      process.stderr.write(`  ${minute.toFixed(1)} min  ${(samples.at(-1)!.rss / MB).toFixed(0)} MB  ${descriptors}\n`)
    }
    try {
      const works = Array.from({ length: WORKERS }, (_, worker) => work(server.port, worker, isOver))
      const visits = Array.from({ length: VISITORS }, (_, visitor) => visit(server.port, visitor, isOver))
      for (let i = 0; i < SAMPLES; i++) {
        look()
        await pause(durationMs / SAMPLES)
      }
      const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)
      const requests = sum(await Promise.all(works))
      const visited = sum(await Promise.all(visits))
      // All have gone.
      await pause(2000)
      look()
      const medianRss = (from: number): number =>
        median(samples.slice(SAMPLES * from, SAMPLES * (from + PART_SHARE)).map(({ rss }) => rss))
      return {
        method: `${WORKERS} connections at pipeline depth ${DEPTH} for ${(durationMs / 60_000).toFixed(1)} minutes: ${requests} requests; ${visited} clients that came and went, ${VISITORS} at a time. The last line is 2 s after all have gone.`,
        tables: [
          table(
            'Soak',
            [column('minute', 1), column('RSS MB', 0), column('descriptors', 0), column('CPU s', 0)],
            samples.map(({ minute, rss, descriptors, cpuMs: ms }) => [minute, rss / MB, descriptors, ms / 1000]),
          ),
        ],
        goals: [
          {
            what: 'RSS of the last 35 % of the time ÷ of the 35 % before (medians)',
            atMost: 1.1,
            figure: medianRss(1 - PART_SHARE) / medianRss(WARM_SHARE),
          },
        ],
        plots: [],
      }
    } finally {
      await server.stop()
    }
  },
}
