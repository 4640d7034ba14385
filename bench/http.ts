/**
 * The HTTP door: requests/s, and server CPU per request, beside webdis in front of redis-server (if it is installed) and
 * beside Fastify routes that answer a constant. Load comes from autocannon, in processes of its own.
 *
 * Environment: BENCH_ROUNDS (default 3), BENCH_SECONDS (default 4), BENCH_CONNECTIONS (default 50).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { type BenchServer, cpuMs, freePort, median, startMillrace, startProcess, startRedis } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 4)
const CONNECTIONS = Number(process.env.BENCH_CONNECTIONS ?? 50)
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

async function startWebdis(redis: BenchServer): Promise<BenchServer> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-webdis-'))
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
  return startProcess('webdis', WEBDIS, [file], port, directory)
}

const httpPort = await freePort()
const constantPort = await freePort()
const redis = await startRedis(['--appendonly', 'no'])
const millrace = await startMillrace(['--appendonly', 'no', '--http-port', String(httpPort)])
const constant = await startProcess(
  'constant',
  process.execPath,
  [CONSTANT, '--port', String(constantPort)],
  constantPort,
  mkdtempSync(join(tmpdir(), 'bench-constant-')),
)
const webdis = existsSync(WEBDIS) ? await startWebdis(redis) : null
try {
  for (const port of [redis.port, millrace.port])
    execFileSync('redis-cli', ['-p', String(port), 'set', 'key', 'value'], { timeout: 5000, stdio: 'ignore' })
  const ours = { pids: [millrace.pid] }
  const yardstick = { pids: [constant.pid] }
  const here = `http://127.0.0.1:${httpPort}`
  const there = `http://127.0.0.1:${constantPort}`
  const message = JSON.stringify({ data: 'value' })
  const targets: Target[] = [
    { ...ours, name: 'Millrace POST /pipeline, one GET', url: `${here}/pipeline`, body: '[["get","key"]]' },
    { ...ours, name: 'Millrace POST /pipeline, one SET', url: `${here}/pipeline`, body: '[["set","key","value"]]' },
    { ...yardstick, name: 'constant POST /pipeline', url: `${there}/pipeline`, body: '[["get","key"]]' },
    { ...ours, name: 'Millrace POST /v1/topics', url: `${here}/v1/topics/news/messages`, body: message },
    { ...yardstick, name: 'constant POST /v1/topics', url: `${there}/v1/topics/news/messages`, body: message },
    { ...ours, name: 'Millrace GET /get/key', url: `${here}/get/key`, body: null },
    { ...ours, name: 'Millrace GET /set/key/value', url: `${here}/set/key/value`, body: null },
    { ...yardstick, name: 'constant GET /get/key', url: `${there}/get/key`, body: null },
  ]
  if (webdis !== null) {
    const pids = [webdis.pid, redis.pid]
    const url = `http://127.0.0.1:${webdis.port}`
    targets.push({ pids, name: 'webdis GET /GET/key', url: `${url}/GET/key`, body: null })
    targets.push({ pids, name: 'webdis GET /SET/key/value', url: `${url}/SET/key/value`, body: null })
  }
  for (const target of targets) await measure(target, WARMUP_SECONDS)
  const figures = new Map<Target, Figures[]>(targets.map((target) => [target, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (const target of targets) figures.get(target)?.push(await measure(target, SECONDS))
  console.log(`HTTP, ${CONNECTIONS} connections, medians of ${ROUNDS} rounds of ${SECONDS} s\n`)
  console.log('| target | requests/s | server CPU µs/request |\n|---|---|---|')
  for (const [target, rounds] of figures) {
    const rate = median(rounds.map((round) => round.rate))
    const cpuUs = median(rounds.map((round) => round.cpuUs))
    console.log(`| ${target.name} | ${Math.round(rate)} | ${cpuUs.toFixed(1)} |`)
  }
} finally {
  await Promise.all([redis, millrace, constant, webdis].map((server) => server?.stop()))
}
