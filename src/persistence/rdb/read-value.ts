/**
 * ValueReader: builds the value of a key from an RDB record, of any type, in the form in which the keyspace keeps it.
 * Hot path: strings and packed values.
 *
 *     for (let isWhole = reader.begin(type); !isWhole; isWhole = reader.step()) …
 *     … reader.kind, reader.value: the caller's …
 *
 * A packed value is checked and copied in one go. One that comes element by element is built in slices, so that the loop
 * is not held by a big one. Whatever goes wrong, what was built until then is freed. The encoding follows the limits of
 * the keyspace and not the file, as in Redis: a hash that was packed where it was written may be a table here.
 * Source: Valkey src/rdb.c `rdbLoadObject`.
 *
 * When you add a type: RdbType in format.ts, and `begin` here.
 */
import type { Keyspace } from '../../keyspace/keyspace.ts'
import { NO_REF, type Ref } from '../../storage/arena.ts'
import { HashView } from '../../structures/hash-view.ts'
import { type Collection, Kind } from '../../structures/kind.ts'
import { ListView } from '../../structures/list-view.ts'
import { TIMED_ENTRIES } from '../../structures/packed-timed-hash.ts'
import { SetView } from '../../structures/set-view.ts'
import { Stream } from '../../structures/stream.ts'
import { ZsetView } from '../../structures/zset-view.ts'
import { RdbType } from './format.ts'
import { RdbError } from './rdb-error.ts'
import type { RdbInput, RdbString } from './rdb-input.ts'
import {
  createList,
  FIELD_TIME_MAX,
  integrityProblem,
  readHash,
  readHashWithTimes,
  readList,
  readQuicklist,
  readSet,
  readZset,
  Step,
  type Steps,
  type TimedFields,
} from './read-collections.ts'
import { readIntset } from './read-intset.ts'
import { PackedRun, RunCursor } from './read-packed.ts'
import { clampToSafe, readStream } from './read-stream.ts'
import { PackedZsetReader } from './read-zset.ts'
import { readStreamExtras } from './stream-extras.ts'

/** Bytes of the source after which a big value pauses: 5 ms at most, for members of a sorted set. */
const SLICE_BYTES = 32 * 1024
/** What packed values are called when they are broken, as in Redis. */
const PACKED_NAMES: Readonly<Record<number, string>> = {
  [RdbType.HashZipmap]: 'Zipmap',
  [RdbType.ListZiplist]: 'List ziplist',
  [RdbType.SetIntset]: 'Intset',
  [RdbType.ZsetZiplist]: 'Zset ziplist',
  [RdbType.HashZiplist]: 'Hash ziplist',
  [RdbType.HashListpack]: 'Hash listpack',
  [RdbType.ZsetListpack]: 'Zset listpack',
  [RdbType.SetListpack]: 'Set listpack',
  [RdbType.HashListpackExPreRelease]: 'Hash listpack',
  [RdbType.HashListpackEx]: 'Hash listpack',
}
/** A time of a consumer. */
const TIME_BYTES = 8
/** Characters of a module's name are six bits each. */
const MODULE_NAME_CHARS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const MODULE_NAME_LENGTH = 9

export class ValueReader implements TimedFields {
  /** What the value is, see structures/kind.ts; Kind.None when it has no elements. */
  kind: number = Kind.None
  /** The value as it stands in the key index. */
  value = 0
  /** Fields of hashes read so far that have an expire time. */
  timedFields = 0
  private readonly keyspace: Keyspace
  private readonly input: RdbInput
  private readonly first: RdbString
  private readonly second: RdbString
  private readonly run = new PackedRun()
  private readonly cursor = new RunCursor()
  private readonly hash: HashView
  private readonly list: ListView
  private readonly set: SetView
  private readonly zset: ZsetView
  private readonly zsetReader = new PackedZsetReader()
  private stream: Stream | null = null
  private steps: Steps | null = null
  private stopAt = 0
  private type = 0

  constructor(keyspace: Keyspace, input: RdbInput) {
    this.keyspace = keyspace
    this.input = input
    this.first = input.newString()
    this.second = input.newString()
    this.hash = new HashView(keyspace.arena, keyspace.seed)
    this.list = new ListView(keyspace.arena)
    this.set = new SetView(keyspace.arena, keyspace.seed)
    this.zset = new ZsetView(keyspace.arena, keyspace.seed)
  }

  /** Begins to read a value. Returns whether it is whole; else `step` goes on. @throws RdbError */
  begin(type: number): boolean {
    if (type === RdbType.String) {
      this.readString()
      return true
    }
    this.type = type
    try {
      this.stopAt = this.input.offset + SLICE_BYTES
      this.steps = this.stepsOf(type)
      if (this.steps !== null) return this.step()
      this.readBlob(type)
      this.finish()
      return true
    } catch (error) {
      this.abort()
      throw error
    }
  }

