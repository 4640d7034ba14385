/** Connects ioredis, and what builds on it (BullMQ), to a broker in the same process, without a socket. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AbstractConnector, type RedisOptions } from 'ioredis'
import { keepStringsFast } from './compiler-flags.ts'
import { BrokerClosedError } from './in-process.ts'

/** A connection that a client closes is destroyed after this time when it does not end by itself, in ms. */
const DISCONNECT_TIMEOUT_MS = 2000
/** Pause before a lost connection is opened again, in ms: grows by the step up to the maximum. */
const RETRY_STEP_MS = 20
const RETRY_MAX_MS = 1000

/** The options that connect ioredis. */
export interface IoredisOptions {
  readonly Connector: NonNullable<RedisOptions['Connector']>
  /** Time until a lost connection is opened again, in ms; null when the broker is closed. */
  readonly retryStrategy: (times: number) => number | null
}

/** Whatever opens connections of a MemorySocket's kind, until it is closed. */
export interface InProcessConnections {
  readonly isClosed: boolean
  connect(): Duplex
}

/** A lost connection is opened again; after the owner is closed clients end, and their commands are rejected. */
export function inProcessOptions(owner: InProcessConnections): IoredisOptions {
  class InProcessConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS)
    }

    override async connect(): Promise<Socket> {
      if (owner.isClosed) throw new BrokerClosedError()
      this.connecting = true
      // ioredis may have been loaded since the broker was started.
      keepStringsFast()
      // ioredis asks for a socket and uses what a stream has, and the few methods that MemorySocket adds.
      this.stream = owner.connect() as Socket
      return this.stream
    }
  }
  return {
    Connector: InProcessConnector,
    retryStrategy: (times) => (owner.isClosed ? null : Math.min(times * RETRY_STEP_MS, RETRY_MAX_MS)),
  }
}
