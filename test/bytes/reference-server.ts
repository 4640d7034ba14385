/**
 * A reference server for comparing replies: Debian's redis-server on a Unix socket in a temporary directory, with a
 * synchronous-looking `command()` on top of ioredis. Suites that use it are skipped where it is not installed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

const REFERENCE = '/usr/bin/redis-server'

/** True where the reference server is installed. */
export const hasReference = existsSync(REFERENCE)

/** A running reference server; replies are latin1 text, numbers, null or arrays of these; errors are their text. */
export class ReferenceServer {
  readonly #child: ChildProcess
  readonly #client: Redis
  readonly directory: string

  private constructor(child: ChildProcess, client: Redis, directory: string) {
    this.#child = child
    this.#client = client
    this.directory = directory
  }

  /** Starts a server with further command-line options. Resolves when it accepts connections. */
  static async start(options: readonly string[] = []): Promise<ReferenceServer> {
    const directory = mkdtempSync(join(tmpdir(), 'reference-'))
    const socket = join(directory, 'redis.sock')
    const fixed = ['--port', '0', '--unixsocket', socket, '--dir', directory, '--save', '']
    const child = spawn(REFERENCE, [...options, ...fixed], { stdio: ['ignore', 'pipe', 'ignore'] })
    for await (const chunk of child.stdout ?? []) {
      if (String(chunk).includes('ready to accept connections')) break
    }
    return new ReferenceServer(child, new Redis(socket), directory)
  }

  /** Sends one command. */
  async command(name: string, ...args: string[]): Promise<unknown> {
    const bytes = args.map((arg) => Buffer.from(arg, 'latin1'))
    try {
      return decode(await this.#client.callBuffer(name, ...bytes))
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  async stop(): Promise<void> {
    this.#client.disconnect()
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
    rmSync(this.directory, { recursive: true })
  }
}

function decode(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString('latin1')
  return Array.isArray(reply) ? reply.map(decode) : reply
}
