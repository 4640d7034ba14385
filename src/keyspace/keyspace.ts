/**
 * The keyspace: all databases, and the one place where a change of a key is announced. Hot path.
 *
 * Every change of a key calls `touched` once; WATCH, blocked clients and client-side caching hang on it. Deletions by
 * expiry are told to `onExpired`, so that the journal can record them.
 */
import { Arena, NO_REF } from '../storage/arena.ts'
import { type Collection, isObjectKind, Kind } from '../structures/kind.ts'
import { AccessClock, AccessKind } from './access.ts'
import { Database } from './database.ts'
import { LazyFree } from './lazy-free.ts'
import { Limits } from './limits.ts'

/** A client that watches keys (WATCH). `isDirty` is set when one of them changed. */
export interface Watcher {
  watchDirty: boolean
}

/**
 * A snapshot under way. Before a key or its value changes that it has not written (Database.aboutToChange), it writes
 * it, so that its file shows one moment.
 */
export interface KeyspaceWalk {
  /** The key of a row that is not done, or its value, is about to change. Marks the row as done. */
  beforeChange(db: Database, row: number): void
  /** Whether the walk frees a collection that nobody else needs any more, because it is in the midst of it. */
  takes(object: Collection): boolean
  /** Takes over all keys of a database that was cleared. */
  detached(db: Database): void
  /** Bytes of what only the walk holds, about. */
  readonly ownedBytes: number
  /** Arena bytes and blocks of what only the walk holds. */
  account(): { bytes: number; blocks: number }
}

/** Is told of all that changes (client-side caching). */
export interface ChangeListener {
  /** The running command has changed the key `source[start, start + length)`. */
  keyChanged(source: Buffer, start: number, length: number): void
  /** The server has removed the key: its time was over, or memory was short. */
  keyLost(source: Buffer, start: number, length: number): void
  /** Any key may have changed: a database was emptied or exchanged. */
  allChanged(): void
}

/** What owns memory besides the databases. */
export interface MemoryOwner {
  /** Blocks of the arena. */
  account(): { bytes: number; blocks: number }
  /** Bytes outside the arena's segments. */
  overheadBytes(): number
}

/** A key that changed while a client was blocked on it. */
export interface ReadyKey {
  readonly db: Database
  readonly key: string
}

/** Counters that INFO reports. */
export class KeyspaceStats {
  hits = 0
  misses = 0
  expired = 0
  /** Fields of hashes. */
  expiredFields = 0
  /** Changes since the last snapshot; also what `dirty` counts. */
  changes = 0
}

export class Keyspace {
  readonly arena: Arena = new Arena()
  readonly databases: Database[] = []
  readonly stats = new KeyspaceStats()
  /** How the use of keys is remembered. */
  readonly access = new AccessClock()
  /** Settings that structures need. */
  readonly limits = new Limits()
  /** Current time in ms; set once per loop turn and before timers run, never read from the system in handlers. */
  now = 0
  /** Whether lookups find keys whose time is over: those of a primary, which says itself when they are gone. */
  findsExpired: boolean = false
  /** Whether a primary decides when keys are gone: those whose time is over are hidden here, and stay. */
  isFollowing: boolean = false
  /** Keys that changed while somebody was blocked on them, in order. */
  readonly readyKeys: ReadyKey[] = []
  /** Whether the active expire cycle runs (DEBUG SET-ACTIVE-EXPIRE). */
  activeExpire: boolean = true
  /** Whether values and files are taken whose checksum is wrong (DEBUG SET-SKIP-CHECKSUM-VALIDATION). */
  skipsChecksums: boolean = false
  /** Whether keys that lookups meet expired are removed; not while CLIENT PAUSE keeps the data as they are. */
  removesMetExpired: boolean = true
  /** Whether reading commands renew access times; not those of a client with CLIENT NO-TOUCH. */
  renewsAccess: boolean = true
  /** The snapshot that is under way, null when there is none. */
  walk: KeyspaceWalk | null = null
  /** Null while nobody wants to know. */
  changeListener: ChangeListener | null = null
  /** Values that are freed between turns. */
  readonly lazyFree = new LazyFree()
  readonly otherOwners: MemoryOwner[] = [this.lazyFree]
  /** Told about each key that is deleted because its time is over, before it is freed. */
  onExpired: (db: Database, row: number) => void = () => {}
  /** Told about each field of a hash that is removed because its time is over; the key is still there. */
  onFieldExpired: (db: Database, row: number, field: Buffer, start: number, length: number) => void = () => {}
  /** Told once about a hash of which fields were removed so; if it is empty its key goes then. */
  onHashExpired: (db: Database, row: number, isEmpty: boolean) => void = () => {}
  /** Told when a reading command finds no key (event class `m`). */
  onMiss: ((db: Database, source: Buffer, start: number, length: number) => void) | null = null
  /** Told about each key that is added (event class `n`); null while nobody wants to know. */
  onAdded: ((db: Database, row: number) => void) | null = null
  /** Objects of big collections; a key's value is an index here. */
  private readonly objects: (Collection | null)[] = []
  private readonly freeObjects: number[] = []

