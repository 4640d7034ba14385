/**
 * The primary's side of replication: replicas, the stream that they follow and the snapshots that they begin with. Hot
 * path, while there are replicas: feed, flush.
 *
 *     journal ──drain──▶ feed ─▶ ReplicationStream ─▶ flush, at the end of the turn: each replica what it has not got yet
 *
 * The stream begins with the first replica; from then on all effects are recorded, also while no replica is there, until
 * `repl-backlog-ttl` is over. Before that nothing is encoded, and nothing here is called.
 *
 * What the append-only file has to write first is not sent before (`sendable`): a replica must not have what this server
 * would not have after a crash. While the file cannot be written that would cut the replicas off, so they get all.
 * Source: Valkey 7.2 src/replication.c.
 */
import type { AttachedReplica, BacklogStatus, ReplicationControl } from '../commands/replication/control.ts'
import { replicaAddress } from '../commands/replication/replica-address.ts'
import { ClientFlag, type Session } from '../commands/session.ts'
import type { Files } from '../files/files.ts'
import { asError, messageOf } from '../files/thrown.ts'
import { JournalTarget } from '../persistence/journal.ts'
import type { StreamPosition } from '../persistence/snapshot-format.ts'
import { EffectOffsets } from '../replication/effect-offsets.ts'
import { ReplicationHistory } from '../replication/history.ts'
import { Replica, ReplicaCapability, ReplicaState, wantSameContent } from '../replication/replica.ts'
import { ReplicationStream } from '../replication/stream.ts'
import { NOREPLICAS, PAYLOAD_FAILED, type ReplyError } from '../resp/errors.ts'
import type { Client } from './client.ts'
import { isClear, Payload, type PayloadReceiver, PayloadSender } from './payload.ts'
import type { Server } from './server.ts'

const PING = Buffer.from('*1\r\n$4\r\nPING\r\n')
const GETACK = Buffer.from('*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n')
/** So many bytes of keys that expired before the start are handed out together. */
const DRAIN_BYTES = 1024 * 1024
/** Tells a replica that waits for a payload that there is still somebody. */
const NEWLINE = Buffer.from('\n')

/** A replica and its connection. */
class ReplicaLink implements AttachedReplica, PayloadReceiver {
  readonly client: Client
  readonly replica: Replica
  payload: Payload | null = null
  sender: PayloadSender | null = null
  private readonly owner: Replicas

  constructor(client: Client, replica: Replica, owner: Replicas) {
    this.client = client
    this.replica = replica
    this.owner = owner
  }

  get session(): Session {
    return this.client
  }

  /** As logs show it. */
  get name(): string {
    const { listeningPort } = this.replica
    return `${replicaAddress(this)}:${listeningPort > 0 ? listeningPort : `<unknown-replica-port>`}`
  }

  payloadProgressed(): void {
    this.owner.payloadProgressed(this)
  }

  payloadSent(): void {
    this.owner.payloadSent(this)
  }

  payloadFailed(reason: string): void {
    this.owner.payloadFailed(this, reason)
  }

  /** Lets go of the payload. */
  releasePayload(): void {
    const { payload, sender } = this
    this.payload = null
    this.sender = null
    if (sender !== null) sender.stop()
    else payload?.release()
  }
}

export class Replicas implements ReplicationControl {
  readonly history = new ReplicationHistory()
  attached: readonly ReplicaLink[] = []
  goodCount = 0
  writeRefusal: ReplyError | null = null
  fullSyncs = 0
  partialSyncs = 0
  partialSyncsRefused = 0
  bytesOut = 0
  private readonly server: Server
  private readonly files: Files
  private stream: ReplicationStream | null = null
  /** Whether the stream is made of the own journal; that of a replica is its primary's. */
  private isFed: boolean = false
  private effectOffsets = new EffectOffsets()
  /** Offset of the stream that was, while there is none. */
  private lastOffset = 0
  /** The payload that is being written. */
  private writing: Payload | null = null
  /** Up to which offset replicas may be sent the stream. */
  private sendable = 0
  /** The next offset that they may, and the bytes of the log that must be safe first; null when nothing is waited for. */
  private awaited: { readonly offset: number; readonly after: number } | null = null
  private wantsAcks: boolean = false
  private seconds = 0
  /** `min-replicas-to-write` and `min-replicas-max-lag`. */
  private wantedCount = 0
  private lagMaxSeconds = 0
  /** Since when there is no replica, in ms. */
  private aloneSinceMs = 0

