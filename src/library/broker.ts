/** A broker inside a program: what `createBroker` returns. Cold, but for `call`. */
import type { Duplex } from 'node:stream'
import { Decode, type ReplyValue } from '../resp/value-sink.ts'
import { type Annex, Broker } from '../server/broker.ts'
import { type Argument, BrokerClosedError, type CallGate, InProcess, refuseNothing } from '../server/in-process.ts'
import type { Server } from '../server/server.ts'
import { SubscribeTo, type Subscription, Subscriptions } from '../server/subscriptions.ts'
import type { Endpoint } from '../transport/contract.ts'
import { connectMemory } from '../transport/memory.ts'
import { type CreateBrokerOptions, configOf, DEFAULT_HOST, isInMemory, logOf } from './options.ts'

/** Receives a message and the channel it was published to. Bytes that are no UTF-8 are replaced. */
export type MessageListener = (message: string, channel: string) => void

/**
 * Starts a broker in the calling process. It keeps the process alive until `close()`.
 *
 * @throws ConfigError for wrong settings; ListenError when a port or socket is taken; AofLoadError, RdbLoadError or
 * ManifestError when the data cannot be loaded
 */
export async function createBroker(options: CreateBrokerOptions = {}): Promise<LocalBroker> {
  const config = configOf(options)
  const gate: CallGate = { isClosed: false }
  const log = logOf(options, gate)
  for (const warning of config.checkEffects()) log.warning(warning)
  config.onWarning((text) => log.warning(text))
  let httpPort = 0
  const openAnnex = async (server: Server): Promise<Annex | null> => {
    const port = options.httpPort ?? config.number('http-port')
    if (options.httpPort === undefined && port === 0) return null
    // Loaded only where there is to be a gateway: it is a good part of all modules.
    const { openLocalGateway } = await import('../gateway/open-gateway.ts')
    const gateway = await openLocalGateway(server, config, log, port)
    httpPort = gateway.port
    return gateway
  }
  const broker = new Broker({ config, log, openAnnex, isInMemory: isInMemory(options) })
  try {
    await broker.start()
    const host = options.host ?? DEFAULT_HOST
    const endpoint = options.port === 0 ? await broker.listenOnFreePort(host) : null
    return new LocalBroker(broker, endpoint, httpPort, gate)
  } catch (error) {
    await broker.close()
    throw error
  }
}

export class LocalBroker {
  /** The TCP port it listens on; 0 when there is none. */
  readonly port: number
  /** The TCP port of the gateway; 0 when there is none. */
  readonly httpPort: number
  private readonly broker: Broker
  private readonly endpoint: Endpoint | null
  private readonly inProcess: InProcess
  private readonly subscriptions: Subscriptions
  /** Doors of clients, and what they do when theirs is closed. */
  private readonly doors = new Map<InProcess, () => void>()
  private readonly gate: CallGate
  private closing: Promise<void> | null = null

  /** Made by `createBroker`. */
  constructor(broker: Broker, endpoint: Endpoint | null, httpPort: number, gate: CallGate) {
    this.broker = broker
    this.endpoint = endpoint
    this.port = endpoint === null ? broker.port : endpoint.port
    this.httpPort = httpPort
    this.gate = gate
    this.inProcess = new InProcess(broker.server, { gate })
    this.subscriptions = new Subscriptions(broker.server.acceptInProcess)
    broker.server.onShutdown = () => {
      this.close().catch((error: unknown) => broker.log.warning(String(error)))
    }
  }

  /** Whether `close()` was called, or SHUTDOWN. */
  get isClosed(): boolean {
    return this.closing !== null
  }

  /**
   * Runs a command; resolves to its reply, with strings as text. Calls run in order, a blocking one beside the others.
   * All share one session: after SELECT or MULTI the calls of the whole program are meant (for transactions see
   * `pipeline`). Resolves when the change is as durable as `appendfsync` says.
   *
   * What a reply becomes is listed in src/resp/value-sink.ts: maps become objects, integers beyond ±(2^53 − 1) bigints.
   *
   * @throws CommandError with the text of an error reply; BrokerClosedError; TypeError for other arguments
   */
  call(...args: readonly Argument[]): Promise<ReplyValue> {
    return this.inProcess.call(args, Decode.Text)
  }

  /** As `call`, with strings as Buffers and maps as Maps: for bytes that are no text. */
  callBuffer(...args: readonly Argument[]): Promise<ReplyValue> {
    return this.inProcess.call(args, Decode.Bytes)
  }

  /**
   * Runs commands one behind the other, without calls in between. Resolves to their replies when all are there; an error
   * reply is a CommandError in its place. A transaction: `pipeline([['MULTI'], …, ['EXEC']])`.
   *
   * @throws BrokerClosedError, TypeError
   */
  pipeline(commands: readonly (readonly Argument[])[]): Promise<ReplyValue[]> {
    return this.inProcess.batch(commands, Decode.Text, refuseNothing)
  }

  /** Listens to the messages of a channel. Resolves when the subscription is in force. @throws BrokerClosedError */
  subscribe(channel: string, listener: MessageListener): Promise<Subscription> {
    return this.subscriptions.subscribe(SubscribeTo.Channel, channel, textListener(listener))
  }

  /** Listens to all channels that a glob pattern matches. @throws BrokerClosedError */
  psubscribe(pattern: string, listener: MessageListener): Promise<Subscription> {
    return this.subscriptions.subscribe(SubscribeTo.Pattern, pattern, textListener(listener))
  }

  /**
   * Opens a connection without a socket: a stream that speaks RESP, already authenticated, for clients that take one
   * (ioredis and BullMQ: see `ioredisOptions`). @throws BrokerClosedError
   */
  connect(): Duplex {
    if (this.isClosed) throw new BrokerClosedError()
    return connectMemory(this.broker.server.acceptInProcess)
  }

  /** Opens a session of its own, whose replies are those of RESP2. For `bullmqConnection`. @throws BrokerClosedError */
  openDoor(onClose: () => void): InProcess {
    if (this.isClosed) throw new BrokerClosedError()
    const door = new InProcess(this.broker.server, { gate: this.gate, respVersion: 2 })
    this.doors.set(door, onClose)
    return door
  }

  /** Closes a session that `openDoor` has opened; what has no reply is rejected. Further calls do nothing. */
  closeDoor(door: InProcess): void {
    const onClose = this.doors.get(door)
    if (onClose === undefined) return
    this.doors.delete(door)
    door.destroy()
    onClose()
  }

  /**
   * Stops accepting, sends the replies that are due, writes and syncs the data, closes connections. Calls without a reply,
   * blocked ones above all, are rejected with BrokerClosedError. Further calls return the same promise.
   *
   * @throws Error when data could not be written
   */
  close(): Promise<void> {
    this.closing ??= this.shutDown()
    return this.closing
  }

  private async shutDown(): Promise<void> {
    this.inProcess.close()
    this.subscriptions.close()
    for (const door of [...this.doors.keys()]) this.closeDoor(door)
    const [isComplete] = await Promise.all([this.broker.close(), this.endpoint?.close()])
    if (!isComplete) throw new Error('Cannot close the broker cleanly: data could not be written')
  }
}

function textListener(listener: MessageListener): (message: Buffer, channel: string) => void {
  return (message, channel) => listener(message.toString(), channel)
}
