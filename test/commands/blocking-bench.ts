/**
 * A bench for blocking commands: a whole server in the test's process, and connections to it that keep replies until
 * they are asked for.
 */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { configFromOptions } from '../../src/config/config.ts'
import { Server, SYSTEM_CLOCK } from '../../src/server/server.ts'
import { connectMemory } from '../../src/transport/memory.ts'
import { TestLog } from '../support/broker.ts'
import { decodeAll, decodeFirst, type Reply } from './resp-decode.ts'

export class MemoryClient {
  readonly stream: Duplex
  #text = ''

  constructor(server: Server) {
    this.stream = connectMemory(server.accept)
    this.stream.setEncoding('latin1')
    this.stream.on('data', (chunk: string) => {
      this.#text += chunk
    })
  }

  /** Sends one command and does not wait. */
  send(...words: string[]): void {
    const request = words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')
    this.stream.write(Buffer.from(`*${words.length}\r\n${request}`, 'latin1'))
  }

  /** The next reply. */
  async next(): Promise<Reply> {
    for (;;) {
      const first = decodeFirst(this.#text)
      if (first !== null) {
        this.#text = this.#text.slice(first.length)
        return first.reply
      }
      await once(this.stream, 'data')
    }
  }

  call(...words: string[]): Promise<Reply> {
    this.send(...words)
    return this.next()
  }

  /** Whether a reply has come that nobody asked for. */
  get hasReply(): boolean {
    return this.#text.length > 0
  }
}

export class BlockingBench {
  readonly server: Server
  /** The client that changes keys. */
  readonly client: MemoryClient
  /** Effects recorded so far, one text per command. */
  readonly effects: string[] = []

  constructor() {
    this.server = new Server({ config: configFromOptions({ save: '' }), log: new TestLog(), clock: SYSTEM_CLOCK })
    this.server.start()
    this.server.journal.subscribe((buffer, start, end) => {
      for (const effect of decodeAll(buffer.latin1Slice(start, end))) this.effects.push((effect as string[]).join(' '))
    })
    this.client = new MemoryClient(this.server)
  }

  /** A further client, whose command has blocked. */
  async blocked(...words: string[]): Promise<MemoryClient> {
    const before = this.server.blocking.count
    const client = new MemoryClient(this.server)
    client.send(...words)
    while (this.server.blocking.count === before) await turn()
    if (client.hasReply) throw new Error(`${words.join(' ')} has replied`)
    return client
  }

  /** Resolves when no client is blocked any more. */
  async allServed(): Promise<void> {
    while (this.server.blocking.count > 0) await turn()
  }

  /** What the arena holds and what the structures account for; equal unless something leaks. */
  accounts(): [object, object] {
    const { arena } = this.server.keyspace
    const { keyspace } = this.server
    return [
      { bytes: arena.liveBytes, blocks: arena.liveBlocks, outside: arena.outsideBytes },
      { ...keyspace.account(), outside: keyspace.overheadBytes() },
    ]
  }

  close(): void {
    this.server.close()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
