/**
 * From the start of the process to the first PONG, on an empty directory, with the log on: as it is each time, for the first
 * time after an installation, and with the gateway.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Reply, RespClient } from '../test/support/resp-client.ts'
import { freePort } from '../test/support/server-process.ts'
import { median } from './support/numbers.ts'
import { type Bench, column, table } from './support/report.ts'
import { alternate } from './support/rounds.ts'
import { type BenchServer, pause, startMillrace, startRedis } from './support/servers.ts'

const ROUNDS = 9
const LOADING_MS_MAX = 300_000
const POLL_MS = 5
const LOG = ['--appendonly', 'yes']

interface Subject {
  readonly name: string
  start(): Promise<BenchServer>
}

export const start: Bench = {
  name: 'start',
  summary: 'from the start of the process to the first reply; 15 seconds',
  programs: ['redis-server'],
  run: async ({ isQuick, rounds }) => {
    const subjects: readonly Subject[] = [
      { name: 'redis-server', start: () => startRedis({ args: LOG }) },
      { name: 'Millrace', start: () => startMillrace({ args: LOG }) },
      { name: 'Millrace for the first time', start: startWithoutCache },
      {
        name: 'Millrace with its gateway',
        start: async () => startMillrace({ args: LOG, httpPort: await freePort() }),
      },
    ]
    // The first start fills the cache of compiled code, and the page cache.
    if (!isQuick) for (const subject of subjects) await withLoaded(subject.start, ({ ms }) => ms)
    const count = rounds ?? (isQuick ? 1 : ROUNDS)
    const samples = await alternate(subjects, count, (subject) => withLoaded(subject.start, ({ ms }) => ms))
    const rows = subjects.map(({ name }, i) => [name, median(samples[i]!), Math.max(...samples[i]!)])
    return {
      method: `Process start to first PONG on an empty directory, log on, ${count} alternating rounds; once started before, so that compiled code is cached; for the first time: with an empty cache.`,
      tables: [table('Start', [column('server', 0), column('median ms', 0), column('longest ms', 0)], rows)],
      goals: [{ what: 'start to ready, ms', atMost: 250, figure: median(samples[1]!) }],
      plots: [],
    }
  },
}

/** As after an installation: nothing is cached of the types that were stripped and the code that was compiled. */
async function startWithoutCache(): Promise<BenchServer> {
  const codeCache = mkdtempSync(join(tmpdir(), 'bench-code-'))
  const server = await startMillrace({ args: LOG, codeCache })
  return { ...server, stop: () => server.stop().finally(() => rmSync(codeCache, { recursive: true, force: true })) }
}

/** A server that has loaded its data. */
export interface Loaded {
  readonly client: RespClient
  /** From the start of the process to the first PONG. */
  readonly ms: number
}

/** Starts a server, asks it until it has loaded its data, uses it and stops it. */
export async function withLoaded<Result>(
  run: () => Promise<BenchServer>,
  use: (loaded: Loaded) => Promise<Result> | Result,
): Promise<Result> {
  const begunMs = performance.now()
  const server = await run()
  try {
    const client = await RespClient.connect({ port: server.port })
    while (!isPong(await client.call('PING'))) {
      if (performance.now() - begunMs > LOADING_MS_MAX) throw new Error(`${server.name} has not loaded`)
      await pause(POLL_MS)
    }
    const result = await use({ client, ms: performance.now() - begunMs })
    client.close()
    return result
  } finally {
    await server.stop()
  }
}

/** While it loads, a server answers -LOADING. */
function isPong(reply: Reply): boolean {
  return typeof reply === 'object' && reply !== null && 'status' in reply
}
