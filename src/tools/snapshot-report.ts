/** What is in an RDB snapshot: keys, bytes and memory by type, database, lifetime and prefix; the biggest values. */
import { integerLength } from '../bytes/integer.ts'
import { stringEncoding } from '../commands/generic/object.ts'
import { keyBytes } from '../commands/server/memory.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { RdbItem, type RdbReader } from '../persistence/rdb/rdb-reader.ts'
import { packedCount } from '../storage/packed.ts'
import { HashDict } from '../structures/hash.ts'
import { intsetCount } from '../structures/intset.ts'
import { ENCODING_OF_KIND, isObjectKind, Kind, TYPE_OF_KIND } from '../structures/kind.ts'
import { ListBig } from '../structures/list.ts'
import { packedHashSize } from '../structures/packed-hash.ts'
import { PackedTimedHash } from '../structures/packed-timed-hash.ts'
import { packedZsetSize } from '../structures/packed-zset.ts'
import { SetDict } from '../structures/set.ts'
import { SortedSet } from '../structures/sorted-set.ts'
import { Stream } from '../structures/stream.ts'
import type { DataFile } from './data-file.ts'
import { keyPrefix } from './key-prefix.ts'
import { RdbScan, valueMemory } from './rdb-scan.ts'
import { type Amount, Tally, type TallyResult } from './tally.ts'
import { TopList } from './top-list.ts'

/** Information fields that are kept of a file; Redis writes seven. */
const AUX_FIELDS_MAX = 50
/** Bytes that are kept of a key that is among the biggest. */
const KEY_BYTES_MAX = 1024
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Classes of lifetime, each up to a time left in ms, in ascending order. */
const LIFETIMES: readonly (readonly [label: string, upToMs: number])[] = [
  ['over', 0],
  ['up to a minute', MINUTE_MS],
  ['up to an hour', HOUR_MS],
  ['up to a day', DAY_MS],
  ['up to a week', 7 * DAY_MS],
  ['up to 30 days', 30 * DAY_MS],
  ['longer', Number.POSITIVE_INFINITY],
]
const NO_LIFETIME = 'none'

export interface ReportOptions {
  /** How many separators a prefix has at most. */
  readonly depth: number
  /** Rows of each list. */
  readonly limit: number
  /** The time from which lifetimes count, in ms. */
  readonly nowMs: number
}

export interface BigValue {
  readonly db: number
  /** A byte string, cut to KEY_BYTES_MAX. */
  readonly key: string
  readonly type: string
  readonly encoding: string
  /** Elements of a collection, entries of a stream, bytes of a string. */
  readonly length: number
  readonly bytes: number
  readonly memory: number
  /** In ms, -1 without. */
  readonly expireMs: number
}

export interface SnapshotReport {
  readonly version: number
  /** Name and value of each information field, byte strings. */
  readonly aux: readonly (readonly [name: string, value: string])[]
  readonly functionLibraries: number
  /** All keys. Bytes are those of their records in the file. */
  readonly total: Amount
  readonly databases: TallyResult
  /** Names are `type encoding`. */
  readonly types: TallyResult
  /** In the order of lifetimes. */
  readonly lifetimes: readonly (Amount & { readonly name: string })[]
  readonly prefixes: TallyResult
  readonly biggest: readonly BigValue[]
}

/** Reads a snapshot. Returns what is in it, and the offset behind it. @throws RdbError */
export function reportSnapshot(file: DataFile, options: ReportOptions): { report: SnapshotReport; end: number } {
  const collector = new Collector(options)
  const scan = new RdbScan(file, (item, reader, keyspace) => collector.take(item, reader, keyspace))
  const end = scan.run()
  return { report: collector.result(scan.reader.version), end }
}

class Collector {
  private readonly options: ReportOptions
  private readonly aux: (readonly [string, string])[] = []
  private functionLibraries = 0
  private readonly total: Amount = { count: 0, bytes: 0, memory: 0 }
  private readonly databases = new Tally()
  private readonly types = new Tally()
  private readonly lifetimes = new Tally()
  private readonly prefixes = new Tally()
  private readonly biggest: TopList<BigValue>

