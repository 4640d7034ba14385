/**
 * AofFormat: snapshots as the commands that make them, for the base of an append-only file that is no RDB file.
 *
 *     [FUNCTION LOAD …] | SELECT | SET, RPUSH, SADD, HMSET, HPEXPIREAT, ZADD, XADD …, PEXPIREAT | …
 *
 * Elements go 64 to a command. What a stream is beside its entries (counters, groups, pending entries) is put together
 * when its record begins and written behind the entries. What has no command is lost, as in Redis: seen and active times
 * of consumers, and what is pending of entries that are deleted. RDB files keep both. Source: Valkey 7.2 src/aof.c rewriteAppendOnlyFileRio.
 */
import { formatDouble } from '../bytes/double.ts'
import { writeInteger } from '../bytes/integer.ts'
import type { Database } from '../keyspace/database.ts'
import type { Arena, Ref } from '../storage/arena.ts'
import { NO_EXPIRE } from '../storage/expires.ts'
import { PACKED_HEADER_BYTES, PackedCursor, packedBytes } from '../storage/packed.ts'
import { HashDict } from '../structures/hash.ts'
import { intsetAt, intsetCount } from '../structures/intset.ts'
import { type Collection, isObjectKind, Kind } from '../structures/kind.ts'
import { PackedTimedHash, readTime } from '../structures/packed-timed-hash.ts'
import { entryScore } from '../structures/packed-zset.ts'
import { SetDict } from '../structures/set.ts'
import { SortedSet } from '../structures/sorted-set.ts'
import { Stream } from '../structures/stream.ts'
import { EntryFlag } from '../structures/stream-block.ts'
import type { StreamId } from '../structures/stream-id.ts'
import { stateCommands } from '../structures/stream-rebuild.ts'
import type { CollectionWalk, ElementSink } from '../structures/walk.ts'
import { deliver } from './deliver.ts'
import { LongStringRecord } from './long-string.ts'
import { RecordBuffer } from './rdb/record-buffer.ts'
import type { BigRecord, SnapshotFormat, SnapshotInfo } from './snapshot-format.ts'

/** Elements of one command. Valkey src/server.h AOF_REWRITE_ITEMS_PER_CMD. */
const ITEMS_PER_COMMAND = 64
const INTEGER_TEXT_BYTES = 17
const LISTPACK_HEADER_BYTES = 6
const ASTERISK = 0x2a
const DOLLAR = 0x24
const CARRIAGE_RETURN = 0x0d
const LINE_FEED = 0x0a
/** A mark, the digits of a count, and the end of the line. */
const COUNT_MAX_BYTES = 20
const FIRST_CAPACITY = 256

const DIGITS = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)

export class AofFormat implements SnapshotFormat {
  private readonly arena: Arena
  private readonly entry: PackedCursor

  constructor(arena: Arena) {
    this.arena = arena
    this.entry = new PackedCursor(arena)
  }

  header(out: RecordBuffer, info: SnapshotInfo): void {
    for (const source of info.functions) writeCommand(out, ['FUNCTION', 'LOAD', source])
  }

  database(out: RecordBuffer, index: number): void {
    writeCommand(out, ['SELECT', String(index)])
  }

  value(out: RecordBuffer, db: Database, row: number): void {
    const kind = db.kind(row)
    const key = keyOf(db, row)
    if (kind === Kind.StringBytes || kind === Kind.StringInteger) {
      writeHead(out, 3)
      writeBulkText(out, 'SET')
      writeBulk(out, key, 0, key.length)
      if (kind === Kind.StringInteger) writeBulkInteger(out, db.value(row))
      else writeBulkRef(out, this.arena, db.ref(row))
    } else if (isObjectKind(kind)) {
      const object = db.object(row)
      const elements = new AofElements(this.arena, key, commandOf(object), out)
      if (object instanceof PackedTimedHash) this.deliverTimed(object, elements)
      else deliver(object, this.arena, elements)
      elements.flush()
      if (object instanceof Stream) writeStreamState(out, object, key)
    } else {
      this.writeBlock(out, db.ref(row), kind, key)
    }
    writeExpireTime(out, db.expireTime(row), key)
  }

