/**
 * Takes the payload of a primary into a temporary file. Cold.
 *
 *     $<length> payload                          a primary that has a file
 *     $EOF:<40 bytes> payload <the 40 bytes>     one that sends while it goes over its data
 */
import { closeSync, ftruncateSync, openSync, rmSync, write } from 'node:fs'
import type { SocketReader } from './socket-reader.ts'

const CHUNK_BYTES = 256 * 1024
const MARK_BYTES = 40
const MARK_PREFIX = '$EOF:'

/** Progress of a payload, for INFO. `totalBytes` 0: the primary has not said how much comes. */
export interface PayloadProgress {
  totalBytes: number
  readBytes: number
}

export class PayloadFile {
  readonly fd: number
  readonly path: string
  sizeBytes = 0

  /** The file has no name after this, so that it is gone with the process. @throws the system's error */
  constructor(path: string) {
    this.path = path
    this.fd = openSync(path, 'w+', 0o600)
    rmSync(path, { force: true })
  }

  /** Reads the payload that `head` announces. @throws what is wrong with it, or with the connection or the disk */
  async receive(reader: SocketReader, head: string, progress: PayloadProgress): Promise<void> {
    if (head.startsWith(MARK_PREFIX)) {
      await this.receiveUntil(reader, Buffer.from(head.slice(MARK_PREFIX.length), 'latin1'), progress)
      return
    }
    const [, digits = ''] = /^\$(\d{1,15})$/.exec(head) ?? []
    if (digits === '') throw new Error(`Bad protocol from MASTER, the first byte is not '$' (we received '${head}')`)
    const total = Number(digits)
    progress.totalBytes = total
    while (this.sizeBytes < total) {
      await this.append(await reader.chunk(Math.min(CHUNK_BYTES, total - this.sizeBytes)))
      progress.readBytes = this.sizeBytes
    }
  }

  close(): void {
    closeSync(this.fd)
  }

  /** The primary sends nothing behind the mark until it is acknowledged. */
  private async receiveUntil(reader: SocketReader, mark: Buffer, progress: PayloadProgress): Promise<void> {
    if (mark.length !== MARK_BYTES) throw new Error('Bad mark of the end of the payload from MASTER')
    let tail: Buffer = Buffer.alloc(0)
    while (!tail.equals(mark)) {
      const chunk = await reader.chunk(CHUNK_BYTES)
      await this.append(chunk)
      progress.readBytes = this.sizeBytes
      tail = Buffer.concat([tail, chunk]).subarray(-MARK_BYTES)
    }
    this.sizeBytes -= MARK_BYTES
    ftruncateSync(this.fd, this.sizeBytes)
  }

  private async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const written = await new Promise<number>((resolve, reject) => {
        write(this.fd, bytes, at, bytes.length - at, this.sizeBytes, (error, count) => {
          if (error === null) resolve(count)
          else reject(error)
        })
      })
      at += written
      this.sizeBytes += written
    }
  }
}
