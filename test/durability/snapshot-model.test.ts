/**
 * The walk of a snapshot over databases of a few keys, with every kind of change of a key between any two of its steps:
 * the file holds each key once, as it was. Runs are made up, and made small when they fail, by fast-check.
 */
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Files } from '../../src/files/files.ts'
import type { Database } from '../../src/keyspace/database.ts'
import { Keyspace } from '../../src/keyspace/keyspace.ts'
import { RdbFormat } from '../../src/persistence/rdb/rdb-format.ts'
import { RdbItem, RdbReader } from '../../src/persistence/rdb/rdb-reader.ts'
import { MemorySource } from '../../src/persistence/rdb/rdb-source.ts'
import { Snapshots } from '../../src/persistence/snapshot/snapshot.ts'
import { NO_ROW } from '../../src/storage/dict.ts'
import { NO_EXPIRE } from '../../src/storage/expires.ts'
import { HashDict } from '../../src/structures/hash.ts'
import { Kind } from '../../src/structures/kind.ts'

const RUNS = 150
const DATABASES = 3
const KEYS = 12
/** Enough that a hash is written in pieces. */
const FIELDS = 300
/** After each key the walk waits, so that it takes a step for each. */
const KEY_DELAY_US = 1000
const STEPS_MAX = 1000
const RDB_VERSION = 10
const SEED = 7

/** A file in memory. */
class MemoryFile extends Files {
  private readonly parts: Buffer[] = []

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  override open(): number {
    return 0
  }

  override write(_fd: number, buffer: Buffer, start: number, length: number): number {
    this.parts.push(Buffer.from(buffer.subarray(start, start + length)))
    return length
  }

  override sync(): void {}
  override close(): void {}
  override remove(): void {}
}

type Change =
  | { readonly type: 'set' | 'remove' | 'hash' | 'field'; readonly db: number; readonly key: number }
  | {
      readonly type: 'rename'
      readonly db: number
      readonly key: number
      readonly toDb: number
      readonly toKey: number
    }
  | { readonly type: 'expire'; readonly db: number; readonly key: number; readonly ms: number }
  | { readonly type: 'swap'; readonly db: number; readonly toDb: number }
  | { readonly type: 'clear'; readonly db: number }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'step' }

const db = fc.nat(DATABASES - 1)
const key = fc.nat(KEYS - 1)
const ms = fc.nat(20)
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({ type: fc.constantFrom('set', 'set', 'remove', 'remove', 'hash', 'field'), db, key }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('rename'), db, key, toDb: db, toKey: key }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('expire'), db, key, ms }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('swap'), db, toDb: db }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('clear'), db }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pass'), ms }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('step') }) },
)
/** Most keys are there, in an order of their own. */
const beginning: fc.Arbitrary<Change[]> = fc.array(
  fc.record({ type: fc.constantFrom('set', 'set', 'set', 'hash'), db, key }),
  { minLength: 20, maxLength: 50 },
)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** Makes changes as commands do: whatever row changes is announced before. */
class Changer {
  private readonly keyspace: Keyspace
  private count = 0

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace
  }

  apply(made: Change): void {
    const { keyspace } = this
    switch (made.type) {
      case 'set':
        this.set(this.database(made.db), name(made.key))
        break
      case 'remove':
        this.remove(this.database(made.db), name(made.key))
        break
      case 'hash':
        this.hash(this.database(made.db), name(made.key))
        break
      case 'field':
        this.field(this.database(made.db), name(made.key))
        break
      case 'rename':
        this.rename(this.database(made.db), name(made.key), this.database(made.toDb), name(made.toKey))
        break
      case 'expire': {
        const owner = this.database(made.db)
        const row = owner.findText(name(made.key))
        if (row === NO_ROW) break
        owner.aboutToChange(row)
        owner.setExpire(row, keyspace.now + made.ms)
        break
      }
      case 'swap':
        if (made.db !== made.toDb) this.database(made.db).swapContents(this.database(made.toDb))
        break
      case 'clear':
        this.database(made.db).clear()
        break
      case 'pass':
        keyspace.now += made.ms
        for (const owner of keyspace.databases) owner.expireDue(KEYS)
        break
      case 'step':
        vi.advanceTimersByTime(1)
    }
  }

  private database(index: number): Database {
    return this.keyspace.databases[index]!
  }

  private set(owner: Database, text: string): void {
    const row = owner.findText(text)
    if (row === NO_ROW) owner.addText(text, Kind.StringInteger, ++this.count)
    else owner.replaceValue(row, Kind.StringInteger, ++this.count)
  }

  private remove(owner: Database, text: string): void {
    const row = owner.findText(text)
    if (row !== NO_ROW) owner.remove(row)
  }

  private hash(owner: Database, text: string): void {
    this.remove(owner, text)
    const hash = new HashDict(owner.arena, SEED)
    for (let i = 0; i < FIELDS; i++) setField(hash, `f${i}`, `${++this.count}`)
    owner.addText(text, Kind.HashDict, this.keyspace.addObject(hash))
  }

  private field(owner: Database, text: string): void {
    const row = owner.findText(text)
    if (row === NO_ROW) return
    owner.aboutToChange(row)
    const hash = owner.kind(row) === Kind.HashDict ? owner.object(row) : null
    if (!(hash instanceof HashDict)) return
    setField(hash, `f${this.count % FIELDS}`, `changed ${++this.count}`)
    hash.removeRow(this.count % hash.size)
  }

  private rename(from: Database, text: string, to: Database, toText: string): void {
    if (from === to && text === toText) return
    if (from.findText(text) === NO_ROW) return
    this.remove(to, toText)
    const row = from.findText(text)
    const [kind, value, time] = [from.kind(row), from.value(row), from.expireTime(row)]
    from.removeKeepingValue(row)
    const added = to.addText(toText, kind, value)
    if (time !== NO_EXPIRE) to.setExpire(added, time)
  }
}