  constructor(options: ReportOptions) {
    this.options = options
    this.biggest = new TopList(options.limit)
  }

  take(item: RdbItem, reader: RdbReader, keyspace: Keyspace): void {
    if (item === RdbItem.Key) this.takeKey(reader, keyspace)
    else if (item === RdbItem.Function) this.functionLibraries++
    else if (item === RdbItem.Aux && this.aux.length < AUX_FIELDS_MAX) this.aux.push([reader.auxName, reader.auxValue])
  }

  private takeKey(reader: RdbReader, keyspace: Keyspace): void {
    const { keyBuffer, keyStart, keyLength, kind, expireMs } = reader
    const bytes = reader.recordEnd - reader.recordStart
    const memory = keyBytes(capacityOf(keyspace, keyLength), expireMs) + valueMemory(reader, keyspace)
    const type = TYPE_OF_KIND[kind]!
    const encoding = kind === Kind.StringBytes ? stringEncoding(keyspace.arena, reader.value) : ENCODING_OF_KIND[kind]!
    this.total.count++
    this.total.bytes += bytes
    this.total.memory += memory
    this.databases.add(String(reader.dbIndex), bytes, memory)
    this.types.add(`${type} ${encoding}`, bytes, memory)
    this.lifetimes.add(this.lifetime(expireMs), bytes, memory)
    this.prefixes.add(keyPrefix(keyBuffer, keyStart, keyLength, this.options.depth), bytes, memory)
    if (!this.biggest.takes(memory)) return
    const key = keyBuffer.latin1Slice(keyStart, keyStart + Math.min(keyLength, KEY_BYTES_MAX))
    const length = lengthOf(keyspace, kind, reader.value)
    this.biggest.add(memory, { db: reader.dbIndex, key, type, encoding, length, bytes, memory, expireMs })
  }

  private lifetime(expireMs: number): string {
    if (expireMs < 0) return NO_LIFETIME
    const left = expireMs - this.options.nowMs
    return LIFETIMES.find(([, upToMs]) => left <= upToMs)![0]
  }

  result(version: number): SnapshotReport {
    const { limit } = this.options
    const order = [...LIFETIMES.map(([label]) => label), NO_LIFETIME]
    const lifetimes = this.lifetimes.result(order.length).top
    return {
      version,
      aux: this.aux,
      functionLibraries: this.functionLibraries,
      total: this.total,
      databases: this.databases.result(limit),
      types: this.types.result(Number.POSITIVE_INFINITY),
      lifetimes: lifetimes.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
      prefixes: this.prefixes.result(limit),
      biggest: this.biggest.items,
    }
  }
}

/** What a block for so many bytes takes. */
function capacityOf({ arena }: Keyspace, length: number): number {
  const ref = arena.alloc(length)
  const capacity = arena.capacity(ref)
  arena.free(ref)
  return capacity
}

/** Elements of a collection, entries of a stream, bytes of a string. */
function lengthOf(keyspace: Keyspace, kind: number, value: number): number {
  const { arena } = keyspace
  if (isObjectKind(kind)) {
    const object = keyspace.object(value)
    if (object instanceof ListBig || object instanceof Stream) return object.length
    if (object instanceof PackedTimedHash) return object.size
    if (object instanceof HashDict || object instanceof SetDict || object instanceof SortedSet) return object.size
  }
  switch (kind) {
    case Kind.StringInteger:
      return integerLength(value)
    case Kind.StringBytes:
      return arena.length(value)
    case Kind.HashPacked:
    case Kind.HashWide:
      return packedHashSize(arena, value)
    case Kind.ZsetPacked:
      return packedZsetSize(arena, value)
    case Kind.SetIntset:
      return intsetCount(arena, value)
    default:
      return packedCount(arena, value)
  }
}
