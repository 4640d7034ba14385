/**
 * Subscriptions of a program that runs the broker: one in-process connection, opened with the first of them.
 *
 * The connection speaks RESP2, in which messages and confirmations are arrays: `[kind, channel, count]`,
 * `['message', channel, text]`, `['pmessage', pattern, channel, text]`.
 */
import Parser from 'redis-parser'
import type { Accept } from '../transport/contract.ts'
import { connectMemory, type MemorySocket } from '../transport/memory.ts'
import { BrokerClosedError } from './in-process.ts'

/** Pause before a connection that was closed at once is opened again, in ms. */
const RETRY_MS = 100

/** Receives the bytes of a message, and the channel it was published to as text. */
export type MessageListener = (message: Buffer, channel: string) => void

export interface Subscription {
  /** Resolves when no further message will come. Further calls do nothing. */
  unsubscribe(): Promise<void>
}

/** How a program subscribes: to a channel, or to all channels that a glob pattern matches. */
export const SubscribeTo = {
  Channel: { subscribe: 'SUBSCRIBE', unsubscribe: 'UNSUBSCRIBE' },
  Pattern: { subscribe: 'PSUBSCRIBE', unsubscribe: 'PUNSUBSCRIBE' },
} as const
export type SubscribeTo = (typeof SubscribeTo)[keyof typeof SubscribeTo]

interface Waiting {
  done(): void
  failed(error: Error): void
}

export class Subscriptions {
  private readonly accept: Accept
  private socket: MemorySocket | null = null
  private isClosed: boolean = false
  /** By channel, and by pattern. */
  private readonly listeners = {
    message: new Map<string, Set<MessageListener>>(),
    pmessage: new Map<string, Set<MessageListener>>(),
  }
  /** Confirmations come in the order of the commands. */
  private waiting: Waiting[] = []
  private renewedMs = Number.NEGATIVE_INFINITY
  private retryTimer: NodeJS.Timeout | null = null

  constructor(accept: Accept) {
    this.accept = accept
  }

  /** Resolves when the subscription is in force. Several listeners of one channel share it. */
  async subscribe(to: SubscribeTo, name: string, listener: MessageListener): Promise<Subscription> {
    if (this.isClosed) throw new BrokerClosedError()
    const byName = to === SubscribeTo.Channel ? this.listeners.message : this.listeners.pmessage
    // The same function may listen twice: each subscription has a listener of its own.
    const own: MessageListener = (message, channel) => listener(message, channel)
    const others = byName.get(name)
    if (others !== undefined) others.add(own)
    else byName.set(name, new Set([own]))
    try {
      await this.send(to.subscribe, name)
    } catch (error) {
      this.forget(byName, name, own)
      throw error
    }
    return {
      unsubscribe: async () => {
        if (this.forget(byName, name, own) && !this.isClosed) await this.send(to.unsubscribe, name)
      },
    }
  }

  /** Returns whether it was the last listener of the name. */
  private forget(byName: Map<string, Set<MessageListener>>, name: string, listener: MessageListener): boolean {
    const left = byName.get(name)
    if (left === undefined || !left.delete(listener) || left.size > 0) return false
    byName.delete(name)
    return true
  }

  /** Ends all subscriptions. */
  close(): void {
    this.isClosed = true
    if (this.retryTimer !== null) clearTimeout(this.retryTimer)
    this.listeners.message.clear()
    this.listeners.pmessage.clear()
    this.socket?.destroy()
  }

  private send(command: string, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket ??= this.connect()
      this.waiting.push({ done: resolve, failed: reject })
      this.socket.write(`*2\r\n$${command.length}\r\n${command}\r\n$${Buffer.byteLength(name)}\r\n${name}\r\n`)
    })
  }

  private connect(): MemorySocket {
    const socket = connectMemory(this.accept)
    const parser = new Parser({
      returnBuffers: true,
      returnReply: (reply) => this.received(reply),
      returnError: (error) => this.waiting.shift()?.failed(error),
      returnFatalError: (error) => socket.destroy(error),
    })
    socket.on('data', (chunk: Buffer) => parser.execute(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.lost(socket))
    return socket
  }

  private received(reply: unknown): void {
    if (!Array.isArray(reply)) return
    const [kind, name, third, fourth] = reply
    if (String(kind) === 'message') this.dispatch(this.listeners.message.get(String(name)), third, String(name))
    else if (String(kind) === 'pmessage')
      this.dispatch(this.listeners.pmessage.get(String(name)), fourth, String(third))
    else this.waiting.shift()?.done()
  }

  private dispatch(listeners: Set<MessageListener> | undefined, message: Buffer, channel: string): void {
    for (const listener of listeners ?? []) {
      try {
        listener(message, channel)
      } catch (error) {
        // An exception of the program's own must not end the parsing of what follows; it surfaces as usual.
        process.nextTick(() => {
          throw error
        })
      }
    }
  }

  /** The connection was closed by CLIENT KILL or an output limit: what was subscribed is subscribed again. */
  private lost(socket: MemorySocket): void {
    if (this.socket === socket) this.socket = null
    const waiting = this.waiting
    this.waiting = []
    for (const { failed } of waiting)
      failed(this.isClosed ? new BrokerClosedError() : new Error('The connection was closed'))
    if (this.isClosed || this.retryTimer !== null) return
    // It may be refused at once (maxclients), for as long as that lasts.
    const pauseMs = this.renewedMs + RETRY_MS - performance.now()
    if (pauseMs <= 0) this.renew()
    else {
      this.retryTimer = setTimeout(() => this.renew(), pauseMs)
      this.retryTimer.unref()
    }
  }

  private renew(): void {
    this.retryTimer = null
    this.renewedMs = performance.now()
    const names = [
      ...[...this.listeners.message.keys()].map((name) => [SubscribeTo.Channel.subscribe, name] as const),
      ...[...this.listeners.pmessage.keys()].map((name) => [SubscribeTo.Pattern.subscribe, name] as const),
    ]
    // One that fails has lost its connection, which is noticed for all of them.
    const ignore = (): void => {}
    for (const [command, name] of names) this.send(command, name).catch(ignore)
  }
}