function name(n: number): string {
  return `key ${n}`
}

function setField(hash: HashDict, field: string, value: string): void {
  hash.set(Buffer.from(field), 0, field.length, Buffer.from(value), 0, value.length)
}

function valueText(keyspace: Keyspace, kind: number, value: number): string {
  if (kind === Kind.StringInteger) return String(value)
  const hash = keyspace.object(value)
  if (!(hash instanceof HashDict)) throw new Error('There are no other kinds')
  const { arena } = keyspace
  const fields = Array.from(
    { length: hash.size },
    (_, i) => `${arena.text(hash.fieldRef(i))}=${arena.text(hash.valueRef(i))}`,
  )
  return fields.sort().join()
}

/** All keys by database, each as `key value expire time`, in order. */
function contentOf(keyspace: Keyspace): string[] {
  return keyspace.databases
    .flatMap((owner) =>
      Array.from({ length: owner.size }, (_, row) => {
        const text = valueText(keyspace, owner.kind(row), owner.value(row))
        return `${owner.index} ${owner.keyText(row)} ${text} ${owner.expireTime(row)}`
      }),
    )
    .sort()
}

/** The same of a file. */
function contentOfFile(bytes: Buffer): string[] {
  const keyspace = new Keyspace(DATABASES, SEED)
  keyspace.limits.hashMaxListpackEntries = 0
  const reader = new RdbReader(keyspace, new MemorySource(bytes), { checksums: true })
  const content: string[] = []
  for (let item = reader.next(); item !== RdbItem.End; item = reader.next()) {
    if (item !== RdbItem.Key) continue
    const text = reader.keyBuffer.latin1Slice(reader.keyStart, reader.keyStart + reader.keyLength)
    content.push(`${reader.dbIndex} ${text} ${valueText(keyspace, reader.kind, reader.value)} ${reader.expireMs}`)
  }
  return content.sort()
}

function expectAccounted(keyspace: Keyspace): void {
  const { liveBytes, liveBlocks } = keyspace.arena
  expect(keyspace.account()).toEqual({ bytes: liveBytes, blocks: liveBlocks })
}

test('a snapshot holds each key once, as it was, whatever changes between its steps', { timeout: 30_000 }, () => {
  let snapshotsUnderChanges = 0
  fc.assert(
    fc.property(beginning, fc.array(change, { maxLength: 60 }), fc.boolean(), (before, meanwhile, isAborted) => {
      const keyspace = new Keyspace(DATABASES, SEED)
      keyspace.now = 1000
      const changer = new Changer(keyspace)
      for (const made of before) changer.apply(made)
      const expected = contentOf(keyspace)
      const file = new MemoryFile()
      const snapshots = new Snapshots(keyspace, file)
      const ended: (Error | null)[] = []
      snapshots.begin({
        format: new RdbFormat(keyspace.arena, RDB_VERSION),
        info: { nowMs: keyspace.now, usedMemory: 0, isAofBase: false, hasFieldTimes: false, functions: [] },
        path: 'in memory',
        compresses: true,
        checksums: true,
        syncsPieces: false,
        keyDelayUs: KEY_DELAY_US,
        done: (error) => void ended.push(error),
      })
      for (const made of meanwhile) changer.apply(made)
      if (snapshots.isActive) snapshotsUnderChanges++
      if (isAborted) snapshots.abort()
      for (let steps = 0; (snapshots.isActive || keyspace.walk !== null) && steps < STEPS_MAX; steps++)
        vi.advanceTimersByTime(1)
      expect(keyspace.walk).toBeNull()
      expect(keyspace.databases.every(({ marks }) => marks === null)).toBe(true)
      expectAccounted(keyspace)
      if (ended[0] === null) expect(contentOfFile(file.bytes)).toEqual(expected)
      else expect(isAborted).toBe(true)
      expect(ended).toHaveLength(1)
      for (const owner of keyspace.databases) owner.clear()
      keyspace.lazyFree.freeUntil(Number.POSITIVE_INFINITY)
      expect(keyspace.arena.liveBlocks).toBe(0)
    }),
    { numRuns: RUNS },
  )
  expect(snapshotsUnderChanges).toBeGreaterThan(RUNS / 4)
})
