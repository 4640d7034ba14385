/**
 * This server as a replica: connects to its primary, takes over its data and applies its stream. Cold, except `applied`.
 *
 *     Connect ─▶ Connecting ─▶ Handshake ─┬─ +FULLRESYNC ─▶ Sync: payload into a file, loaded ─▶ Connected
 *        ▲                                └─ +CONTINUE ─────────────────────────────────────────▲   │
 *        └────────────────────────── the connection is lost, a second later ────────────────────────┘
 *
 * The stream comes as the requests of a client (ClientFlag.Primary) for whom no gate stands in the way and who gets no
 * replies. What it executes goes to the own log as any command does; to own replicas goes what came, byte by byte, so that
 * all have the same offsets. Keys do not expire here: their primary says when they are gone.
 * Source: Valkey 7.2 src/replication.c connectWithMaster, syncWithMaster, replicationHandleMasterDisconnection.
 */
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { type FollowingControl, LinkState } from '../commands/replication/following-control.ts'
import { ClientFlag, discardTransaction } from '../commands/session.ts'
import type { ReplicaOf } from '../config/special-directives.ts'
import { messageOf } from '../files/thrown.ts'
import { AofState } from '../persistence/append-only.ts'
import type { StreamPosition } from '../persistence/snapshot-format.ts'
import { PayloadFile } from '../replication/payload-file.ts'
import { SocketReader } from '../replication/socket-reader.ts'
import { READONLY_REPLICA, type ReplyError } from '../resp/errors.ts'
import { NodeConnection } from '../transport/node.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'

/** Answers to PING of a primary that wants a password, or grants nothing without one. */
const PING_REFUSALS = ['-NOAUTH', '-NOPERM', '-ERR operation not permitted']
/** Answers to PSYNC of a primary that cannot serve now. */
const PSYNC_LATER = ['-NOMASTERLINK', '-LOADING']

/** Acknowledgements that may wait to be read, in bytes: a primary asks for as many as it likes. */
const ACK_BYTES_MAX = 64 * 1024

/** Keys of its own that a replica looks at for their times, in each database and tick. */
const OWN_EXPIRES_PER_TICK = 1000

let fileNumber = 0

/** Where a primary that was connected before may go on. */
interface Continuation {
  readonly db: number
}

export class Following implements FollowingControl {
  primary: ReplicaOf | null = null
  state: LinkState = LinkState.None
  lastInputMs = 0
  downSinceMs = 0
  payload = { totalBytes: 0, readBytes: 0 }
  bytesIn = 0
  writeRefusal: ReplyError | null = null
  isStale: boolean = false
  private readonly server: Server
  private socket: net.Socket | null = null
  private client: Client | null = null
  /** Counts connections: what belongs to an earlier one has nothing to say. */
  private attempt = 0
  /** Set while the data are those of some history, so that it can be asked for the rest. */
  private continuation: Continuation | null = null
  private isEnded: boolean = false
  /** Bytes of a transaction that is not executed yet: they are applied together. */
  private pending: Buffer[] = []

  constructor(server: Server) {
    this.server = server
  }

  /** The database that the primary's stream is in; null while the data are not, or not yet, those of a primary. */
  get streamDb(): number | null {
    return this.client === null ? (this.continuation?.db ?? null) : this.client.db.index
  }

  get readOffset(): number {
    let bytes = this.client === null ? 0 : this.client.inputLength
    for (const { length } of this.pending) bytes += length
    return this.server.replication.offset + bytes
  }

  /** The data that were loaded at the start are those of a primary at this place of its history. */
  resume(position: StreamPosition): void {
    this.server.replication.restart(position.id, position.offset)
    this.continuation = { db: position.db }
  }

  // ---- which primary -------------------------------------------------------------------------------------------

  follow(primary: ReplicaOf): boolean {
    if (this.primary?.host === primary.host && this.primary.port === primary.port) return false
    const { server } = this
    const wasPrimary = this.primary === null
    this.disconnect()
    if (wasPrimary) {
      // What this server has written is a history that the new primary may know.
      this.continuation = server.replication.stopFeeding() ? (this.continuation ?? { db: 0 }) : null
      server.keyspace.isFollowing = true
      server.waiting.closeAll()
    }
    this.primary = primary
    server.config.adopt('replicaof', primary)
    this.downSinceMs = server.clockNow()
    this.state = LinkState.Connect
    this.noteRefusals()
    this.connect()
    return true
  }

  unfollow(): boolean {
    if (this.primary === null) return false
    const { server } = this
    this.disconnect()
    this.primary = null
    this.state = LinkState.None
    this.continuation = null
    server.config.adopt('replicaof', null)
    server.keyspace.isFollowing = false
    for (const db of server.keyspace.databases) db.ownExpires.clear()
    server.replication.startFeeding()
    this.noteRefusals()
    server.scheduleTurn()
    return true
  }

  /** The process ends. */
  close(): void {
    this.isEnded = true
    this.disconnect()
  }

