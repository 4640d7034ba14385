/** The two servers of a benchmark, and what they cost: CPU time and memory, read from /proc (Linux) or ps. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const CLOCK_TICKS_PER_SECOND = 100

export interface BenchServer {
  readonly name: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** Starts Millrace without its gateway, which redis-server has not. `nodeOptions` go before the file, `args` behind it. */
export function startMillrace(args: readonly string[], nodeOptions: readonly string[] = []): Promise<BenchServer> {
  return start('millrace', process.execPath, [...nodeOptions, MAIN], ['--http-port', '0', ...args])
}

/** Starts redis-server from PATH without snapshots. */
export function startRedis(args: readonly string[]): Promise<BenchServer> {
  return start('redis', 'redis-server', [], ['--save', '', ...args])
}

/** Starts Millrace on the files of a directory, which stays when the server is stopped. */
export async function startMillraceOn(directory: string, args: readonly string[]): Promise<BenchServer> {
  const port = await freePort()
  const own = ['--http-port', '0', '--port', String(port), '--dir', directory]
  return startProcess('millrace', process.execPath, [MAIN, ...own, ...args], port, null)
}

/** The same with redis-server, without snapshots. */
export async function startRedisOn(directory: string, args: readonly string[]): Promise<BenchServer> {
  const port = await freePort()
  const own = ['--save', '', '--port', String(port), '--dir', directory]
  return startProcess('redis', 'redis-server', [...own, ...args], port, null)
}

/** User and system CPU time of a process so far, in ms. */
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

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Runs redis-benchmark and returns requests per second of its one test. Bounded by `timeoutMs`. */
export function redisBenchmark(port: number, args: readonly string[], timeoutMs: number): number {
  const output = execFileSync('redis-benchmark', ['-p', String(port), '--csv', ...args], {
    encoding: 'utf8',
    timeout: timeoutMs,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const line = output.trim().split('\n').at(-1) ?? ''
  const rate = Number(/",?"([0-9.]+)"/.exec(line)?.[1])
  if (!(rate > 0)) throw new Error(`Cannot read redis-benchmark's output: ${output}`)
  return rate
}

async function start(
  name: string,
  command: string,
  prefix: readonly string[],
  args: readonly string[],
): Promise<BenchServer> {
  const directory = mkdtempSync(join(tmpdir(), `bench-${name}-`))
  const port = await freePort()
  return startProcess(name, command, [...prefix, '--port', String(port), '--dir', directory, ...args], port, directory)
}

/** Starts any program that listens on `port`; `directory`, if any, is removed when it is stopped. */
export async function startProcess(
  name: string,
  command: string,
  args: readonly string[],
  port: number,
  directory: string | null,
): Promise<BenchServer> {
  const child = spawn(command, args, { stdio: 'ignore' })
  await answering(child, port)
  return {
    name,
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      if (child.exitCode === null) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      if (directory !== null) rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function answering(child: ChildProcess, port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (child.exitCode !== null) throw new Error(`Server ended with ${child.exitCode}`)
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('Server does not answer')
}

/** A TCP port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No port')
  return address.port
}