  constructor(server: Server, files: Files) {
    this.server = server
    this.files = files
  }

  // ---- status --------------------------------------------------------------------------------------------------

  get offset(): number {
    if (this.stream === null) return this.lastOffset
    return this.stream.offset + (this.isFed ? this.server.journal.pendingBytes : 0)
  }

  get backlog(): BacklogStatus {
    const { stream } = this
    const sizeBytes = this.server.config.number('repl-backlog-size')
    if (stream === null) return { isActive: false, sizeBytes, firstOffset: 0, length: 0 }
    return { isActive: true, sizeBytes, firstOffset: stream.backlogStart + 1, length: stream.backlogLength }
  }

  get isWritingPayload(): boolean {
    return this.writing !== null
  }

  get backlogBytes(): number {
    return this.stream === null ? 0 : this.stream.backlogMemory
  }

  get bufferBytes(): number {
    if (this.stream === null) return 0
    let bytes = this.stream.memoryFrom(null)
    for (const { replica } of this.attached) bytes = Math.max(bytes, this.stream.memoryFrom(replica.cursor))
    return bytes
  }

  /** Whether there is no replica that has yet to acknowledge something. */
  get isAcknowledged(): boolean {
    const { offset } = this
    return this.attached.every(({ replica }) => replica.ackOffset === offset)
  }

  /** Tells the log who has not got everything when the process ends. */
  reportLag(): void {
    const { log, keyspace } = this.server
    const { attached, offset } = this
    if (attached.length === 0) return
    let behind = 0
    for (const link of attached) {
      const { ackOffset, stateName } = link.replica
      if (ackOffset === offset) continue
      behind++
      log.warning(
        `Lagging replica ${link.name} reported offset ${offset - ackOffset} behind master, lag=${link.replica.lagSeconds(keyspace.now)}, state=${stateName}.`,
      )
    }
    log.notice(`${attached.length - behind} of ${attached.length} replicas are in sync when shutting down.`)
  }

  replicaOf(session: Session): Replica {
    session.replica ??= new Replica()
    return session.replica
  }

  hasOutput(session: Session): boolean {
    return this.server.output.hasOutputFor(session as Client)
  }

  // ---- synchronization -----------------------------------------------------------------------------------------

  syncFully(session: Session): void {
    const client = session as Client
    this.replicaOf(client).isPrePsync = true
    this.beginFull(this.linkOf(client))
  }

  sync(session: Session, id: string, psyncOffset: number): void {
    const link = this.linkOf(session as Client)
    this.server.log.notice(`Replica ${link.name} asks for synchronization`)
    if (this.continuePartially(link, id, psyncOffset)) {
      this.partialSyncs++
      return
    }
    // With `?` a replica asks for everything.
    if (!id.startsWith('?')) this.partialSyncsRefused++
    this.beginFull(link)
  }

  private linkOf(client: Client): ReplicaLink {
    return new ReplicaLink(client, this.replicaOf(client), this)
  }

  private continuePartially(link: ReplicaLink, id: string, psyncOffset: number): boolean {
    const { server, stream, history } = this
    server.journal.drain()
    if (!history.includes(id.toLowerCase(), psyncOffset)) {
      this.logOtherHistory(link, id, psyncOffset)
      return false
    }
    const cursor = stream === null ? null : stream.cursorAt(psyncOffset - 1)
    if (stream === null || cursor === null) {
      server.log.notice(
        `Unable to partial resync with replica ${link.name} for lack of backlog (Replica request was: ${psyncOffset}).`,
      )
      if (psyncOffset > this.offset)
        server.log.warning(
          `Warning: replica ${link.name} tried to PSYNC with an offset that is greater than the master replication offset.`,
        )
      return false
    }
    const { replica, client } = link
    this.attach(link)
    replica.follow(stream, cursor)
    server.log.notice(
      `Partial resynchronization request from ${link.name} accepted. Sending ${replica.pendingBytes} bytes of backlog starting from offset ${psyncOffset}.`,
    )
    const knowsIds = (replica.capabilities & ReplicaCapability.Psync2) !== 0
    server.output.queueReply(client, Buffer.from(knowsIds ? `+CONTINUE ${history.id}\r\n` : '+CONTINUE\r\n'))
    this.putOnline(replica)
    return true
  }

