/**
 * Payloads of full resyncs: a snapshot in a temporary file, sent to all replicas that waited for it. Cold.
 *
 * A payload belongs to a moment of the stream: what comes behind it is the rest of the data. Replicas that come while it
 * is being written share it. When it is complete its file has no name any more; the last one who is done with it closes it.
 */
import { read } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { ClientFlag } from '../commands/session.ts'
import type { Files } from '../files/files.ts'
import type { PayloadContent } from '../replication/replica.ts'
import type { StreamCursor } from '../replication/stream.ts'
import type { Client } from './client.ts'
import type { Server } from './server.ts'
import { rdbSnapshot } from './snapshot-request.ts'

/** Bytes of the file that are read and sent at once. */
const PIECE_BYTES = 256 * 1024
const NO_FD = -1

/** Payloads begun in this thread, by any broker: two of them may use one directory. */
let fileNumber = 0

export class Payload {
  readonly content: PayloadContent
  /** Where the stream goes on behind it; null when nobody can join any more. */
  cursor: StreamCursor | null
  /** The same as an offset. */
  readonly offset: number
  private readonly server: Server
  private readonly files: Files
  private readonly path: string
  private fd = NO_FD
  sizeBytes = 0
  /** Replicas that wait for it or receive it. */
  private users = 0

  constructor(server: Server, files: Files, content: PayloadContent, cursor: StreamCursor) {
    this.server = server
    this.files = files
    this.content = content
    this.cursor = cursor
    this.offset = cursor.offset
    // A broker without a directory writes nothing where its program did not expect it.
    const directory = server.isInMemory ? tmpdir() : server.config.directory
    this.path = join(directory, `temp-repl-${process.pid}-${threadId}-${++fileNumber}.rdb`)
  }

  /** Begins to write the data of this moment. @throws the system's error */
  begin(done: (error: Error | null) => void): void {
    const { config, snapshots, stats } = this.server
    if (!this.server.isInMemory) config.createDefaultDirectory()
    const dump = rdbSnapshot(this.server, this.path)
    const { info } = dump
    stats.snapshots++
    snapshots.begin({
      ...dump,
      info: this.content.hasFunctions ? info : { ...info, functions: [] },
      hasKeys: this.content.hasData,
      syncsPieces: false,
      done,
    })
  }

  /** It is written: opens the file, whose name goes. @throws the system's error */
  open(): void {
    this.fd = this.files.open(this.path, 'r', 0)
    this.files.remove(this.path)
    this.sizeBytes = this.files.sizeOf(this.fd)
  }

  /** Removes a file that nobody waits for any more. */
  discard(): void {
    try {
      this.files.remove(this.path)
    } catch {
      // Nobody reads a file of this name; the next start of a payload takes another one.
    }
  }

  /** It is written. A replica that takes nothing but the payload, for long, must not keep all that is written meanwhile. */
  releaseStream(): void {
    this.cursor = null
  }

  get isWanted(): boolean {
    return this.users > 0
  }

  use(): void {
    this.users++
  }

  release(): void {
    if (--this.users > 0 || this.fd === NO_FD) return
    const { fd } = this
    this.fd = NO_FD
    // Nothing was written to it: how closing ends does not matter.
    this.files.closeLater(fd, () => {})
  }

  /** Reads into `buffer` from an offset of the file on, on the thread pool. */
  read(buffer: Buffer, offset: number, done: (error: Error | null, bytes: number) => void): void {
    const length = Math.min(buffer.length, this.sizeBytes - offset)
    read(this.fd, buffer, 0, length, offset, (error, bytes) => done(error, bytes))
  }
}

/** Told how the sending of a payload has ended. */
export interface PayloadReceiver {
  payloadProgressed(): void
  payloadSent(): void
  payloadFailed(reason: string): void
}

/** Sends a payload to one replica, as fast as that takes it. */
export class PayloadSender {
  private readonly client: Client
  private readonly payload: Payload
  private readonly receiver: PayloadReceiver
  private readonly buffer: Buffer
  private isHeadSent = false
  private isReading = false
  private isStopped = false
  /** Bytes of the file that were sent. */
  private sentBytes = 0

  constructor(client: Client, payload: Payload, receiver: PayloadReceiver) {
    this.client = client
    this.payload = payload
    this.receiver = receiver
    this.buffer = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, Math.max(1, payload.sizeBytes)))
  }

  /** Goes on if the connection has taken all that it got before. */
  pump(): void {
    const { client, payload } = this
    if (this.isReading || this.isStopped || !isClear(client)) return
    if (!this.isHeadSent) {
      this.isHeadSent = true
      const head = Buffer.from(`$${payload.sizeBytes}\r\n`)
      if (!client.connection.send(head, 0, head.length)) return
    }
    if (this.sentBytes === payload.sizeBytes) {
      this.isStopped = true
      this.receiver.payloadSent()
      return
    }
    this.isReading = true
    payload.read(this.buffer, this.sentBytes, (error, bytes) => this.haveRead(error, bytes))
  }

  /** The replica is gone, or has all. */
  stop(): void {
    this.isStopped = true
    // The file must be open as long as it is read.
    if (!this.isReading) this.payload.release()
  }

  private haveRead(error: Error | null, bytes: number): void {
    this.isReading = false
    if (this.isStopped) {
      this.payload.release()
      return
    }
    if (error !== null || bytes === 0) {
      this.receiver.payloadFailed(error === null ? 'premature EOF' : error.message)
      return
    }
    this.sentBytes += bytes
    this.receiver.payloadProgressed()
    // Otherwise the connection goes on reading from the buffer, and tells when it is done.
    if (this.client.connection.send(this.buffer, 0, bytes)) this.pump()
  }
}

/** Whether a connection has taken all that was sent, so that bytes may follow that are not kept with the client. */
export function isClear(client: Client): boolean {
  return (
    client.outputLength === 0 &&
    client.heldCount === 0 &&
    client.connection.queuedBytes === 0 &&
    (client.flags & ClientFlag.Closed) === 0
  )
}