  big(out: RecordBuffer, db: Database, row: number): BigRecord {
    const key = keyOf(db, row)
    const tail = new RecordBuffer(FIRST_CAPACITY)
    if (!isObjectKind(db.kind(row))) {
      const ref = db.ref(row)
      writeHead(out, 3)
      writeBulkText(out, 'SET')
      writeBulk(out, key, 0, key.length)
      writeCount(out, DOLLAR, this.arena.length(ref))
      tail.rawText('\r\n')
      writeExpireTime(tail, db.expireTime(row), key)
      return new LongStringRecord(this.arena, ref, tail)
    }
    const object = db.object(row)
    if (object instanceof Stream) writeStreamState(tail, object, key)
    writeExpireTime(tail, db.expireTime(row), key)
    return new AofBigRecord(this.arena, object, key, tail)
  }

  footer(): void {
    // The end of the file is the end of the commands.
  }

  private deliverTimed(hash: PackedTimedHash, elements: AofElements): void {
    const { entry } = this
    const field = new PackedCursor(this.arena)
    entry.open(hash.ref)
    field.open(hash.ref)
    while (entry.advance()) {
      field.moveTo(entry.position)
      elements.pair(entry)
      elements.time(field, readTime(entry))
      elements.added(2)
    }
  }

  private writeBlock(out: RecordBuffer, ref: Ref, kind: number, key: Buffer): void {
    const arena = this.arena
    const entry = this.entry
    const elements = new AofElements(arena, key, commandOfKind(kind), out)
    if (kind === Kind.SetIntset) {
      for (let i = 0; i < intsetCount(arena, ref); i++) elements.integer(intsetAt(arena, ref, i))
    } else if (kind === Kind.HashPacked || kind === Kind.HashWide) {
      entry.open(ref)
      while (entry.advance()) {
        elements.pair(entry)
        elements.added(2)
      }
    } else if (kind === Kind.ZsetPacked) {
      const score = new PackedCursor(arena)
      entry.open(ref)
      score.open(ref)
      while (entry.advance()) {
        score.moveTo(entry.next)
        elements.scoredEntry(entry, entryScore(score))
        entry.advance()
      }
    } else {
      const start = arena.offset(ref) + PACKED_HEADER_BYTES
      elements.node(arena.segment(ref), start, start + packedBytes(arena, ref))
    }
    elements.flush()
  }
}

/** Gathers elements of one key to commands. */
class AofElements implements ElementSink {
  /** Where commands go that are complete. */
  out: RecordBuffer
  private readonly arena: Arena
  private readonly key: Buffer
  private readonly command: string
  /** Arguments behind the key of the command that is being gathered. */
  private readonly body = new RecordBuffer(FIRST_CAPACITY)
  private items = 0
  /** Commands that give fields among them their expire times. */
  private readonly times = new RecordBuffer(0)
  private readonly entry: PackedCursor

  constructor(arena: Arena, key: Buffer, command: string, out: RecordBuffer) {
    this.arena = arena
    this.key = key
    this.command = command
    this.out = out
    this.entry = new PackedCursor(arena)
  }

  field(field: Ref, value: Ref, time: number): void {
    writeBulkRef(this.body, this.arena, field)
    writeBulkRef(this.body, this.arena, value)
    if (time !== NO_EXPIRE) {
      this.beginTime(time)
      writeBulkRef(this.times, this.arena, field)
    }
    this.added(2)
  }

  member(member: Ref): void {
    writeBulkRef(this.body, this.arena, member)
    this.added(1)
  }

  scored(member: Ref, score: number): void {
    writeBulkText(this.body, formatDouble(score))
    writeBulkRef(this.body, this.arena, member)
    this.added(2)
  }

  node(buffer: Buffer, start: number, end: number): void {
    const entry = this.entry
    entry.openBytes(buffer, start, end)
    while (entry.advance()) {
      writeBulkEntry(this.body, entry)
      this.added(1)
    }
  }

  block(first: StreamId, buffer: Buffer, start: number, end: number): void {
    writeBlockEntries(this.out, this.key, first, buffer, start, end, this.entry)
  }

  /** A member of a set of integers. */
  integer(value: number): void {
    writeBulkInteger(this.body, value)
    this.added(1)
  }

