/**
 * WebSocket fan-out: messages published to one channel, delivered to many sockets. The server process has one core; the
 * clients, which only count frames, have the others, in processes of their own.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { freePort } from '../test/support/server-process.ts'
import { median } from './support/numbers.ts'
import { type Bench, column, table } from './support/report.ts'
import { withCpu } from './support/rounds.ts'
import { type BenchServer, pause, rssBytes, startMillrace } from './support/servers.ts'
import type { LoadOptions, LoadReport } from './web-socket-load.ts'

interface Sizes {
  readonly sockets: number
  readonly seconds: number
  /** Messages published per second. */
  readonly rates: readonly number[]
}

const FULL: Sizes = { sockets: 1000, seconds: 5, rates: [50, 100, 200, 400, 800, 1600] }
const QUICK: Sizes = { sockets: 20, seconds: 0.5, rates: [50] }
const CLIENT_PROCESSES = 2
const READY_POLL_MS = 20
/** What is still under way arrives before the next rate. */
const SETTLE_MS = 1000
const LOAD = fileURLToPath(new URL('web-socket-load.ts', import.meta.url))
/** Messages are published in groups at this pause, in ms: what comes in one turn leaves together. */
const PUBLISH_MS = 10
const PAYLOAD = 'x'.repeat(64)

interface Totals {
  ready: number
  messages: number
  closed: number
  latenciesMs: number[]
}

/** The server, those that publish, and what came to those that listen. */
interface Scene {
  readonly server: BenchServer
  readonly publisher: Redis
  readonly totals: Totals
}

export const fanOut: Bench = {
  name: 'fan-out',
  summary: 'WebSocket messages delivered to 1,000 sockets, the server on one core; 1 minute',
  programs: ['taskset'],
  run: async ({ isQuick }) => {
    const { sockets, seconds, rates } = isQuick ? QUICK : FULL
    const httpPort = await freePort()
    const server = await startMillrace({ httpPort })
    execFileSync('taskset', ['-apc', '0', String(server.pid)], { stdio: 'ignore' })
    const totals: Totals = { ready: 0, messages: 0, closed: 0, latenciesMs: [] }
    const options: LoadOptions = { port: httpPort, sockets: sockets / CLIENT_PROCESSES, channel: 'news' }
    const clients = Array.from({ length: CLIENT_PROCESSES }, () => startClient(options, totals))
    const publisher = new Redis(server.port, { enableAutoPipelining: true })
    const rows: number[][] = []
    try {
      while (totals.ready < sockets) {
        if (totals.closed > 0) throw new Error(`${totals.closed} sockets were closed`)
        await pause(READY_POLL_MS)
      }
      for (const rate of rates) rows.push(await measure({ server, publisher, totals }, rate, seconds))
      if (totals.closed > 0) throw new Error(`${totals.closed} sockets were closed`)
    } finally {
      publisher.disconnect()
      for (const client of clients) client.kill()
      await server.stop()
    }
    return {
      method: `${sockets.toLocaleString('en-US')} sockets subscribed to one channel, messages of ${PAYLOAD.length + 14} bytes, ${seconds} s for each rate, the server on one core, clients in other processes.`,
      tables: [
        table(
          'WebSocket fan-out',
          [
            column('published/s', 0),
            column('delivered/s', 0),
            column('server CPU %', 0),
            column('p50 ms', 0),
            column('p99 ms', 0),
            column('RSS MB', 0),
          ],
          rows,
        ),
      ],
      goals: [],
      plots: [],
    }
  },
}

async function measure({ server, publisher, totals }: Scene, rate: number, seconds: number): Promise<number[]> {
  await publish(publisher, rate, seconds / 5)
  totals.messages = 0
  totals.latenciesMs = []
  const startMs = performance.now()
  const { ms } = await withCpu(server.pid, () => publish(publisher, rate, seconds))
  const passedMs = performance.now() - startMs
  const sorted = totals.latenciesMs.sort((a, b) => a - b)
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN
  const rss = rssBytes(server.pid) / 2 ** 20
  const row = [rate, (totals.messages * 1000) / passedMs, (ms / passedMs) * 100, median(sorted), p99, rss]
  await pause(SETTLE_MS)
  return row
}

/** Publishes evenly; falls behind when the server does, so it does not flood. */
async function publish(publisher: Redis, rate: number, seconds: number): Promise<void> {
  const startMs = performance.now()
  let sent = 0
  while (performance.now() - startMs < seconds * 1000) {
    const due = Math.floor(((performance.now() - startMs) / 1000) * rate)
    const group: Promise<number>[] = []
    for (; sent < due; sent++) group.push(publisher.publish('news', `${Date.now()} ${PAYLOAD}`))
    await Promise.all(group)
    await pause(PUBLISH_MS)
  }
}

function startClient(options: LoadOptions, totals: Totals): ChildProcess {
  const child = fork(LOAD)
  let before = { ready: 0, closed: 0 }
  child.on('message', (report: LoadReport) => {
    totals.ready += report.ready - before.ready
    totals.closed += report.closed - before.closed
    totals.messages += report.messages
    totals.latenciesMs.push(...report.latenciesMs)
    before = report
  })
  child.send(options)
  return child
}
