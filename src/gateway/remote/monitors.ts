/**
 * MONITOR on connections of its own: one for each server that holds keys. Servers that join later are watched too; those that
 * go are not. While a connection is lost, what its server executes is not seen.
 */
import type { Redis } from 'ioredis'
import type { Log } from '../../observe/log.ts'
import { CommandError, EngineUnavailableError, type Subscription } from '../engine.ts'
import { openConnection, Reconnect } from './connection.ts'
import type { RemoteTarget } from './engine-url.ts'
import type { Link } from './link.ts'
import { isErrorReply } from './remote-command.ts'
import type { Topology } from './topology.ts'

export interface MonitorOptions {
  readonly target: RemoteTarget
  readonly topology: Topology
  readonly log: Log
  /** Has the watch end with the engine; returns what takes that back. */
  readonly onClose: (close: () => void) => () => void
  readonly listener: (line: string) => void
  /** How long the first confirmation may take, in ms. */
  readonly waitMs: number
}

/** Resolves when all servers that are there have confirmed. @throws CommandError, EngineUnavailableError */
export async function watchCommands(options: MonitorOptions, links: readonly Link[]): Promise<Subscription> {
  const watch = new Watch(options)
  try {
    await Promise.all(links.map((link) => watch.add(link)))
  } catch (error) {
    watch.close()
    throw error
  }
  watch.follow()
  return { unsubscribe: async () => watch.close() }
}

class Watch {
  private readonly options: MonitorOptions
  private readonly connections = new Map<Link, Redis>()
  private readonly forget: () => void
  private isClosed: boolean = false
  private unfollow: (() => void) | null = null

  constructor(options: MonitorOptions) {
    this.options = options
    this.forget = options.onClose(() => this.close())
  }

  /** Watches a server; resolves when it has confirmed. */
  add(link: Link): Promise<void> {
    const { target, log, waitMs, listener } = this.options
    const redis = openConnection(target, link.node, Reconnect.Always, { monitor: true })
    this.connections.set(link, redis)
    redis.on('monitor', (time: string, args: readonly string[], source: string, database: string) => {
      if (!this.isClosed) listener(lineOf(time, args, source, database))
    })
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new EngineUnavailableError('The engine is not connected')), waitMs)
      redis.on('error', (error) => {
        log.debug(`Connection for MONITOR: ${error.message}`)
        if (!isErrorReply(error)) return
        clearTimeout(timer)
        reject(new CommandError(error.message))
      })
      redis.once('monitoring', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** Keeps to the servers that there are from now on. */
  follow(): void {
    this.unfollow = this.options.topology.onChange(() => this.compare())
  }

  close(): void {
    this.isClosed = true
    this.forget()
    this.unfollow?.()
    for (const redis of this.connections.values()) redis.disconnect()
    this.connections.clear()
  }

  private compare(): void {
    const links = this.options.topology.primaries()
    if (this.isClosed || links === null) return
    for (const [link, redis] of this.connections) {
      if (links.includes(link)) continue
      redis.disconnect()
      this.connections.delete(link)
    }
    for (const link of links) {
      if (this.connections.has(link)) continue
      this.add(link).catch((error: unknown) => this.options.log.warning(`Cannot watch a server: ${String(error)}`))
    }
  }
}

/** The line as the server sent it: ioredis has taken it apart. */
function lineOf(time: string, args: readonly string[], source: string, database: string): string {
  const quoted = args.map((arg) => `"${arg.replaceAll('"', '\\"')}"`)
  return `${time} [${database} ${source}] ${quoted.join(' ')}`
}