  /** The field on which the cursor stands, and the value behind it; `added` follows. */
  pair(entry: PackedCursor): void {
    writeBulkEntry(this.body, entry)
    entry.advance()
    writeBulkEntry(this.body, entry)
  }

  /** The expire time of the field on which a cursor stands, which has been given to `pair`. */
  time(field: PackedCursor, time: number): void {
    if (time === NO_EXPIRE) return
    this.beginTime(time)
    writeBulkEntry(this.times, field)
  }

  /** The member on which the cursor stands. */
  scoredEntry(member: PackedCursor, score: number): void {
    writeBulkText(this.body, formatDouble(score))
    writeBulkEntry(this.body, member)
    this.added(2)
  }

  /** Writes the command that is being gathered. */
  flush(): void {
    if (this.items === 0) return
    writeHead(this.out, 2 + this.items)
    writeBulkText(this.out, this.command)
    writeBulk(this.out, this.key, 0, this.key.length)
    this.out.raw(this.body.bytes, 0, this.body.length)
    this.body.reset()
    this.items = 0
    this.out.append(this.times)
    this.times.reset()
  }

  private beginTime(time: number): void {
    writeHead(this.times, 6)
    writeBulkText(this.times, 'HPEXPIREAT')
    writeBulk(this.times, this.key, 0, this.key.length)
    writeBulkInteger(this.times, time)
    writeBulkText(this.times, 'FIELDS')
    writeBulkInteger(this.times, 1)
  }

  /** Counts the arguments of an element; they are the same for all elements of a kind. */
  added(count: number): void {
    this.items += count
    if (this.items === count * ITEMS_PER_COMMAND) this.flush()
  }
}

/** Writes a collection in steps, each of which ends with a complete command. */
class AofBigRecord implements BigRecord {
  private readonly elements: AofElements
  /** What came early, for the next step. */
  private readonly held = new RecordBuffer(FIRST_CAPACITY)
  private readonly early: AofElements
  /** What is written behind the elements. */
  private readonly tail: RecordBuffer
  private readonly walk: CollectionWalk

  constructor(arena: Arena, object: Collection, key: Buffer, tail: RecordBuffer) {
    this.elements = new AofElements(arena, key, commandOf(object), this.held)
    this.early = new AofElements(arena, key, commandOf(object), this.held)
    this.tail = tail
    this.walk = object.beginWalk(this.early)
  }

  get heldBytes(): number {
    return this.held.capacity + this.tail.capacity + this.walk.heldBytes
  }

  step(out: RecordBuffer, bytes: number): boolean {
    this.early.flush()
    const held = this.held.length
    out.append(this.held)
    this.held.reset()
    if (held >= bytes) return false
    this.elements.out = out
    const isWhole = this.walk.step(this.elements, bytes - held)
    this.elements.flush()
    if (isWhole) out.append(this.tail)
    return isWhole
  }

  keepRest(): void {
    // The walk is told of each change.
  }

  close(): void {
    this.walk.close()
  }
}

/** Writes an XADD for each entry of a block that is not deleted. The layout is described in stream-block.ts. */
function writeBlockEntries(
  out: RecordBuffer,
  key: Buffer,
  first: StreamId,
  buffer: Buffer,
  start: number,
  end: number,
  entry: PackedCursor,
): void {
  const masterMs = toBigInt(first.msHigh, first.msLow)
  const masterSeq = toBigInt(first.seqHigh, first.seqLow)
  const masterField = new PackedCursor(entry.arena)
  entry.openBytes(buffer, start + LISTPACK_HEADER_BYTES, end - 1)
  const entries = nextInteger(entry) + nextInteger(entry)
  const masterFields = nextInteger(entry)
  const fieldsAt = entry.next
  for (let i = 0; i <= masterFields; i++) entry.skip()
  for (let i = 0; i < entries; i++) {
    const flags = nextInteger(entry)
    entry.advance()
    const ms = BigInt.asUintN(64, masterMs + integerOf(entry))
    entry.advance()
    const seq = BigInt.asUintN(64, masterSeq + integerOf(entry))
    const hasMasterFields = (flags & EntryFlag.SameFields) !== 0
    const fields = hasMasterFields ? masterFields : nextInteger(entry)
    const isDeleted = (flags & EntryFlag.Deleted) !== 0
    if (!isDeleted) {
      writeHead(out, 3 + fields * 2)
      writeBulkText(out, 'XADD')
      writeBulk(out, key, 0, key.length)
      writeBulkText(out, `${ms}-${seq}`)
    }
    masterField.openBytes(buffer, fieldsAt, end - 1)
    for (let field = 0; field < fields; field++) {
      const name = hasMasterFields ? masterField : entry
      name.advance()
      if (!isDeleted) writeBulkEntry(out, name)
      entry.advance()
      if (!isDeleted) writeBulkEntry(out, entry)
    }
    // How many elements the entry has.
    entry.advance()
  }
}

