/**
 * The replication stream: the effects of writes as bytes, numbered by the replication offset. Hot path: append, while
 * there are replicas.
 *
 *     first ─▶ block ─▶ block ─▶ … ─▶ last        blocks are full, except the last
 *              ╰─ backlog ────────────────╯       what a replica that comes back may ask for
 *         ▲ cursor of a slow replica              keeps the blocks from there on
 *
 * The bytes exist once, whoever is to get them: replicas read from the blocks by cursors, and what neither the backlog nor
 * a cursor refers to is garbage. Bytes of a block are never changed, so a transport may go on reading from it.
 *
 * An offset is the number of bytes before it. Redis counts the bytes from 1 on the wire (PSYNC, INFO): there it is one more.
 * Source: Valkey 7.2 src/replication.c feedReplicationBuffer, incrementalTrimReplicationBacklog.
 */
import { outsideMemory } from '../storage/outside.ts'

/** Sizes of blocks, in bytes: about a sixteenth of the backlog, so that it can be cut to size. */
const BLOCK_BYTES_MIN = 16 * 1024
const BLOCK_BYTES_MAX = 64 * 1024
const BLOCKS_PER_BACKLOG = 16

/** A part of the stream. */
export class StreamBlock {
  readonly bytes: Buffer
  /** Offset of its first byte. */
  readonly start: number
  /** Bytes that are there; more may follow in the last block. */
  used = 0
  next: StreamBlock | null = null

  constructor(bytes: Buffer, start: number) {
    this.bytes = bytes
    this.start = start
  }
}

/** Where somebody reads. */
export class StreamCursor {
  block: StreamBlock
  /** Index of the next byte in the block. */
  at: number

  constructor(block: StreamBlock, at: number) {
    this.block = block
    this.at = at
  }

  get offset(): number {
    return this.block.start + this.at
  }

  clone(): StreamCursor {
    return new StreamCursor(this.block, this.at)
  }

  /** How many bytes can be read from `block` at `at` on, up to an offset; 0 when it is reached. */
  readable(offsetMax: number): number {
    while (this.at === this.block.used && this.block.next !== null) {
      this.block = this.block.next
      this.at = 0
    }
    return Math.min(this.block.used - this.at, offsetMax - this.offset)
  }
}

export class ReplicationStream {
  /** Where the next byte goes. */
  offset: number
  private first: StreamBlock
  private last: StreamBlock
  private bytesMax: number
  /** Cursors whose blocks stay in the backlog, as they are in memory anyway. */
  private readonly readers = new Set<StreamCursor>()

  /** @param backlogBytes how much of its end is kept at least. */
  constructor(offset: number, backlogBytes: number) {
    this.offset = offset
    this.bytesMax = backlogBytes
    this.last = this.newBlock()
    this.first = this.last
  }

  get backlogBytes(): number {
    return this.bytesMax
  }

  /** Offset of the first byte that is kept, and how many there are. */
  get backlogStart(): number {
    return this.first.start
  }

  get backlogLength(): number {
    return this.offset - this.first.start
  }

  append(source: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; ) {
      let block = this.last
      if (block.used === block.bytes.length) {
        block = this.newBlock()
        this.last.next = block
        this.last = block
      }
      const count = Math.min(end - at, block.bytes.length - block.used)
      block.bytes.set(source.subarray(at, at + count), block.used)
      block.used += count
      this.offset += count
      at += count
    }
    this.trim()
  }

  /** The backlog reaches back to this cursor from now on, until `release`. */
  hold(cursor: StreamCursor): void {
    this.readers.add(cursor)
  }

  release(cursor: StreamCursor): void {
    this.readers.delete(cursor)
    this.trim()
  }

  resize(backlogBytes: number): void {
    this.bytesMax = backlogBytes
    this.trim()
  }

  /** Reads what comes from now on. */
  endCursor(): StreamCursor {
    return new StreamCursor(this.last, this.last.used)
  }

  /** Reads from an offset on; null when that is not kept any more, or not written yet. */
  cursorAt(offset: number): StreamCursor | null {
    if (offset < this.first.start || offset > this.offset) return null
    let block = this.first
    while (offset - block.start > block.used && block.next !== null) block = block.next
    return new StreamCursor(block, offset - block.start)
  }

  /** Memory from the block of a cursor on (or from the backlog's first), in bytes. */
  memoryFrom(cursor: StreamCursor | null): number {
    const start = cursor === null ? this.first.start : Math.min(cursor.block.start, this.first.start)
    return this.last.start + this.last.bytes.length - start
  }

  /** Memory of the backlog by itself, without what is kept for readers that are behind it, in bytes. */
  get backlogMemory(): number {
    // Its oldest block and its newest may be in use in part only.
    return Math.min(this.memoryFrom(null), this.bytesMax + this.first.bytes.length + this.last.bytes.length)
  }

  /** The backlog keeps a block as long as without it there would be less than wanted. */
  private trim(): void {
    while (this.first.next !== null && this.backlogLength - this.first.used > this.bytesMax) {
      for (const reader of this.readers) if (reader.block === this.first) return
      this.first = this.first.next
    }
  }

  private newBlock(): StreamBlock {
    const wanted = Math.floor(this.bytesMax / BLOCKS_PER_BACKLOG)
    const size = Math.min(BLOCK_BYTES_MAX, Math.max(BLOCK_BYTES_MIN, wanted))
    return new StreamBlock(Buffer.from(outsideMemory(size)), this.offset)
  }
}