  /** Reads on. Returns whether the value is whole. @throws RdbError */
  step(): boolean {
    try {
      this.stopAt = this.input.offset + SLICE_BYTES
      for (;;) {
        const { done, value } = this.steps!.next()
        if (done === true) break
        if (value === Step.Long || this.input.offset >= this.stopAt) return false
      }
      this.finish()
      return true
    } catch (error) {
      this.abort()
      throw error
    }
  }

  /** Frees the value that was read last. */
  drop(): void {
    this.keyspace.freeDetached(this.kind, this.value)
  }

  /** Gives the consumers of the stream that was read last their active times. Returns what is wrong with them, or null. */
  setActiveTimes(times: Buffer): string | null {
    const stream = this.kind === Kind.Stream ? this.keyspace.object(this.value) : null
    if (!(stream instanceof Stream)) return 'Expected a stream behind active times of consumers'
    const consumers = stream.groups.flatMap((group) => group.consumers)
    if (consumers.length * TIME_BYTES !== times.length) return `Expected ${consumers.length} active times of consumers`
    consumers.forEach((consumer, i) => {
      consumer.activeTime = clampToSafe(Number(times.readBigInt64LE(i * TIME_BYTES)))
    })
    return null
  }

  /** Gives the stream that was read last what a type of streams has no place for. Returns what is wrong, or null. */
  setStreamExtras(content: Buffer): string | null {
    const stream = this.kind === Kind.Stream ? this.keyspace.object(this.value) : null
    if (!(stream instanceof Stream)) return 'Expected a stream behind what a stream has beside its record'
    return readStreamExtras(stream, content, this.keyspace.seed)
  }

  /** Frees what was built of a value that is not whole. */
  abort(): void {
    this.hash.free()
    this.list.free()
    this.set.free()
    this.zset.free()
    this.stream?.free()
    this.stream = null
    this.steps = null
    this.release()
  }

  private readString(): void {
    const ref = this.input.stringBlock(this.keyspace.arena)
    if (ref === NO_REF) {
      this.kind = Kind.StringInteger
      this.value = this.input.integer
    } else {
      this.kind = Kind.StringBytes
      this.value = ref
    }
  }

  /** The reading of a value that comes element by element; null for one that comes as one string. */
  private stepsOf(type: number): Steps | null {
    const { input, first, second, run } = this
    const { limits } = this.keyspace
    switch (type) {
      case RdbType.List:
        return readList(input, first, this.list, limits)
      case RdbType.ListQuicklist:
      case RdbType.ListQuicklist2:
        return readQuicklist(input, first, run, this.list, limits, type)
      case RdbType.Set:
        return readSet(input, first, this.set, limits)
      case RdbType.Zset:
      case RdbType.Zset2:
        return readZset(input, first, this.zset, limits, type)
      case RdbType.Hash:
        return readHash(input, first, second, this.hash, limits)
      case RdbType.HashMetadata:
      case RdbType.HashMetadataPreRelease:
        return readHashWithTimes(input, first, second, this.hash, limits, type, this)
      case RdbType.StreamListpacks:
      case RdbType.StreamListpacks2:
      case RdbType.StreamListpacks3:
        this.stream = new Stream(this.keyspace.arena)
        return readStream(input, first, this.stream, type)
      default:
        return null
    }
  }

  /** Reads a value that comes as one string. */
  private readBlob(type: number): void {
    const { input, first, run } = this
    switch (type) {
      case RdbType.HashZipmap:
        input.string(first)
        this.check(run.zipmap(first.buffer, first.start, first.length))
        this.checkPairs()
        // Redis looks at the lengths of these alone: they come from a time with other limits.
        this.takeHash(run, run.longest)
        break
      case RdbType.HashZiplist:
        this.readZiplist()
        this.takePairs()
        break
      case RdbType.HashListpack:
        this.readListpack()
        this.takePairs()
        break
      case RdbType.HashListpackEx:
        input.int64()
        this.readListpack()
        this.takeHashEx()
        break
      case RdbType.HashListpackExPreRelease:
        this.readListpack()
        this.takeHashEx()
        break
      case RdbType.ZsetZiplist:
        this.readZiplist()
        this.takeZset()
        break
      case RdbType.ZsetListpack:
        this.readListpack()
        this.takeZset()
        break
      case RdbType.SetListpack:
        this.readListpack()
        this.takeSet()
        break
      case RdbType.SetIntset:
        input.string(first)
        this.check(readIntset(first, this.set, this.keyspace.limits))
        break
      case RdbType.ListZiplist:
        this.readZiplist()
        this.takeList()
        break
      case RdbType.Module:
      case RdbType.Module2:
        throw input.error(`Expected no value of a module, found one of '${readModuleName(input)}'`)
      default:
        throw input.error(`Expected the type of a value, found ${type}`)
    }
  }

