/**
 * The HTTP door: requests/s, and server CPU per request, beside webdis in front of redis-server (if it is installed) and
 * beside Fastify routes that answer a constant. Load comes from autocannon, in processes of its own.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { RespClient } from '../test/support/resp-client.ts'
import { freePort } from '../test/support/server-process.ts'
import { median } from './support/numbers.ts'
import { type Bench, type BenchOptions, column, isWanted, type Report, table } from './support/report.ts'
import { alternate } from './support/rounds.ts'
import { type BenchServer, cpuMs, startMillrace, startProcess, startRedis } from './support/servers.ts'

const ROUNDS = 3
const SECONDS = 4
const QUICK_SECONDS = 1
const CONNECTIONS = 50
/** Load generators; the server has one core, they have the others. */
const WORKERS = 2
const WARMUP_SECONDS = 3
const WEBDIS = '/usr/bin/webdis'
const CONSTANT = fileURLToPath(new URL('constant-http.ts', import.meta.url))

interface Target {
  readonly name: string
  /** Whose CPU time counts. */
  readonly pids: readonly number[]
  readonly url: string
  /** JSON to post; null: GET. */
  readonly body: string | null
}

interface Figures {
  readonly rate: number
  readonly cpuUs: number
}

export const http: Bench = {
  name: 'http',
  summary: 'the gateway beside webdis, and beside Fastify routes that answer a constant; 3 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const ports = { gateway: await freePort(), constant: await freePort() }
    const directory = mkdtempSync(join(tmpdir(), 'bench-http-'))
    const servers: BenchServer[] = []
    const add = async (starting: Promise<BenchServer>): Promise<BenchServer> => {
      const server = await starting
      servers.push(server)
      return server
    }
    try {
      const redis = await add(startRedis({ args: ['--appendonly', 'no'] }))
      const millrace = await add(startMillrace({ args: ['--appendonly', 'no'], httpPort: ports.gateway }))
      const args = [CONSTANT, '--port', String(ports.constant)]
      const constant = await add(startProcess('constant', process.execPath, args, ports.constant))
      const webdis = existsSync(WEBDIS) ? await add(startWebdis(redis, directory)) : null
      for (const server of [redis, millrace]) {
        const client = await RespClient.connect({ port: server.port })
        await client.call('SET', 'key', 'value')
        client.close()
      }
      const targets = [...targetsOf(millrace, ports.gateway, constant), ...webdisTargets(webdis, redis)]
      return await measureAll(
        targets.filter(({ name }) => isWanted(name, options)),
        options,
      )
    } finally {
      for (const server of servers) await server.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

async function measureAll(targets: readonly Target[], options: BenchOptions): Promise<Report> {
  const rounds = options.rounds ?? (options.isQuick ? 1 : ROUNDS)
  const seconds = options.isQuick ? QUICK_SECONDS : SECONDS
  if (!options.isQuick) for (const target of targets) await measure(target, WARMUP_SECONDS)
  const figures = await alternate(targets, rounds, (target) => measure(target, seconds))
  return {
    method: `${CONNECTIONS} connections, autocannon in ${WORKERS} processes, medians of ${rounds} alternating rounds of ${seconds} s. Server CPU is that of all server processes: webdis and its redis-server added. The constant is a Fastify route of its own process, with no hooks, that reads the same body and answers a text of the same length.`,
    tables: [
      table(
        'HTTP',
        [column('target', 0), column('requests/s', 0), column('server CPU µs/request', 1)],
        targets.map(({ name }, i) => [
          name,
          median(figures[i]!.map(({ rate }) => rate)),
          median(figures[i]!.map(({ cpuUs }) => cpuUs)),
        ]),
      ),
    ],
    goals: [],
    plots: [],
  }
}

function targetsOf(millrace: BenchServer, gatewayPort: number, constant: BenchServer): Target[] {
  const ours = { pids: [millrace.pid] }
  const yardstick = { pids: [constant.pid] }
  const here = `http://127.0.0.1:${gatewayPort}`
  const there = `http://127.0.0.1:${constant.port}`
  const message = JSON.stringify({ data: 'value' })
  const topic = 'v1/topics/news/messages'
  return [
    { ...ours, name: 'Millrace POST /pipeline, one GET', url: `${here}/pipeline`, body: '[["get","key"]]' },
    { ...ours, name: 'Millrace POST /pipeline, one SET', url: `${here}/pipeline`, body: '[["set","key","value"]]' },
    { ...yardstick, name: 'constant POST /pipeline', url: `${there}/pipeline`, body: '[["get","key"]]' },
    { ...ours, name: 'Millrace POST /v1/topics/…/messages', url: `${here}/${topic}`, body: message },
    { ...yardstick, name: 'constant POST /v1/topics/…/messages', url: `${there}/${topic}`, body: message },
    { ...ours, name: 'Millrace GET /get/key', url: `${here}/get/key`, body: null },
    { ...ours, name: 'Millrace GET /set/key/value', url: `${here}/set/key/value`, body: null },
    { ...yardstick, name: 'constant GET /get/key', url: `${there}/get/key`, body: null },
  ]
}

function webdisTargets(webdis: BenchServer | null, redis: BenchServer): Target[] {
  if (webdis === null) return []
  const pids = [webdis.pid, redis.pid]
  const url = `http://127.0.0.1:${webdis.port}`
  return [
    { pids, name: 'webdis GET /GET/key', url: `${url}/GET/key`, body: null },
    { pids, name: 'webdis GET /SET/key/value', url: `${url}/SET/key/value`, body: null },
  ]
}

async function measure(target: Target, seconds: number): Promise<Figures> {
  const before = cpuOf(target)
  const result = await autocannon({
    url: target.url,
    connections: CONNECTIONS,
    duration: seconds,
    workers: WORKERS,
    ...(target.body === null
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: target.body }),
  })
  const failed = result.non2xx + result.errors + result.timeouts
  if (failed > 0) throw new Error(`${target.name}: ${failed} requests failed`)
  return { rate: result.requests.average, cpuUs: ((cpuOf(target) - before) * 1000) / result.requests.total }
}

function cpuOf({ pids }: Target): number {
  return pids.reduce((sum, pid) => sum + cpuMs(pid), 0)
}

async function startWebdis(redis: BenchServer, directory: string): Promise<BenchServer> {
  const file = join(directory, 'webdis.json')
  const port = await freePort()
  const settings = {
    redis_host: '127.0.0.1',
    redis_port: redis.port,
    http_host: '127.0.0.1',
    http_port: port,
    threads: 1,
    pool_size: 20,
    daemonize: false,
    database: 0,
    verbosity: 0,
    logfile: join(directory, 'webdis.log'),
  }
  writeFileSync(file, JSON.stringify(settings))
  return startProcess('webdis', WEBDIS, [file], port)
}
