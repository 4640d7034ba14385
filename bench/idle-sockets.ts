/**
 * What idle WebSockets cost: resident memory of the server with none and with many, all of them connected and answering
 * heartbeats. Open files must be allowed: `ulimit -n 25000`.
 *
 * Environment: BENCH_SOCKETS (default 10000), BENCH_SECONDS to wait before the memory is read (default 30).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cpuMs, freePort, rssBytes, startMillrace } from './servers.ts'
import type { LoadOptions, LoadReport } from './web-socket-load.ts'

const SOCKETS = Number(process.env.BENCH_SOCKETS ?? 10_000)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 30)
const LOAD = fileURLToPath(new URL('web-socket-load.ts', import.meta.url))

const httpPort = await freePort()
const server = await startMillrace(['--http-port', String(httpPort)])
let report: LoadReport = { ready: 0, messages: 0, closed: 0, latenciesMs: [] }
const client = startClient()
try {
  print('sockets', 'RSS MB', 'closed')
  print(0, megabytes(), 0)
  const options: LoadOptions = { port: httpPort, sockets: SOCKETS, channel: null }
  const startMs = performance.now()
  client.send(options)
  while (report.ready < SOCKETS) {
    if (report.closed > 0) throw new Error(`${report.closed} sockets were closed`)
    await pause(100)
  }
  print(report.ready, megabytes(), report.closed)
  process.stdout.write(`connected in ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`)
  const beforeCpuMs = cpuMs(server.pid)
  await pause(SECONDS * 1000)
  print(report.ready, megabytes(), report.closed)
  process.stdout.write(`${(((cpuMs(server.pid) - beforeCpuMs) / SECONDS / 1000) * 100).toFixed(1)} % CPU when idle\n`)
} finally {
  client.kill()
  await server.stop()
}

function startClient(): ChildProcess {
  const child = fork(LOAD)
  child.on('message', (next: LoadReport) => (report = next))
  return child
}

function megabytes(): number {
  return Math.round(rssBytes(server.pid) / 2 ** 20)
}

function print(...cells: readonly (string | number)[]): void {
  process.stdout.write(`${cells.map((cell) => String(cell).padStart(9)).join('')}\n`)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