  private readListpack(): void {
    const { input, first, run } = this
    input.string(first)
    this.check(run.listpack(first.buffer, first.start, first.length))
  }

  private readZiplist(): void {
    const { input, first, run } = this
    input.string(first)
    this.check(run.ziplist(first.buffer, first.start, first.length))
  }

  private takePairs(): void {
    this.checkPairs()
    this.takeHash(this.run, 0)
  }

  /** Makes a hash of fields and values, of which the longest has so many bytes. */
  private takeHash(run: PackedRun, longest: number): void {
    const { hash } = this
    const { limits } = this.keyspace
    if (run.count === 0) return
    hash.openPacked(run.toBlock(hash.arena), Kind.HashPacked)
    const pairs = run.count >>> 1
    if (longest > limits.hashMaxListpackValue)
      hash.expect(Math.max(pairs, limits.hashMaxListpackEntries + 1), 0, limits)
    else if (pairs > limits.hashMaxListpackEntries) hash.expect(pairs, 0, limits)
  }

  /** Makes a hash of the fields, values and expire times of the run. */
  private takeHashEx(): void {
    const { run, hash } = this
    const cursor = this.cursor
    const { limits, seed } = this.keyspace
    if (run.count % TIMED_ENTRIES !== 0 || run.hasDuplicates(TIMED_ENTRIES, seed)) {
      throw this.problem('expected fields with values and expire times, no listpack with dup elements')
    }
    if (run.count === 0) return
    cursor.open(run)
    while (cursor.advance()) {
      cursor.advance()
      cursor.advance()
      const isTime = cursor.isInteger && cursor.integer >= 0 && cursor.integer <= FIELD_TIME_MAX
      if (!isTime) throw this.problem('expected the expire time of a field')
      if (cursor.integer !== 0) this.timedFields++
    }
    hash.createTimed(run.toBlock(hash.arena))
    const fields = run.count / TIMED_ENTRIES
    if (fields > limits.hashMaxListpackEntries) hash.expect(fields, 0, limits)
  }

  private takeSet(): void {
    const { run, set } = this
    const { limits, seed } = this.keyspace
    if (run.hasDuplicates(1, seed)) throw this.problem('expected no listpack with dup elements')
    if (run.count === 0) return
    set.openBlock(Kind.SetPacked, run.toBlock(set.arena))
    set.expect(run.count, limits)
  }

  private takeZset(): void {
    const { run, zset } = this
    this.checkPairs()
    if (run.count === 0) return
    if (!this.zsetReader.read(run, zset, this.keyspace.limits)) throw this.problem('expected members with scores')
  }

  private takeList(): void {
    const { run, list } = this
    if (run.count === 0) return
    createList(list, this.keyspace.limits)
    list.big!.appendNode(run.buffer, run.start, run.end - run.start, run.count)
    list.built()
  }

  private checkPairs(): void {
    const { run } = this
    if (run.count % 2 !== 0) throw this.problem(`expected pairs, found ${run.count} entries`)
    if (run.hasDuplicates(2, this.keyspace.seed)) throw this.problem('expected no listpack with dup elements')
  }

  private check(problem: string | null): void {
    if (problem !== null) throw this.problem(problem)
  }

  /** An error about the packed value that was read last. */
  private problem(text: string): RdbError {
    return new RdbError(integrityProblem(PACKED_NAMES[this.type] ?? 'Value', text), this.first.offset)
  }

  /** Takes the value from the view that holds it. */
  private finish(): void {
    const { hash, list, set, zset, stream } = this
    this.kind = Kind.None
    this.value = 0
    if (hash.kind !== Kind.None) this.take(hash.kind, hash.ref, hash.object())
    else if (list.kind !== Kind.None) this.take(list.kind, list.ref, list.big)
    else if (set.kind !== Kind.None) this.take(set.kind, set.ref, set.dict)
    else if (zset.kind !== Kind.None) this.take(zset.kind, zset.ref, zset.big)
    else if (stream !== null) this.take(Kind.Stream, NO_REF, stream)
    hash.openNone()
    list.openNone()
    set.openNone()
    zset.openNone()
    this.stream = null
    this.steps = null
    this.release()
  }

  private take(kind: number, ref: Ref, object: Collection | null): void {
    this.kind = kind
    this.value = object === null ? ref : this.keyspace.addObject(object)
  }

  private release(): void {
    this.first.release()
    this.second.release()
    this.run.release()
  }
}

/** The name in a module's ID. */
export function readModuleName(input: RdbInput): string {
  input.words()
  const id = (BigInt(input.high >>> 0) << 32n) | BigInt(input.low >>> 0)
  let name = ''
  for (let i = 0; i < MODULE_NAME_LENGTH; i++) {
    name += MODULE_NAME_CHARS[Number((id >> BigInt(58 - i * 6)) & 63n)]
  }
  return name
}