  private logOtherHistory(link: ReplicaLink, id: string, psyncOffset: number): void {
    const { log } = this.server
    const { id: own, id2, secondOffset } = this.history
    if (id.startsWith('?')) log.notice(`Full resync requested by replica ${link.name}`)
    else if (id.toLowerCase() === id2)
      log.notice(
        `Partial resynchronization not accepted: Requested offset for second ID was ${psyncOffset}, but I can reply up to ${secondOffset}`,
      )
    else
      log.notice(
        `Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '${id}', my replication IDs are '${own}' and '${id2}')`,
      )
  }

  private beginFull(link: ReplicaLink): void {
    const { log } = this.server
    this.fullSyncs++
    this.attach(link)
    link.replica.state = ReplicaState.AwaitsSnapshot
    const { writing } = this
    if (writing !== null && wantSameContent(writing.content, link.replica.content)) {
      this.join(link, writing)
      log.notice('Waiting for end of BGSAVE for SYNC')
    } else if (writing !== null) {
      log.notice("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC")
    } else if (this.server.snapshots.isActive) {
      log.notice('No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed')
    } else this.beginPayload()
  }

  private attach(link: ReplicaLink): void {
    const { client } = link
    client.flags |= ClientFlag.Replica
    if (this.server.config.bool('repl-disable-tcp-nodelay')) client.connection.delaySmallPackets()
    this.attached = [...this.attached, link]
    if (this.stream === null) this.beginStream()
  }

  /** From now on effects are recorded. What was written before is no history that anybody could continue. */
  private beginStream(): void {
    const { journal, config, log } = this.server
    journal.drain()
    this.history.change()
    this.stream = new ReplicationStream(this.lastOffset, config.number('repl-backlog-size'))
    this.subscribe(this.stream)
    log.notice(`Replication backlog created, my new replication IDs are '${this.history.id}' and '${this.history.id2}'`)
  }

  private subscribe(stream: ReplicationStream): void {
    const { journal } = this.server
    this.effectOffsets = new EffectOffsets()
    this.effectOffsets.note(journal.effectCount, stream.offset)
    this.sendable = stream.offset
    this.awaited = null
    this.isFed = true
    journal.subscribe(this.feed, JournalTarget.Replicas)
  }

  private endStream(): void {
    if (this.stream === null) return
    this.stopFeeding()
    // Writes from here on are in no stream: whoever has the offset has not the data.
    this.abandon()
  }

  // ---- as a replica --------------------------------------------------------------------------------------------

  /** From now on the stream is that of a primary. Returns whether there is one whose history that may know. */
  stopFeeding(): boolean {
    if (this.isFed) {
      const { journal } = this.server
      journal.drain()
      journal.unsubscribe(this.feed)
      this.isFed = false
      // What the transaction around this has written will be in no stream.
      if (journal.pendingBytes > 0) this.abandon()
    }
    return this.stream !== null
  }

  /** This server is a primary from now on: its history goes on under an ID of its own, which replicas have to learn. */
  startFeeding(): void {
    this.closeAll()
    const { stream } = this
    this.history.shift(null, this.offset)
    if (stream === null) return
    this.server.journal.drain()
    this.subscribe(stream)
    this.aloneSinceMs = this.server.keyspace.now
  }

  /** Nobody can go on from here: data were or will be changed without the stream. */
  abandon(): void {
    this.closeAll()
    this.history.change()
    if (this.stream !== null) this.lastOffset = this.stream.offset
    this.stream = null
  }

  /** The data are those of a primary at this offset of its history. */
  restart(id: string, offset: number): void {
    this.closeAll()
    this.history.takeOver(id)
    this.lastOffset = offset
    this.stream = null
    this.ensureStream()
  }

  /** The primary knows our history, and goes on with it under its own ID. */
  continueAs(id: string): void {
    this.closeAll()
    this.history.shift(id, this.offset)
  }

  ensureStream(): void {
    this.stream ??= new ReplicationStream(this.lastOffset, this.server.config.number('repl-backlog-size'))
  }

  /** The data that were loaded at the start had this place in a history: replicas that have it may go on from there. */
  resume({ id, offset }: StreamPosition): void {
    // Keys that had expired may have made it begin.
    if (this.stream !== null) return
    this.history.remember(id, offset)
    this.lastOffset = offset
    this.stream = new ReplicationStream(offset, this.server.config.number('repl-backlog-size'))
    this.subscribe(this.stream)
    this.aloneSinceMs = this.server.keyspace.now
  }

