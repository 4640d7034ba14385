/**
 * WebSocket fan-out: messages published to one channel, delivered to many sockets. The server process has one core; the
 * clients, which only count frames, have the others, in processes of their own.
 *
 * Environment: BENCH_SOCKETS (default 1000), BENCH_SECONDS (default 5), BENCH_RATES (messages published a second).
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { cpuMs, freePort, median, rssBytes, startMillrace } from './servers.ts'
import type { LoadOptions, LoadReport } from './web-socket-load.ts'

const SOCKETS = Number(process.env.BENCH_SOCKETS ?? 1000)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 5)
const RATES = (process.env.BENCH_RATES ?? '50,100,200,400,800,1600').split(',').map(Number)
const CLIENT_PROCESSES = 2
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

const httpPort = await freePort()
const server = await startMillrace(['--http-port', String(httpPort)])
execFileSync('taskset', ['-apc', '0', String(server.pid)], { stdio: 'ignore' })
const totals: Totals = { ready: 0, messages: 0, closed: 0, latenciesMs: [] }
const clients = Array.from({ length: CLIENT_PROCESSES }, () => startClient(SOCKETS / CLIENT_PROCESSES))
const publisher = new Redis(server.port, { enableAutoPipelining: true })
try {
  while (totals.ready < SOCKETS) await pause(100)
  process.stdout.write(`${SOCKETS} sockets, one channel, ${PAYLOAD.length + 14} bytes a message, server on one core\n`)
  process.stdout.write('published/s   delivered/s   server CPU   p50 ms   p99 ms   RSS MB\n')
  for (const rate of RATES) await measure(rate)
  if (totals.closed > 0) process.stdout.write(`${totals.closed} sockets were closed\n`)
} finally {
  publisher.disconnect()
  for (const client of clients) client.kill()
  await server.stop()
}

async function measure(rate: number): Promise<void> {
  await publish(rate, 1)
  totals.messages = 0
  totals.latenciesMs = []
  const beforeCpuMs = cpuMs(server.pid)
  const startMs = performance.now()
  await publish(rate, SECONDS)
  const passedMs = performance.now() - startMs
  const cpu = (cpuMs(server.pid) - beforeCpuMs) / passedMs
  const delivered = (totals.messages * 1000) / passedMs
  const sorted = totals.latenciesMs.sort((a, b) => a - b)
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN
  const cells = [rate, Math.round(delivered), `${Math.round(cpu * 100)} %`, median(sorted), p99]
  const rss = Math.round(rssBytes(server.pid) / 2 ** 20)
  process.stdout.write(
    `${[...cells, rss].map((cell, i) => String(cell).padStart([11, 14, 13, 9, 9, 9][i]!)).join('')}\n`,
  )
  await pause(1000)
}

/** Publishes evenly; falls behind when the server does, so it does not flood. */
async function publish(rate: number, seconds: number): Promise<void> {
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

function startClient(sockets: number): ChildProcess {
  const child = fork(LOAD)
  const options: LoadOptions = { port: httpPort, sockets, channel: 'news' }
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
