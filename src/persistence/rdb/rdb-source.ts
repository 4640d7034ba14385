/** Where an RDB reader takes its bytes from, in order. */
import { readSync } from 'node:fs'

export interface ByteSource {
  /** Bytes there are in all; no length that is read may go beyond. */
  readonly size: number
  /** Puts up to `length` of the following bytes at `at`. Returns how many; 0 at the end. @throws system errors */
  read(target: Buffer, at: number, length: number): number
}

/** A file that is open for reading, from a position on. The descriptor stays the caller's to close. */
export class FileSource implements ByteSource {
  readonly size: number
  private readonly fd: number
  private position: number

  /** @param start where the RDB begins in the file. @param end where the file ends, in bytes. */
  constructor(fd: number, start: number, end: number) {
    this.fd = fd
    this.position = start
    this.size = end - start
  }

  read(target: Buffer, at: number, length: number): number {
    const bytes = readSync(this.fd, target, at, length, this.position)
    this.position += bytes
    return bytes
  }
}

/** Bytes in memory. */
export class MemorySource implements ByteSource {
  readonly size: number
  private readonly bytes: Buffer
  private position = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.size = bytes.length
  }

  read(target: Buffer, at: number, length: number): number {
    const bytes = this.bytes.copy(target, at, this.position, this.position + length)
    this.position += bytes
    return bytes
  }
}