  private disconnect(): void {
    this.attempt++
    this.socket?.destroy()
    this.socket = null
    const { client } = this
    this.client = null
    this.discardPending()
    if (client === null) return
    this.continuation = { db: client.db.index }
    this.server.closeClient(client)
  }

  /** Ten times a second: keys that only this replica knows expire here. */
  tick(): void {
    if (this.primary === null || this.server.loading.isActive) return
    for (const db of this.server.keyspace.databases) if (db.ownExpires.size > 0) db.expireOwn(OWN_EXPIRES_PER_TICK)
  }

  /** Once a second. */
  tickSecond(): void {
    if (this.primary === null) return
    const silentMs = this.server.keyspace.now - this.lastInputMs
    if (this.state === LinkState.Connect) this.connect()
    else if (silentMs > this.server.config.number('repl-timeout') * 1000 && !this.server.loading.isActive) {
      this.server.log.warning(
        this.client === null
          ? 'Timeout connecting to the MASTER, or receiving data from it...'
          : 'MASTER timeout: no data nor PING received...',
      )
      if (this.client === null) this.socket?.destroy()
      else this.server.closeClient(this.client)
    } else this.acknowledge()
  }

  /** Settings have changed. */
  noteRefusals(): void {
    const { config } = this.server
    const isFollowing = this.primary !== null
    this.writeRefusal = isFollowing && config.bool('replica-read-only') ? READONLY_REPLICA : null
    const isDown = isFollowing && this.state !== LinkState.Connected
    this.isStale = isDown && !config.bool('replica-serve-stale-data')
  }

  // ---- the connection ------------------------------------------------------------------------------------------

  private connect(): void {
    const { primary, server } = this
    if (primary === null) return
    const attempt = ++this.attempt
    this.setState(LinkState.Connecting)
    this.lastInputMs = server.clockNow()
    server.log.notice(`Connecting to MASTER ${primary.host}:${primary.port}`)
    const source = server.config.text('bind-source-addr')
    const socket = net.connect({
      host: primary.host,
      port: primary.port,
      noDelay: true,
      ...(source === '' ? {} : { localAddress: source }),
    })
    this.socket = socket
    this.synchronize(socket, attempt).then(
      () => {},
      (error: unknown) => {
        socket.destroy()
        if (attempt !== this.attempt) return
        server.log.warning(`MASTER <-> REPLICA sync: ${messageOf(error)}`)
        this.lost(attempt)
      },
    )
  }

  private async synchronize(socket: net.Socket, attempt: number): Promise<void> {
    const reader = new SocketReader(socket, () => {
      this.lastInputMs = this.server.clockNow()
    })
    await reader.connected()
    this.server.log.notice('MASTER <-> REPLICA sync started')
    this.setState(LinkState.Handshake)
    const answer = await this.handshake(socket, reader)
    if (attempt !== this.attempt) return
    if (answer.startsWith('+FULLRESYNC')) await this.takeAll(reader, answer, attempt)
    else if (answer.startsWith('+CONTINUE')) this.goOn(answer)
    else if (PSYNC_LATER.some((code) => answer.startsWith(code)))
      throw new Error(`Master is currently unable to PSYNC but should be in the future: ${answer}`)
    else throw new Error(`Unexpected reply to PSYNC from master: ${answer}`)
    if (attempt === this.attempt) this.begin(socket, reader)
    else socket.destroy()
  }

  /** Tells the primary who is there, and asks for data. Returns its answer. @throws when it refuses */
  private async handshake(socket: net.Socket, reader: SocketReader): Promise<string> {
    const { config, log } = this.server
    const call = async (...words: readonly string[]): Promise<string> => {
      socket.write(encode(words))
      return reader.line()
    }
    const pong = await call('PING')
    if (!pong.startsWith('+') && !PING_REFUSALS.some((refusal) => pong.startsWith(refusal)))
      throw new Error(`Error reply to PING from master: '${pong}'`)
    const password = config.text('masterauth')
    if (password !== '') {
      const user = config.text('masteruser')
      const answer = await call('AUTH', ...(user === '' ? [] : [user]), password)
      if (answer.startsWith('-')) throw new Error(`Unable to AUTH to MASTER: ${answer}`)
    }
    const port = config.number('replica-announce-port') || config.number('port') || this.server.openPort
    const described = await call('REPLCONF', 'listening-port', String(port))
    if (described.startsWith('-')) log.notice(`(Non critical) Master does not understand REPLCONF: ${described}`)
    const address = config.text('replica-announce-ip')
    if (address !== '') await call('REPLCONF', 'ip-address', address)
    await call('REPLCONF', 'capa', 'eof', 'capa', 'psync2')
    const { history, offset } = this.server.replication
    if (this.continuation === null) return call('PSYNC', '?', '-1')
    log.notice(`Trying a partial resynchronization (request ${history.id}:${offset + 1}).`)
    return call('PSYNC', history.id, String(offset + 1))
  }

  private goOn(answer: string): void {
    const { replication, log } = this.server
    const [, id = ''] = /^\+CONTINUE ([0-9a-f]{40})$/i.exec(answer) ?? []
    log.notice('Successful partial resynchronization with master.')
    if (id !== '' && id !== replication.history.id) replication.continueAs(id)
    replication.ensureStream()
  }

