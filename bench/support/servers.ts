/** The two servers of a benchmark, and what they cost: CPU time and memory, read from /proc (Linux). */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../test/support/server-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const CLOCK_TICKS_PER_SECOND = 100
/** A server that has much to load answers PING only when it has. */
const START_MS_MAX = 300_000
const POLL_MS = 2

export interface BenchServer {
  readonly name: ServerName
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

export type ServerName = 'millrace' | 'redis' | 'webdis' | 'constant'

export interface StartOptions {
  /** Directives, as on the command line. */
  readonly args?: readonly string[]
  /** Port of the gateway, which must listen before the server counts as started; Millrace only, by default there is none. */
  readonly httpPort?: number
  /** Where its files are; it stays when the server is stopped. By default a temporary one that does not. */
  readonly directory?: string
  /** Directory of Node's cache of compiled code; Millrace only, by default that of the user. */
  readonly codeCache?: string
}

/** Starts Millrace without snapshots; without its gateway, which redis-server has not, unless it is asked for. */
export async function startMillrace(options: StartOptions = {}): Promise<BenchServer> {
  const port = await freePort()
  return startOn(options, (directory) => {
    const { httpPort = 0, args = [], codeCache } = options
    const all = [MAIN, ...common(port, directory), '--http-port', String(httpPort), ...args]
    const env = codeCache === undefined ? {} : { NODE_COMPILE_CACHE: codeCache }
    return startProcess('millrace', process.execPath, all, port, { secondPort: httpPort, env })
  })
}

/** Starts redis-server from PATH, without snapshots. */
export async function startRedis(options: StartOptions = {}): Promise<BenchServer> {
  const port = await freePort()
  return startOn(options, (directory) =>
    startProcess('redis', 'redis-server', [...common(port, directory), ...(options.args ?? [])], port),
  )
}

/** Both servers of a comparison, redis-server first; they have the same directives. */
export async function startBoth(args: readonly string[]): Promise<readonly [BenchServer, BenchServer]> {
  const redis = await startRedis({ args })
  try {
    return [redis, await startMillrace({ args })]
  } catch (error) {
    await redis.stop()
    throw error
  }
}

/** One server after the other, for what needs much memory: `use` runs with each alone. */
export async function eachAlone<Result>(
  args: readonly string[],
  use: (server: BenchServer) => Promise<Result>,
): Promise<readonly [Result, Result]> {
  const results: Result[] = []
  for (const start of [startRedis, startMillrace]) {
    const server = await start({ args })
    try {
      results.push(await use(server))
    } finally {
      await server.stop()
    }
  }
  return [results[0]!, results[1]!]
}

export interface ProcessOptions {
  /** It listens on this port too; 0: there is none. */
  readonly secondPort?: number
  /** What is different in its environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts any program that listens on `port`, and waits until it does. */
export async function startProcess(
  name: ServerName,
  command: string,
  args: readonly string[],
  port: number,
  { secondPort = 0, env = {} }: ProcessOptions = {},
): Promise<BenchServer> {
  const child = spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...env } })
  const ended = once(child, 'exit')
  // Whoever ends the bench ends its servers.
  const kill = (): boolean => child.kill()
  process.once('exit', kill)
  await listening(child, port)
  if (secondPort !== 0) await listening(child, secondPort)
  return {
    name,
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      process.off('exit', kill)
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** The first line that a program says of its version, such as `Redis server v=7.0.15 …`; null when it is not in PATH. */
export function versionOf(program: string): string | null {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return status === 0 ? (stdout.split('\n')[0] ?? '') : null
}

/** User and system CPU time of a process so far, all its threads included, in ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / CLOCK_TICKS_PER_SECOND
}

/** Resident memory of a process, in bytes. */
export function rssBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function common(port: number, directory: string): string[] {
  return ['--port', String(port), '--dir', directory, '--save', '']
}

async function startOn(
  options: StartOptions,
  start: (directory: string) => Promise<BenchServer>,
): Promise<BenchServer> {
  if (options.directory !== undefined) return start(options.directory)
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    const server = await start(directory)
    return { ...server, stop: () => server.stop().finally(remove) }
  } catch (error) {
    remove()
    throw error
  }
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  let failure: Error | null = null
  child.on('error', (error) => (failure = error))
  const begunMs = performance.now()
  while (performance.now() - begunMs < START_MS_MAX) {
    if (failure !== null) throw failure
    if (child.exitCode !== null) throw new Error(`Server ended with ${child.exitCode}`)
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (isOpen) return
    await pause(POLL_MS)
  }
  child.kill('SIGKILL')
  throw new Error('Server does not answer')
}