  /** A key was dropped when the data were loaded that had this place in a history: replicas that have it must drop it too. */
  expiredBefore(position: StreamPosition, db: number, source: Buffer, start: number, length: number): void {
    const { journal } = this.server
    if (this.stream === null) this.resume(position)
    journal.begin(db, 2)
    journal.text('DEL')
    journal.bytes(source, start, length)
    if (journal.pendingBytes > DRAIN_BYTES) journal.drain()
  }

  resetStatistics(): void {
    this.fullSyncs = 0
    this.partialSyncs = 0
    this.partialSyncsRefused = 0
    this.bytesOut = 0
  }

  /** Where the data are in their history, for a snapshot of them; null: in none that could be continued. */
  get position(): StreamPosition | null {
    const { stream, server, history } = this
    if (stream === null) return null
    if (this.isFed) {
      server.journal.drain()
      // In the midst of a transaction there is no place.
      return server.journal.pendingBytes > 0
        ? null
        : { id: history.id, offset: stream.offset, db: server.journal.streamDb }
    }
    const db = server.following.streamDb
    return db === null ? null : { id: history.id, offset: stream.offset, db }
  }

  /** Takes bytes of the primary's stream that were executed here. */
  appendForeign(buffer: Buffer, start: number, end: number): void {
    this.stream?.append(buffer, start, end)
  }

  private closeAll(): void {
    this.abandonPayload()
    for (const { client } of this.attached) this.server.closeClient(client)
  }

  // ---- payloads ------------------------------------------------------------------------------------------------

  /** Begins a snapshot for those replicas that wait for one with the same content as the first. */
  private beginPayload(): void {
    const { server, stream } = this
    const waiting = this.attached.filter(({ replica }) => replica.state === ReplicaState.AwaitsSnapshot)
    const [first] = waiting
    if (first === undefined || stream === null || server.snapshots.isActive || server.loading.isActive) return
    // The stream behind the payload begins at this moment, and names its database.
    server.journal.drain()
    server.journal.forgetSelected()
    const payload = new Payload(server, this.files, first.replica.content, stream.endCursor())
    server.log.notice('Starting BGSAVE for SYNC with target: disk')
    try {
      payload.begin((error) => this.payloadEnded(payload, error))
    } catch (error) {
      server.log.warning(`BGSAVE for replication failed: ${messageOf(error)}`)
      for (const link of waiting) this.refuse(link)
      return
    }
    this.writing = payload
    for (const link of waiting) if (wantSameContent(payload.content, link.replica.content)) this.join(link, payload)
  }

  private join(link: ReplicaLink, payload: Payload): void {
    const { replica, client } = link
    replica.state = ReplicaState.AwaitsPayload
    const { cursor } = payload
    if (!replica.isRdbOnly && this.stream !== null && cursor !== null) replica.follow(this.stream, cursor.clone())
    link.payload = payload
    payload.use()
    if (replica.isPrePsync) return
    this.server.output.queueReply(client, Buffer.from(`+FULLRESYNC ${this.history.id} ${payload.offset}\r\n`))
  }

  private refuse(link: ReplicaLink): void {
    const { client } = link
    this.detach(client)
    client.flags &= ~ClientFlag.Replica
    client.flags |= ClientFlag.CloseAfterReply
    this.server.output.queueReply(client, Buffer.from(`-${PAYLOAD_FAILED.text}\r\n`))
  }

  private payloadEnded(payload: Payload, error: Error | null): void {
    const { log } = this.server
    this.writing = null
    payload.releaseStream()
    const links = this.attached.filter((link) => link.payload === payload)
    let failure = error
    if (failure === null && links.length > 0) {
      try {
        payload.open()
      } catch (problem) {
        failure = asError(problem)
      }
    }
    if (failure !== null || links.length === 0) payload.discard()
    if (failure !== null && links.length > 0)
      log.warning(`SYNC failed. The snapshot for replicas could not be written: ${failure.message}`)
    for (const link of links) {
      if (failure !== null) this.server.closeClient(link.client)
      else this.send(link, payload)
    }
    this.beginPayload()
  }

  private send(link: ReplicaLink, payload: Payload): void {
    link.replica.state = ReplicaState.ReceivesPayload
    link.replica.progressMs = this.server.keyspace.now
    link.sender = new PayloadSender(link.client, payload, link)
    link.sender.pump()
  }