function nextInteger(entry: PackedCursor): number {
  entry.advance()
  return entry.integer
}

/** The integer on which a cursor stands, exact to the last bit. */
function integerOf(entry: PackedCursor): bigint {
  return Number.isSafeInteger(entry.integer) ? BigInt(entry.integer) : entry.buffer.readBigInt64LE(entry.position + 1)
}

function toBigInt(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** The command that adds elements to a collection. */
function commandOf(object: Collection): string {
  if (object instanceof HashDict || object instanceof PackedTimedHash) return 'HMSET'
  if (object instanceof SetDict) return 'SADD'
  return object instanceof SortedSet ? 'ZADD' : 'RPUSH'
}

function commandOfKind(kind: number): string {
  if (kind === Kind.HashPacked || kind === Kind.HashWide) return 'HMSET'
  if (kind === Kind.SetIntset || kind === Kind.SetPacked) return 'SADD'
  return kind === Kind.ZsetPacked ? 'ZADD' : 'RPUSH'
}

/** A copy of the key's bytes: the row may be gone when they are needed. */
function keyOf(db: Database, row: number): Buffer {
  return Buffer.from(db.keyText(row), 'latin1')
}

function writeStreamState(out: RecordBuffer, stream: Stream, key: Buffer): void {
  for (const command of stateCommands(stream, key.toString('latin1'))) writeCommand(out, command)
}

function writeExpireTime(out: RecordBuffer, expireMs: number, key: Buffer): void {
  if (expireMs === NO_EXPIRE) return
  writeHead(out, 3)
  writeBulkText(out, 'PEXPIREAT')
  writeBulk(out, key, 0, key.length)
  writeBulkInteger(out, expireMs)
}

function writeCommand(out: RecordBuffer, words: readonly string[]): void {
  writeHead(out, words.length)
  for (const word of words) writeBulkText(out, word)
}

function writeHead(out: RecordBuffer, count: number): void {
  writeCount(out, ASTERISK, count)
}

function writeBulkText(out: RecordBuffer, text: string): void {
  writeCount(out, DOLLAR, text.length)
  out.rawText(text)
  writeLineEnd(out)
}

function writeBulkInteger(out: RecordBuffer, value: number): void {
  writeBulk(out, DIGITS, 0, writeInteger(DIGITS, 0, value))
}

function writeBulkRef(out: RecordBuffer, arena: Arena, ref: Ref): void {
  writeBulk(out, arena.segment(ref), arena.offset(ref), arena.length(ref))
}

function writeBulkEntry(out: RecordBuffer, entry: PackedCursor): void {
  if (!entry.isInteger) writeBulk(out, entry.buffer, entry.start, entry.length)
  else if (Number.isSafeInteger(entry.integer)) writeBulkInteger(out, entry.integer)
  else writeBulkText(out, String(integerOf(entry)))
}

function writeBulk(out: RecordBuffer, source: Buffer, start: number, length: number): void {
  writeCount(out, DOLLAR, length)
  out.raw(source, start, length)
  writeLineEnd(out)
}

function writeCount(out: RecordBuffer, mark: number, count: number): void {
  out.reserve(COUNT_MAX_BYTES)
  out.bytes[out.length] = mark
  out.length = writeInteger(out.bytes, out.length + 1, count)
  writeLineEnd(out)
}

function writeLineEnd(out: RecordBuffer): void {
  out.reserve(2)
  out.bytes[out.length++] = CARRIAGE_RETURN
  out.bytes[out.length++] = LINE_FEED
}