  /** @param seed of the hash functions, 32 bits; random in production. */
  constructor(databaseCount: number, seed: number) {
    for (let i = 0; i < databaseCount; i++) this.databases.push(new Database(this, i, seed))
    this.seed = seed
  }

  readonly seed: number

  /** Registers a big collection; the returned index is the key's value. */
  addObject(object: Collection): number {
    const index = this.freeObjects.pop() ?? this.objects.length
    this.objects[index] = object
    this.arena.outsideBytes += object.objectBytes
    return index
  }

  object(index: number): Collection {
    return this.objects[index]!
  }

  /** As `object`; null for the index of one that was dropped. */
  objectOrNull(index: number): Collection | null {
    return this.objects[index] ?? null
  }

  /** Forgets an object without freeing it (its blocks have another owner now). */
  dropObject(index: number): void {
    this.arena.outsideBytes -= this.object(index).objectBytes
    this.objects[index] = null
    this.freeObjects.push(index)
  }

  /** Frees a value that belongs to no key (it was read from a file). */
  freeDetached(kind: number, value: number): void {
    if (kind === Kind.StringInteger) return
    if (isObjectKind(kind)) {
      this.object(value).free()
      this.dropObject(value)
    } else if (value !== NO_REF) this.arena.free(value)
  }

  /** Announces that a key changed: watchers become dirty, clients blocked on it are looked at after the command. */
  touched(db: Database, source: Buffer, start: number, length: number): void {
    this.stats.changes++
    if (this.access.kind === AccessKind.Change) db.noteChange(source, start, length)
    if (this.changeListener !== null) this.changeListener.keyChanged(source, start, length)
    if (db.watchers.size === 0 && !db.blocked.mayHave(source, start, length)) return
    this.touchedSlow(db, source.latin1Slice(start, start + length))
  }

  /** As `touched`, for a key given as a byte string. */
  touchedText(db: Database, key: string): void {
    this.stats.changes++
    if (this.access.kind === AccessKind.Change) db.noteChange(Buffer.from(key, 'latin1'), 0, key.length)
    if (this.changeListener !== null) this.changeListener.keyChanged(Buffer.from(key, 'latin1'), 0, key.length)
    this.touchedSlow(db, key)
  }

  /** Whether somebody wants to hear of a change of a key of this database: then its text is worth making. */
  hasListeners(db: Database): boolean {
    return this.changeListener !== null || db.watchers.size > 0 || db.blocked.size > 0
  }

  /** As `touchedText`, for a key that the server removes: its time is over, or memory is short. */
  lost(db: Database, key: string): void {
    this.stats.changes++
    if (this.changeListener !== null) this.changeListener.keyLost(Buffer.from(key, 'latin1'), 0, key.length)
    this.touchedSlow(db, key)
  }

  /**
   * Announces a change of every key of a database (FLUSHDB, SWAPDB) to those who watch or wait for keys. Call
   * `touchedEverything` once besides.
   */
  touchedAll(db: Database, existsBefore: (key: string) => boolean): void {
    for (const [key, watchers] of db.watchers) {
      if (existsBefore(key)) for (const watcher of watchers) watcher.watchDirty = true
    }
    for (const key of db.blocked.keys()) this.ready(db, key)
  }

  /** Announces that whole databases changed. */
  touchedEverything(): void {
    if (this.changeListener !== null) this.changeListener.allChanged()
  }

  /** Marks a key ready: after the running command, clients blocked on it try again. */
  ready(db: Database, key: string): void {
    for (const ready of this.readyKeys) if (ready.db === db && ready.key === key) return
    this.readyKeys.push({ db, key })
  }

  private touchedSlow(db: Database, key: string): void {
    const watchers = db.watchers.get(key)
    if (watchers !== undefined) for (const watcher of watchers) watcher.watchDirty = true
    if (db.blocked.has(key)) this.ready(db, key)
  }

  /** Arena bytes, blocks and overhead that the structures account for, for the accounting check. */
  account(): { bytes: number; blocks: number } {
    let bytes = 0
    let blocks = 0
    const owners = [...this.databases, ...this.otherOwners]
    for (const owner of this.walk === null ? owners : [...owners, this.walk]) {
      const sum = owner.account()
      bytes += sum.bytes
      blocks += sum.blocks
    }
    return { bytes, blocks }
  }

  /**
   * Bytes outside the arena's segments: typed arrays of indexes and collections, objects. For the accounting check: the
   * arena has the same sum in `outsideBytes`, unless a snapshot holds what is deleted already. O(number of objects)
   */
  overheadBytes(): number {
    let bytes = 0
    for (const db of this.databases) bytes += db.overheadBytes()
    for (const owner of this.otherOwners) bytes += owner.overheadBytes()
    for (const object of this.objects) if (object !== null) bytes += object.overheadBytes()
    return bytes
  }
}