  payloadProgressed({ replica }: ReplicaLink): void {
    replica.progressMs = this.server.clockNow()
  }

  payloadFailed(link: ReplicaLink, reason: string): void {
    this.server.log.warning(`Read error sending DB to replica: ${reason}`)
    this.server.closeClient(link.client)
  }

  payloadSent(link: ReplicaLink): void {
    const { replica, client } = link
    this.bytesOut += link.payload?.sizeBytes ?? 0
    link.releasePayload()
    if (replica.isRdbOnly) {
      this.server.log.notice(`RDB transfer completed, rdb only replica (${link.name}) should be disconnected asap`)
      client.flags |= ClientFlag.CloseAfterReply
      this.server.output.listOutput(client)
      return
    }
    this.putOnline(replica)
    this.server.log.notice(`Synchronization with replica ${link.name} succeeded`)
    this.pump(link)
  }

  private putOnline(replica: Replica): void {
    replica.state = ReplicaState.Online
    replica.ackMs = this.server.clockNow()
    this.countGood()
  }

  /** Gives up a payload that is being written: a snapshot of the data is wanted now. Its replicas will come again. */
  abandonPayload(): void {
    if (this.writing !== null) this.server.snapshots.abort()
  }

  // ---- the stream ----------------------------------------------------------------------------------------------

  private readonly feed = (buffer: Buffer, start: number, end: number): void => {
    const { stream, server } = this
    if (stream === null) return
    stream.append(buffer, start, end)
    this.effectOffsets.note(server.journal.drainedEffects, stream.offset)
    if (this.attached.length > 0) server.scheduleTurn()
  }

  /** Sends replicas what there is, at the end of a turn. */
  flush(): void {
    const { stream } = this
    if (stream === null || this.attached.length === 0) return
    if (this.wantsAcks && this.isFed) {
      this.wantsAcks = false
      stream.append(GETACK, 0, GETACK.length)
    }
    this.noteSendable(stream)
    for (const link of this.attached) {
      this.pump(link)
      if (link.replica.pendingBytes > 0 || link.client.softLimitSinceMs > 0)
        this.server.output.checkOutputLimit(link.client)
    }
  }

  /** The log has come further. */
  logProgressed(): void {
    if (this.awaited !== null) this.flush()
  }

  private noteSendable(stream: ReplicationStream): void {
    const { aof } = this.server
    const released = aof === null || aof.error !== null ? Number.POSITIVE_INFINITY : aof.releasedBytes
    if (aof === null || released >= aof.acceptedBytes) {
      this.sendable = stream.offset
      this.awaited = null
      return
    }
    if (this.awaited !== null && released >= this.awaited.after) {
      this.sendable = this.awaited.offset
      this.awaited = null
    }
    this.awaited ??= { offset: stream.offset, after: aof.acceptedBytes }
  }

  /** The connection of a replica has taken what it got. */
  drained(client: Client): void {
    const link = this.attached.find((candidate) => candidate.client === client)
    if (link !== undefined) this.pump(link)
  }

  private pump(link: ReplicaLink): void {
    if (link.sender !== null) link.sender.pump()
    else if (link.replica.isOnline) this.sendStream(link)
  }

  private sendStream({ client, replica }: ReplicaLink): void {
    const { cursor } = replica
    if (cursor === null) return
    while (isClear(client)) {
      const bytes = cursor.readable(this.sendable)
      if (bytes <= 0) return
      const { block, at } = cursor
      cursor.at += bytes
      client.bytesOut += bytes
      this.bytesOut += bytes
      client.connection.send(block.bytes, at, at + bytes)
    }
  }

  // ---- acknowledgements ----------------------------------------------------------------------------------------

  acknowledge(session: Session, offset: number, aofOffset: number | null): void {
    const { replica } = session
    if (replica === null) return
    replica.acknowledge(offset, aofOffset, this.server.keyspace.now)
    this.server.waiting.mayGoOn()
  }

  requestAcks(): void {
    this.wantsAcks = true
    this.server.scheduleTurn()
  }

  countWith(effect: number): number {
    const offset = this.offsetOf(effect)
    return this.attached.reduce(
      (sum, { replica }) => sum + (replica.isOnline && replica.ackOffset >= offset ? 1 : 0),
      0,
    )
  }

