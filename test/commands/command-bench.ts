/**
 * A bench for command handlers: keyspace, journal and pipeline without a server around them. Synchronous; time stands
 * still unless moved. Replies are compared as they are on the wire, or decoded.
 */
import { unrestrictedUser } from '../../src/access/user.ts'
import { CommandContext, type ServerControl } from '../../src/commands/context.ts'
import type { CommandDefinition } from '../../src/commands/define.ts'
import { Registry } from '../../src/commands/registry.ts'
import { ClientFlag } from '../../src/commands/session.ts'
import { Config } from '../../src/config/config.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { Notify } from '../../src/keyspace/notify.ts'
import { LatencyMonitor } from '../../src/observe/latency-monitor.ts'
import { Slowlog } from '../../src/observe/slowlog.ts'
import { Stalls } from '../../src/observe/stalls.ts'
import { ErrorStats, ServerStats } from '../../src/observe/stats.ts'
import { Journal } from '../../src/persistence/journal.ts'
import { Channels } from '../../src/pubsub/channels.ts'
import { Tracking } from '../../src/pubsub/tracking.ts'
import { ArgsBuilder } from '../../src/resp/args.ts'
import { RespSink } from '../../src/resp/reply.ts'
import { Client } from '../../src/server/client.ts'
import { Pipeline } from '../../src/server/execute.ts'
import { MemoryState } from '../../src/server/memory-limit.ts'
import { ENCODING_OF_KIND } from '../../src/structures/kind.ts'
import type { Connection } from '../../src/transport/contract.ts'
import { decodeAll, type Reply } from './resp-decode.ts'

const START_MS = 1_700_000_000_000

const connection: Connection = {
  outbox: null,
  address: '127.0.0.1:0',
  localAddress: '127.0.0.1:0',
  isUnixSocket: false,
  isLocal: true,
  queuedBytes: 0,
  send: () => true,
  readNow: () => 0,
  pause: () => {},
  resume: () => {},
  setKeepAlive: () => {},
  delaySmallPackets: () => {},
  end: () => {},
  destroy: () => {},
}

export class CommandBench {
  readonly keyspace = new Keyspace(2, 0x1234567)
  readonly ctx: CommandContext
  /** Keyspace events so far, as `event key`. */
  readonly events: string[] = []
  /** Effects recorded so far, one text per command. */
  readonly effects: string[] = []
  readonly #client: Client
  readonly #pipeline: Pipeline
  readonly #journal: Journal
  readonly #sink: RespSink
  readonly #request = new ArgsBuilder()

  constructor(families: readonly (readonly CommandDefinition[])[]) {
    const { keyspace } = this
    keyspace.now = START_MS
    this.#journal = new Journal(keyspace.arena)
    this.#journal.subscribe((buffer, start, end) => {
      for (const effect of decodeAll(buffer.latin1Slice(start, end))) this.effects.push((effect as string[]).join(' '))
    })
    const registry = new Registry(families)
    this.#sink = new RespSink(keyspace.arena)
    const db = keyspace.databases[0]
    if (db === undefined) throw new Error('A keyspace without databases')
    const turns = { inputBegins() {}, inputEnds() {} }
    const host = {
      ...turns,
      clientReceived() {},
      clientDrained() {},
      clientEnded() {},
      clientClosed() {},
      deliver() {},
    }
    this.#client = new Client(host, connection, 1, db, unrestrictedUser('default'), ClientFlag.Authenticated, START_MS)
    const server = refusingServer()
    this.ctx = new CommandContext(
      keyspace,
      this.#journal,
      new Config(null),
      registry,
      new Channels(),
      server,
      this.#client,
    )
    this.ctx.now = START_MS
    this.ctx.notifyFlags = Object.values(Notify).reduce((all, bit) => all | bit, 0)
    this.ctx.notifySink = (_type, event, _db, key) => this.events.push(`${event} ${key}`)
    const gates = {
      writeRefusal: null,
      replicaRefusal: null,
      isStale: false,
      primaryFailed: () => {},
      replicaReplied: () => {},
      needsAuthentication: false,
      isLoading: false,
      memoryLimit: { maxBytes: 0, makeRoom: () => MemoryState.Ok },
      replayFailed: () => {},
      foreignProtocol: () => {},
      tellRunning: () => {},
      access: { denied: () => {}, loginDenied: () => {} },
      internalError: (_command: unknown, error: unknown) => {
        throw error
      },
    }
    const latency = new LatencyMonitor(() => this.keyspace.now)
    this.#pipeline = new Pipeline(this.ctx, registry, gates, {
      errors: new ErrorStats(),
      stats: new ServerStats(),
      slowlog: new Slowlog(0),
      latency,
      stalls: new Stalls(latency),
      tracking: new Tracking({
        keyspace: this.keyspace,
        channels: this.ctx.channels,
        runningClient: null,
        openClient: () => null,
      }),
    })
  }

  /** Runs one command given as byte strings. Returns its reply as it is on the wire. */
  wire(...words: string[]): string {
    this.#request.clear()
    for (const word of words) this.#request.text(word)
    this.#sink.reset()
    this.#sink.version = this.#client.respVersion
    this.#pipeline.execute(this.#client, this.#request.args, this.#sink)
    this.#journal.drain()
    return this.#sink.buffer.latin1Slice(0, this.#sink.at)
  }

  /** Runs one command. Returns its decoded reply. */
  call(...words: string[]): Reply {
    const replies = decodeAll(this.wire(...words))
    if (replies.length !== 1) throw new Error(`${words.join(' ')} has ${replies.length} replies`)
    return replies[0] ?? null
  }

  /** Speaks RESP2 or RESP3 from now on. */
  speak(version: number): void {
    this.#client.respVersion = version
  }

  /** Moves the clock. */
  pass(ms: number): void {
    this.keyspace.now += ms
    this.ctx.now += ms
  }

  /** Encoding of a key, as OBJECT ENCODING names it; 'none' when there is none. */
  encoding(key: string): string {
    const db = this.#client.db
    const row = db.findText(key)
    return row < 0 ? 'none' : (ENCODING_OF_KIND[db.kind(row)] ?? '')
  }

  /** Makes a key expire. */
  expireAt(key: string, timeMs: number): void {
    this.#client.db.setExpire(this.#client.db.findText(key), timeMs)
  }

  /** Expire time of a key, -1 without one. */
  expireTime(key: string): number {
    return this.#client.db.expireTime(this.#client.db.findText(key))
  }

  /** What the arena holds and what the structures account for; equal unless something leaks. */
  accounts(): [object, object] {
    const { arena } = this.keyspace
    return [
      { bytes: arena.liveBytes, blocks: arena.liveBlocks, outside: arena.outsideBytes },
      { ...this.keyspace.account(), outside: this.keyspace.overheadBytes() },
    ]
  }

  /** Takes the effects recorded since the last call. */
  takeEffects(): string[] {
    return this.effects.splice(0)
  }

  /** Takes the events since the last call. */
  takeEvents(): string[] {
    return this.events.splice(0)
  }
}

/** A server for commands that need none, without files: every request of it but one is a defect of the test. */
function refusingServer(): ServerControl {
  return new Proxy({} as ServerControl, {
    get(_target, name) {
      // FLUSHALL tells that what a file holds is gone.
      if (name === 'saving') return { dataRemoved: () => undefined }
      throw new Error(`The command asks the server for ${String(name)}`)
    },
  })
}