  /** A full resync: all data are replaced by the primary's. */
  private async takeAll(reader: SocketReader, answer: string, attempt: number): Promise<void> {
    const { server } = this
    const [, id = '', offsetText = ''] = /^\+FULLRESYNC ([0-9a-f]{40}) (\d{1,15})$/i.exec(answer) ?? []
    if (id === '') throw new Error(`Master replied with wrong +FULLRESYNC syntax: ${answer}`)
    server.log.notice(`Full resync from master: ${id}:${offsetText}`)
    this.continuation = null
    this.payload = { totalBytes: 0, readBytes: 0 }
    this.setState(LinkState.Sync)
    const directory = server.isInMemory ? tmpdir() : server.config.directory
    if (!server.isInMemory) server.config.createDefaultDirectory()
    const file = new PayloadFile(join(directory, `temp-sync-${process.pid}-${threadId}-${++fileNumber}.rdb`))
    try {
      await file.receive(reader, await reader.line(), this.payload)
      if (attempt !== this.attempt) return
      server.log.notice(`MASTER <-> REPLICA sync: Loading ${file.sizeBytes} bytes in memory`)
      await this.load(file, id, Number(offsetText), attempt)
    } finally {
      file.close()
    }
  }

  private async load(file: PayloadFile, id: string, offset: number, attempt: number): Promise<void> {
    const { server } = this
    // Own replicas have other data from here on. What is loaded is in no history before it is whole.
    server.replication.abandon()
    const hadLog = server.appendOnly.state !== AofState.Off
    if (hadLog) server.appendOnly.disable()
    server.saving.abort()
    try {
      const db = await server.loadPayload(file, () => attempt !== this.attempt)
      if (db === null) return
      server.replication.restart(id, offset)
      this.continuation = { db }
    } finally {
      // Also with what is there of a payload that is not valid: writes may follow.
      if (hadLog && !this.isEnded) server.appendOnly.enableAgain()
    }
    server.log.notice('MASTER <-> REPLICA sync: Finished with success')
  }

  /** From here on the stream comes. */
  private begin(socket: net.Socket, reader: SocketReader): void {
    const { server } = this
    if (socket.destroyed || socket.readableEnded) throw new Error('the connection was closed')
    const rest = reader.release()
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    const connection = new NodeConnection(socket, null, { remoteAddress, remotePort, localAddress, localPort })
    const client = server.admitPrimary(connection, this.continuation?.db ?? 0)
    this.client = client
    socket.on('data', (chunk: Buffer) => client.received(chunk, 0, chunk.length))
    this.setState(LinkState.Connected)
    if (rest.length > 0) client.received(rest, 0, rest.length)
    connection.start(() => client)
    // A primary that sends while it goes over its data waits for this.
    this.acknowledge()
  }

  /** The session of the primary is gone. */
  clientClosed(client: Client): void {
    if (client !== this.client) return
    this.client = null
    this.discardPending()
    discardTransaction(client)
    this.continuation = { db: client.db.index }
    this.server.log.warning('Connection with master lost.')
    this.lost(this.attempt)
  }

  private lost(attempt: number): void {
    if (attempt !== this.attempt || this.primary === null) return
    this.socket = null
    this.attempt++
    this.downSinceMs = this.server.clockNow()
    this.setState(LinkState.Connect)
  }

  private setState(state: LinkState): void {
    this.state = state
    this.noteRefusals()
  }

  // ---- the stream ----------------------------------------------------------------------------------------------

  /** The primary's session has executed, or queued, the request in these bytes. */
  applied(client: Client, buffer: Buffer, start: number, end: number): void {
    // A request that has ended this role is no part of what follows.
    if (client !== this.client) return
    if ((client.flags & ClientFlag.Multi) !== 0) {
      this.pending.push(Buffer.from(buffer.subarray(start, end)))
      return
    }
    const { replication } = this.server
    if (this.pending.length > 0) {
      for (const bytes of this.pending) replication.appendForeign(bytes, 0, bytes.length)
      this.pending = []
    }
    replication.appendForeign(buffer, start, end)
  }

  received(bytes: number): void {
    this.bytesIn += bytes
    this.lastInputMs = this.server.keyspace.now
  }

  acknowledge(): void {
    const { client, server } = this
    if (client === null || (client.flags & ClientFlag.Closed) !== 0) return
    // It does not read them. The next one tells more.
    if (client.pendingOutputBytes > ACK_BYTES_MAX) return
    const offset = String(server.replication.offset)
    const words = ['REPLCONF', 'ACK', offset]
    const { appendOnly, journal } = server
    if (appendOnly.state === AofState.On && appendOnly.syncedEffects >= journal.effectCount) words.push('FACK', offset)
    server.output.queueReply(client, encode(words))
  }

  private discardPending(): void {
    this.pending = []
  }
}

function encode(words: readonly string[]): Buffer {
  let text = `*${words.length}\r\n`
  for (const word of words) text += `$${word.length}\r\n${word}\r\n`
  return Buffer.from(text, 'latin1')
}