  countWithSynced(effect: number): number {
    const offset = this.offsetOf(effect)
    return this.attached.reduce(
      (sum, { replica }) => sum + (replica.isOnline && replica.aofAckOffset >= offset ? 1 : 0),
      0,
    )
  }

  /** Whoever has written nothing waits for nothing. */
  private offsetOf(effect: number): number {
    if (effect === 0) return 0
    const { journal } = this.server
    if (effect > journal.drainedEffects) journal.drain()
    return this.effectOffsets.offsetOf(effect)
  }

  // ---- clients and time ----------------------------------------------------------------------------------------

  /** The connection of a replica is gone. */
  detach(client: Client): void {
    const link = this.attached.find((candidate) => candidate.client === client)
    if (link === undefined) return
    this.attached = this.attached.filter((other) => other !== link)
    const { replica, payload } = link
    replica.state = ReplicaState.Announced
    replica.unfollow()
    link.releasePayload()
    if (payload !== null && payload === this.writing && !payload.isWanted) this.server.snapshots.abort()
    if (this.attached.length === 0) this.aloneSinceMs = this.server.keyspace.now
    this.countGood()
  }

  /** Ten times a second. */
  tick(): void {
    if (this.stream === null) return
    if (this.writing === null) this.beginPayload()
  }

  /** Once a second. */
  tickSecond(): void {
    const { stream } = this
    const isPingDue = ++this.seconds % this.server.config.number('repl-ping-replica-period') === 0
    if (stream === null) return
    if (isPingDue && this.isFed && this.attached.length > 0) this.ping(stream)
    this.keepAlive()
    this.closeSilent()
    this.countGood()
    this.endIfAlone()
  }

  changeHistory(): void {
    this.history.change()
  }

  /** Another size of the backlog (CONFIG SET). */
  resizeBacklog(bytes: number): void {
    this.stream?.resize(bytes)
  }

  /** Lets replicas see that the connection stands. */
  private ping(stream: ReplicationStream): void {
    this.server.journal.drain()
    stream.append(PING, 0, PING.length)
    this.server.scheduleTurn()
  }

  private keepAlive(): void {
    for (const { client, replica } of this.attached) {
      const isWaiting = replica.state === ReplicaState.AwaitsSnapshot || replica.state === ReplicaState.AwaitsPayload
      if (isWaiting) this.server.output.queueReply(client, NEWLINE)
    }
  }

  private closeSilent(): void {
    const limitMs = this.server.config.number('repl-timeout') * 1000
    const { now } = this.server.keyspace
    for (const link of this.attached) {
      const { replica, client } = link
      if (replica.isOnline && !replica.isPrePsync && now - replica.ackMs > limitMs) {
        this.server.log.warning(`Disconnecting timedout replica (streaming sync): ${link.name}`)
        this.server.closeClient(client)
      } else if (replica.state === ReplicaState.ReceivesPayload && now - replica.progressMs > limitMs) {
        this.server.log.warning(`Disconnecting timedout replica (full sync): ${link.name}`)
        this.server.closeClient(client)
      }
    }
  }

  /** So many replicas must be near enough for writes to be accepted; 0: none. */
  wantReplicas(count: number): void {
    this.wantedCount = count
    this.countGood()
  }

  /** How old the last acknowledgement of a replica that is near enough may be; 0: no replicas are wanted. */
  wantLag(seconds: number): void {
    this.lagMaxSeconds = seconds
    this.countGood()
  }

  /** Counts replicas that are near enough, which decides whether writes are accepted. */
  private countGood(): void {
    const wanted = this.wantedCount
    const lagMax = this.lagMaxSeconds
    const { now } = this.server.keyspace
    let count = 0
    for (const { replica } of this.attached) if (replica.isOnline && replica.lagSeconds(now) <= lagMax) count++
    this.goodCount = count
    this.writeRefusal = this.server.keyspace.isFollowing
      ? null
      : wanted > 0 && lagMax > 0 && count < wanted
        ? NOREPLICAS
        : null
  }

  private endIfAlone(): void {
    const ttlSeconds = this.server.config.number('repl-backlog-ttl')
    // A replica keeps its backlog: it may be a primary soon.
    if (this.attached.length > 0 || ttlSeconds === 0 || !this.isFed) return
    if (this.server.keyspace.now - this.aloneSinceMs <= ttlSeconds * 1000) return
    this.endStream()
    this.server.log.notice(`Replication backlog freed after ${ttlSeconds} seconds without connected replicas.`)
  }
}
