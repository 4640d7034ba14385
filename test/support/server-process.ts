/** Server processes for tests: Millrace as users start it, and redis-server as the reference. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RespClient } from './resp-client.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const START_LIMIT_MS = 15_000
const ATTEMPTS_MAX = 3
/** What is shown of the output of a server that crashed: its end, with the stack. */
const SHOWN_CHARS = 8_000

/** Whether Debian's redis-server is in PATH. */
export const hasRedisServer = ((): boolean => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

/** A port that was free a moment ago. */
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

/** A new empty directory below the system's temporary one. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-'))
}

export class ServerProcess {
  readonly port: number
  readonly directory: string
  /** What the process has written to stdout and stderr. */
  output = ''
  private readonly child: ChildProcess
  private readonly ownsDirectory: boolean
  private readonly exited: Promise<void>
  /** Whether a test ended the process. */
  private ended = false

  private constructor(child: ChildProcess, port: number, directory: string, ownsDirectory: boolean) {
    this.child = child
    this.port = port
    this.directory = directory
    this.ownsDirectory = ownsDirectory
    this.exited = once(child, 'exit').then(() => undefined)
    child.stdout?.on('data', (chunk) => (this.output += String(chunk)))
    child.stderr?.on('data', (chunk) => (this.output += String(chunk)))
    // Else all that a test sees of a crash is a connection that was closed.
    child.once('close', (code, signal) => {
      if (this.ended || (code === 0 && !this.output.includes('Received SIG'))) return
      process.stderr.write(`A server ended with ${code ?? signal}: ${this.output.slice(-SHOWN_CHARS)}\n`)
    })
  }

  /** Starts Millrace on a free port with its data in `directory` (a temporary one by default) and waits until it answers. */
  static async millrace(
    args: readonly string[] = [],
    directory: string | null = null,
    port = 0,
  ): Promise<ServerProcess> {
    // No gateway unless a test asks for one: all servers would want the same port.
    const defaults = ['--http-port', '0', '--transport', process.env.MILLRACE_TRANSPORT ?? 'auto']
    return ServerProcess.start(process.execPath, [MAIN], [...defaults, ...args], directory, port)
  }

  /** Starts a Millrace that is installed as a package, by its program. */
  static async installed(program: string, directory: string, args: readonly string[]): Promise<ServerProcess> {
    return ServerProcess.start(process.execPath, [program], ['--http-port', '0', ...args], directory, 0)
  }

  /** Starts redis-server likewise, without snapshots. */
  static async redis(args: readonly string[] = [], directory: string | null = null, port = 0): Promise<ServerProcess> {
    return ServerProcess.start('redis-server', [], ['--save', '', ...args], directory, port)
  }

  /** Starts redis-server as a Sentinel with these lines of configuration. */
  static async sentinel(lines: readonly string[]): Promise<ServerProcess> {
    const directory = temporaryDirectory()
    const file = join(directory, 'sentinel.conf')
    writeFileSync(file, `${lines.join('\n')}\n`)
    return ServerProcess.start('redis-server', [file, '--sentinel'], [], directory, 0)
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get exitCode(): number | null {
    return this.child.exitCode
  }

  connect(): Promise<RespClient> {
    return RespClient.connect({ port: this.port })
  }

  /** SIGKILL; resolves when the process is gone. The directory stays. */
  async kill(): Promise<void> {
    this.ended = true
    this.child.kill('SIGKILL')
    await this.exited
  }

  /** SIGTERM; resolves when the process is gone. */
  async terminate(): Promise<void> {
    this.ended = true
    this.child.kill('SIGTERM')
    await this.exited
  }

  /** Ends the process, whatever its state, and removes a temporary directory. */
  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill()
    if (this.ownsDirectory) rmSync(this.directory, { recursive: true, force: true })
  }

  private static async start(
    command: string,
    prefix: readonly string[],
    args: readonly string[],
    directory: string | null,
    wantedPort: number,
  ): Promise<ServerProcess> {
    for (let attempt = 1; ; attempt++) {
      const port = wantedPort === 0 ? await freePort() : wantedPort
      try {
        return await ServerProcess.startOn(port, command, prefix, args, directory)
      } catch (error) {
        // Somebody may have taken the port that was free.
        if (wantedPort !== 0 || attempt === ATTEMPTS_MAX || !/in use/i.test(String(error))) throw error
      }
    }
  }

  private static async startOn(
    port: number,
    command: string,
    prefix: readonly string[],
    args: readonly string[],
    directory: string | null,
  ): Promise<ServerProcess> {
    const where = directory ?? temporaryDirectory()
    const child = spawn(command, [...prefix, '--port', String(port), '--dir', where, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const server = new ServerProcess(child, port, where, directory === null)
    const limit = performance.now() + START_LIMIT_MS
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${server.output}`)
      try {
        const client = await server.connect()
        const reply = await client.call('PING')
        const info = await client.call('INFO', 'server')
        client.close()
        if (typeof reply === 'object' && reply !== null) {
          // Another server that has got the port answers as well. One with a password does not say which it is.
          if ('status' in reply && String(info).includes(`process_id:${child.pid}\r\n`)) return server
          if ('error' in reply && reply.error.startsWith('NOAUTH')) return server
        }
      } catch {
        // Not listening yet: the loop is bounded by the limit below.
      }
      if (performance.now() > limit) {
        await server.dispose()
        throw new Error(`${command} does not answer: ${server.output}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
