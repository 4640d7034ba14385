/**
 * What idle WebSockets cost: resident memory of the server with none and with many, all of them connected and answering
 * heartbeats. Open files must be allowed: `ulimit -n 25000`.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/support/server-process.ts'
import { type Bench, column, table } from './support/report.ts'
import { withCpu } from './support/rounds.ts'
import { pause, rssBytes, startMillrace } from './support/servers.ts'
import type { LoadOptions, LoadReport } from './web-socket-load.ts'

const SOCKETS = 10_000
/** Long enough for a heartbeat of each. */
const SECONDS = 30
const QUICK_SOCKETS = 20
const QUICK_SECONDS = 0.2
const LOAD = fileURLToPath(new URL('web-socket-load.ts', import.meta.url))

export const idleSockets: Bench = {
  name: 'idle-sockets',
  summary: 'memory and CPU of 10,000 idle WebSockets; 1 minute; needs `ulimit -n 25000`',
  programs: [],
  run: async ({ isQuick }) => {
    const sockets = isQuick ? QUICK_SOCKETS : SOCKETS
    const seconds = isQuick ? QUICK_SECONDS : SECONDS
    const httpPort = await freePort()
    const server = await startMillrace({ httpPort })
    let report: LoadReport = { ready: 0, messages: 0, closed: 0, latenciesMs: [] }
    const client: ChildProcess = fork(LOAD)
    client.on('message', (next: LoadReport) => (report = next))
    const megabytes = (): number => rssBytes(server.pid) / 2 ** 20
    const rows: (string | number | null)[][] = [['none', megabytes(), null]]
    try {
      const options: LoadOptions = { port: httpPort, sockets, channel: null }
      client.send(options)
      while (report.ready < sockets) {
        if (report.closed > 0) throw new Error(`${report.closed} sockets were closed`)
        await pause(100)
      }
      rows.push(['connected', megabytes(), null])
      const { ms } = await withCpu(server.pid, () => pause(seconds * 1000))
      if (report.closed > 0) throw new Error(`${report.closed} sockets were closed`)
      rows.push([`after ${seconds} s`, megabytes(), ms / seconds / 10])
    } finally {
      client.kill()
      await server.stop()
    }
    return {
      method: `${sockets.toLocaleString('en-US')} WebSockets that are connected and answer heartbeats.`,
      tables: [table('Idle WebSockets', [column('sockets', 0), column('RSS MB', 0), column('server CPU %', 1)], rows)],
      goals: [],
      plots: [],
    }
  },
}
