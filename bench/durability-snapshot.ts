/**
 * What a snapshot costs those who go on working: round trips of PING while 50 connections write, without a snapshot, during
 * BGSAVE and during BGREWRITEAOF; throughput, memory and duration. Both servers have a log (everysec) and the same keys.
 *
 * Environment: BENCH_ROUNDS (default 3), BENCH_KEYS (default 5000000), BENCH_SECONDS without a snapshot (default 10),
 * BENCH_COMMANDS (comma-separated: SET, INCR, XADD, HSET; default SET), BENCH_SERVERS (default redis,millrace).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { fill, valueText } from './durability-data.ts'
import { MemoryProbe, PingProbe } from './durability-probe.ts'
import { type BenchServer, median, startMillrace, startRedis } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const KEYS = Number(process.env.BENCH_KEYS ?? 5_000_000)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 10)
const CLIENTS = '50'
const SETTLE_MS = 3000
const POLL_MS = 50
const SNAPSHOT_MS_MAX = 300_000
const ARGS = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0']

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  SET: ['SET', 'key:__rand_int__', valueText(1)],
  INCR: ['INCR', 'counter:__rand_int__'],
  XADD: ['XADD', 'stream', '*', 'field', valueText(1)],
  HSET: ['HSET', 'hash', 'field:__rand_int__', valueText(1)],
}
const PHASES = ['none', 'BGSAVE', 'BGREWRITEAOF'] as const
type Phase = (typeof PHASES)[number]

interface Measured {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
  readonly rate: number
  readonly seconds: number
  readonly memoryMb: number
  readonly peakMb: number
}

interface Subject {
  readonly server: BenchServer
  readonly control: Redis
  readonly ping: PingProbe
  readonly memory: MemoryProbe
}

async function prepare(server: BenchServer): Promise<Subject> {
  await fill(server.port, KEYS)
  const ping = await PingProbe.open(server.port)
  return { server, control: new Redis(server.port), ping, memory: new MemoryProbe(server.pid) }
}

/** Writes from 50 connections until it is stopped. */
function startLoad(server: BenchServer, command: readonly string[]): ChildProcess {
  const args = ['-p', String(server.port), '-q', '-l', '-n', '10000000', '-c', CLIENTS, '-r', String(KEYS), ...command]
  return spawn('redis-benchmark', args, { stdio: 'ignore' })
}

async function measure(subject: Subject, phase: Phase): Promise<Measured> {
  const { control, ping, memory } = subject
  const memoryBytes = await memory.reset()
  const commands = await infoNumber(control, 'stats', 'total_commands_processed')
  const begun = performance.now()
  ping.reset()
  if (phase === 'none') await pause(SECONDS * 1000)
  else await snapshot(control, phase)
  const trips = ping.result()
  const seconds = (performance.now() - begun) / 1000
  const done = (await infoNumber(control, 'stats', 'total_commands_processed')) - commands - trips.count
  return {
    p50: trips.p50,
    p99: trips.p99,
    p999: trips.p999,
    longest: trips.longest,
    rate: done / seconds,
    seconds,
    memoryMb: memoryBytes / 1e6,
    peakMb: memory.peakBytes / 1e6,
  }
}

async function snapshot(control: Redis, phase: 'BGSAVE' | 'BGREWRITEAOF'): Promise<void> {
  const [running, status] =
    phase === 'BGSAVE'
      ? ['rdb_bgsave_in_progress', 'rdb_last_bgsave_status']
      : ['aof_rewrite_in_progress', 'aof_last_bgrewrite_status']
  const deadline = performance.now() + SNAPSHOT_MS_MAX
  await control.call(phase)
  do {
    if (performance.now() > deadline) throw new Error(`${phase} has not ended in ${SNAPSHOT_MS_MAX} ms`)
    await pause(POLL_MS)
  } while ((await infoText(control, 'persistence', running)) !== '0')
  if ((await infoText(control, 'persistence', status)) !== 'ok') throw new Error(`${phase} failed`)
}

async function infoText(control: Redis, section: string, field: string): Promise<string> {
  const value = new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(await control.info(section))?.[1]
  if (value === undefined) throw new Error(`INFO ${section} has no ${field}`)
  return value
}

async function infoNumber(control: Redis, section: string, field: string): Promise<number> {
  return Number(await infoText(control, section, field))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function print(server: string, command: string, phase: string, m: Measured): void {
  console.log(
    [
      server.padEnd(8),
      command.padEnd(5),
      phase.padEnd(12),
      ...[m.p50, m.p99, m.p999, m.longest].map((ms) => ms.toFixed(2).padStart(8)),
      Math.round(m.rate).toString().padStart(10),
      m.seconds.toFixed(1).padStart(7),
      m.memoryMb.toFixed(0).padStart(8),
      m.peakMb.toFixed(0).padStart(8),
      `${((m.peakMb / m.memoryMb - 1) * 100).toFixed(1)} %`.padStart(8),
    ].join(' '),
  )
}

function middle(measured: readonly Measured[]): Measured {
  const of = (field: keyof Measured): number => median(measured.map((m) => m[field]))
  return {
    p50: of('p50'),
    p99: of('p99'),
    p999: of('p999'),
    longest: of('longest'),
    rate: of('rate'),
    seconds: of('seconds'),
    memoryMb: of('memoryMb'),
    peakMb: of('peakMb'),
  }
}

const wanted = (process.env.BENCH_SERVERS ?? 'redis,millrace').split(',')
const subjects: Subject[] = []
try {
  if (wanted.includes('redis')) subjects.push(await prepare(await startRedis(ARGS)))
  if (wanted.includes('millrace')) subjects.push(await prepare(await startMillrace([...ARGS, '--save', ''])))
  console.log(`snapshots of ${KEYS} keys while ${CLIENTS} connections write; PING round trips in ms, ${ROUNDS} rounds`)
  console.log(
    'server   load  phase             p50      p99    p99.9  longest    writes/s       s   RSS MB  peak MB    extra',
  )
  for (const name of process.env.BENCH_COMMANDS?.split(',') ?? ['SET']) {
    const command = COMMANDS[name]
    if (command === undefined) throw new Error(`Unknown command ${name}`)
    const results = new Map<string, Measured[]>()
    for (let round = 0; round < ROUNDS; round++) {
      for (const subject of subjects) {
        const load = startLoad(subject.server, command)
        const ended = once(load, 'exit')
        try {
          for (const phase of PHASES) {
            await pause(SETTLE_MS)
            const measured = await measure(subject, phase)
            print(subject.server.name, name, phase, measured)
            const key = `${subject.server.name} ${phase}`
            results.set(key, [...(results.get(key) ?? []), measured])
          }
        } finally {
          load.kill('SIGKILL')
          await ended
        }
      }
    }
    console.log('medians')
    for (const subject of subjects) {
      for (const phase of PHASES) {
        const { name: server } = subject.server
        print(server, name, phase, middle(results.get(`${server} ${phase}`) ?? []))
      }
    }
  }
} finally {
  for (const { control, ping, memory, server } of subjects) {
    control.disconnect()
    ping.close()
    memory.close()
    await server.stop()
  }
}
