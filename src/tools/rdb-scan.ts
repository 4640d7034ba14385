/**
 * Reads an RDB file as a server does when it starts, value by value into a keyspace of its own that holds one value at a
 * time. So what is said to be right is what a server can load.
 */
import { valueBytes } from '../commands/server/memory.ts'
import { Keyspace } from '../keyspace/keyspace.ts'
import { RdbItem, RdbReader } from '../persistence/rdb/rdb-reader.ts'
import { FileSource } from '../persistence/rdb/rdb-source.ts'
import type { DataFile } from './data-file.ts'

/** Nothing is ever looked up in this keyspace, so nobody can make its hash tables slow. */
const HASH_SEED = 0x6d696c6c

/** Told about each item of a file; it may look at a key's value during the call only. */
export type RdbVisitor = (item: RdbItem, reader: RdbReader, keyspace: Keyspace) => void

export class RdbScan {
  /** Where reading has come to, in bytes; also after an error. */
  readonly reader: RdbReader
  private readonly keyspace: Keyspace = new Keyspace(1, HASH_SEED)
  private readonly visit: RdbVisitor

  constructor({ fd, size }: DataFile, visit: RdbVisitor) {
    this.reader = new RdbReader(this.keyspace, new FileSource(fd, 0, size), { checksums: true })
    this.visit = visit
  }

  /** Reads all of it. Returns the offset behind its end. @throws RdbError */
  run(): number {
    const { reader, keyspace } = this
    try {
      for (;;) {
        const item = reader.next()
        if (item === RdbItem.BigInProgress) continue
        this.visit(item, reader, keyspace)
        if (item === RdbItem.Key) keyspace.freeDetached(reader.kind, reader.value)
        if (item === RdbItem.End) return reader.bytesRead
      }
    } finally {
      reader.close()
    }
  }
}

/** Bytes that the value of the key just read takes in memory. */
export function valueMemory(reader: RdbReader, keyspace: Keyspace): number {
  return valueBytes(keyspace, reader.kind, reader.value)
}
