/**
 * One database: key index, expire times, watched and blocked keys. Hot path.
 *
 * A key is addressed by its row in the index. `find` never moves a row; `remove` moves the last row into the hole, so
 * after it (of any key) rows are asked again. A key whose time is over is absent for every lookup; it is removed
 * physically by the active cycle, by `add` on the same key, or after the command that met it (`reapMet`). Expire times
 * of fields of hashes are in the hashes; the database knows the earliest of each (`fieldExpires`, field-expiry.ts).
 *
 * Meta word of a row: kind in the low 4 bits, what is remembered of its use in 27 bits above (access.ts), then one bit for
 * strings that were changed in place, which OBJECT ENCODING calls raw however short they are.
 */
import type { Args } from '../resp/args.ts'
import { WRONGTYPE } from '../resp/errors.ts'
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'
import { Expires, NO_EXPIRE } from '../storage/expires.ts'
import { type Collection, isObjectKind, Kind } from '../structures/kind.ts'
import { ACCESS_BITS, ACCESS_MASK, AccessKind } from './access.ts'
import { BlockedKeys } from './blocked.ts'
import type { Keyspace, Watcher } from './keyspace.ts'
import { FreeReason } from './lazy-free.ts'
import type { RowMarks } from './row-marks.ts'
import { TimedRows } from './timed-rows.ts'

const KIND_BITS = 4
const KIND_MASK = (1 << KIND_BITS) - 1
const ACCESS_BITS_MASK = ACCESS_MASK << KIND_BITS
const RAW_BIT = 1 << (KIND_BITS + ACCESS_BITS)
/** Keys of a replica that expire by its own clock are remembered up to this number; the others wait for the primary. */
const OWN_EXPIRES_MAX = 1_000_000
/** Keys met expired and not yet removed are remembered up to this number; the others wait for the active cycle. */
const MET_EXPIRED_MAX = 128

/** Sets of kinds, for type checks: `1 << kind`. */
export const KindMask = {
  String: (1 << Kind.StringBytes) | (1 << Kind.StringInteger),
  List: (1 << Kind.ListPacked) | (1 << Kind.ListBig),
  Hash: (1 << Kind.HashPacked) | (1 << Kind.HashWide) | (1 << Kind.HashDict) | (1 << Kind.HashTimed),
  Set: (1 << Kind.SetIntset) | (1 << Kind.SetPacked) | (1 << Kind.SetDict),
  Zset: (1 << Kind.ZsetPacked) | (1 << Kind.ZsetBig),
  Stream: 1 << Kind.Stream,
} as const
/** Kinds of hashes whose fields may have expire times. */
const TIMED_KINDS = (1 << Kind.HashDict) | (1 << Kind.HashTimed)

export class Database {
  readonly keyspace: Keyspace
  readonly arena: Arena
  index: number
  keys: Dict
  expires: Expires
  /** Hashes that have fields with expire times, by the earliest of each. */
  fieldExpires: Expires
  private timedRows: TimedRows
  /** Clients that watch a key of this database, by key. */
  watchers = new Map<string, Set<Watcher>>()
  blocked: BlockedKeys
  /** What a snapshot has still to write of this database; null while there is none. */
  marks: RowMarks | null = null
  private metExpired: string[] = []
  /** On a replica that takes writes: keys that clients have given a time, as its primary does not know them. */
  readonly ownExpires = new Set<string>()

  constructor(keyspace: Keyspace, index: number, seed: number) {
    this.keyspace = keyspace
    this.arena = keyspace.arena
    this.index = index
    this.keys = new Dict(keyspace.arena, DictStride.Keys, seed)
    this.expires = new Expires(this.keys)
    this.timedRows = this.newTimedRows()
    this.fieldExpires = new Expires(this.timedRows)
    this.blocked = new BlockedKeys()
  }

  /** Number of keys, those expired and not yet removed included (as DBSIZE). */
  get size(): number {
    return this.keys.size
  }

  /** The row of the key in argument `i`, NO_ROW when it is absent or expired. No statistics, no access time. */
  find(args: Args, i: number): number {
    return this.findBytes(args.buffer, args.start(i), args.length(i))
  }

  findBytes(source: Buffer, start: number, length: number): number {
    const row = this.keys.find(source, start, length)
    if (row === NO_ROW) return NO_ROW
    if (this.keys.aux(row) !== 0 && this.expires.timeOf(row) <= this.keyspace.now) {
      if (this.keyspace.findsExpired) return row
      this.meetExpired(row)
      return NO_ROW
    }
    return row
  }

  /** As `findBytes`, for a byte string. */
  findText(key: string): number {
    const bytes = Buffer.from(key, 'latin1')
    return this.findBytes(bytes, 0, bytes.length)
  }

  /** As `find`, for a reading command: counts hits and misses and renews the access time. */
  read(args: Args, i: number): number {
    const row = this.peek(args, i)
    if (row !== NO_ROW) this.renewAccess(row)
    return row
  }

  /** As `read`, but the access time stays as it is (EXISTS, TTL, TYPE). */
  peek(args: Args, i: number): number {
    const row = this.find(args, i)
    if (row === NO_ROW) {
      this.keyspace.stats.misses++
      if (this.keyspace.onMiss !== null) this.keyspace.onMiss(this, args.buffer, args.start(i), args.length(i))
      return NO_ROW
    }
    this.keyspace.stats.hits++
    return row
  }

  /** Whether the key of a row is not expired, for who walks the rows; one that is will be removed as if `find` met it. */
  isLive(row: number): boolean {
    if (this.keys.aux(row) === 0 || this.expires.timeOf(row) > this.keyspace.now) return true
    if (this.keyspace.findsExpired) return true
    this.meetExpired(row)
    return false
  }

  /** As `find`, for a key of one type. @throws WRONGTYPE */
  findKind(args: Args, i: number, kinds: number): number {
    const row = this.find(args, i)
    if (row !== NO_ROW && (kinds & (1 << this.kind(row))) === 0) throw WRONGTYPE
    return row
  }

  /** As `read`, for a key of one type. @throws WRONGTYPE */
  readKind(args: Args, i: number, kinds: number): number {
    const row = this.read(args, i)
    if (row !== NO_ROW && (kinds & (1 << this.kind(row))) === 0) throw WRONGTYPE
    return row
  }

  kind(row: number): number {
    return this.keys.meta(row) & KIND_MASK
  }

  /** The value as it stands in the index: an integer, an arena reference or an object index (see Kind). */
  value(row: number): number {
    return this.keys.value(row)
  }

  /** The arena reference of a StringBytes or packed value. */
  ref(row: number): Ref {
    return this.keys.value(row)
  }

  /** The collection object of a big value. */
  object(row: number): Collection {
    return this.keyspace.object(this.keys.value(row))
  }

  /** Adds a key that `find` has not found. The value's ownership passes to the database. Returns its row. */
  add(args: Args, i: number, kind: number, value: number): number {
    return this.addBytes(args.buffer, args.start(i), args.length(i), kind, value)
  }

  addBytes(source: Buffer, start: number, length: number, kind: number, value: number): number {
    if (this.expires.size > 0) this.removeIfExpired(source, start, length)
    const row = this.keys.insert(source, start, length)
    this.keys.setMeta(row, kind | (this.keyspace.access.first(this.keyspace.now) << KIND_BITS))
    this.keys.setValue(row, value)
    if (((1 << kind) & TIMED_KINDS) !== 0) this.fieldTimesChanged(row)
    if (this.marks !== null) this.marks.added(row)
    if (this.keyspace.onAdded !== null) this.keyspace.onAdded(this, row)
    return row
  }

  /** As `addBytes`, for a key of a file that is loaded and is known to be absent: nothing expires, nobody is told. */
  addLoaded(source: Buffer, start: number, length: number, kind: number, value: number): number {
    const row = this.keys.insert(source, start, length)
    this.keys.setMeta(row, kind | (this.keyspace.access.first(this.keyspace.now) << KIND_BITS))
    this.keys.setValue(row, value)
    if (((1 << kind) & TIMED_KINDS) !== 0) this.fieldTimesChanged(row)
    if (this.marks !== null) this.marks.added(row)
    return row
  }

  addText(key: string, kind: number, value: number): number {
    const bytes = Buffer.from(key, 'latin1')
    return this.addBytes(bytes, 0, bytes.length, kind, value)
  }

  /** Adds a collection object as a new key. */
  addObject(args: Args, i: number, kind: number, object: Collection): number {
    return this.add(args, i, kind, this.keyspace.addObject(object))
  }

  /** Points the row to another value without freeing the old one: a packed block that moved, or one converted. */
  setValue(row: number, kind: number, value: number): void {
    this.keys.setMeta(row, kind | (this.keys.meta(row) & ACCESS_BITS_MASK))
    this.keys.setValue(row, value)
  }

  /** As `setValue`, and notes the access: a string that is overwritten. */
  overwrite(row: number, kind: number, value: number): void {
    const { access, now } = this.keyspace
    this.keys.setMeta(row, kind | (access.next(this.access(row), now) << KIND_BITS))
    this.keys.setValue(row, value)
  }

  /** Whether a string was changed in place (see the layout of the meta word). */
  isRaw(row: number): boolean {
    return (this.keys.meta(row) & RAW_BIT) !== 0
  }

  /** Notes that a string was changed in place; setting a new value forgets it. */
  markRaw(row: number): void {
    this.keys.setMeta(row, this.keys.meta(row) | RAW_BIT)
  }

  /** As `setValue` when the kind stays: a block that may have moved. */
  setRef(row: number, ref: Ref): void {
    this.keys.setValue(row, ref)
  }

  /** Replaces a packed value by a collection object (the packed block is the caller's to free). */
  setObject(row: number, kind: number, object: Collection): void {
    this.setValue(row, kind, this.keyspace.addObject(object))
  }

  /** Frees the old value and sets a new one; the expire time stays. */
  replaceValue(row: number, kind: number, value: number): void {
    this.freeValue(row)
    this.setValue(row, kind, value)
  }

  /** As `setObject`, also where the value was an object before, which has nothing left to free. */
  becomeObject(row: number, kind: number, object: Collection): void {
    if (this.kind(row) === Kind.HashTimed) {
      this.fieldExpires.clear(row)
      this.keyspace.dropObject(this.keys.value(row))
    }
    this.setObject(row, kind, object)
  }

  /** Files the hash at a row, which is an object, by the earliest expire time of its fields, if they have any. */
  fieldTimesChanged(row: number): void {
    const next = this.timedRows.hash(row)?.nextTime() ?? NO_EXPIRE
    if (next === NO_EXPIRE) this.fieldExpires.clear(row)
    else if (next !== this.fieldExpires.timeOf(row)) this.fieldExpires.set(row, next)
  }

  /** Removes a key and frees its value, now or later (LazyFree). Rows are invalid afterwards. */
  remove(row: number, reason: FreeReason = FreeReason.ServerDel): void {
    this.freeValue(row, reason)
    this.removeRow(row)
  }

  /** Removes a key whose value now belongs to the caller (RENAME, MOVE). */
  removeKeepingValue(row: number): void {
    this.aboutToChange(row)
    this.removeRow(row)
  }

  /** Absolute expire time in ms, NO_EXPIRE (-1) when there is none. */
  expireTime(row: number): number {
    return this.expires.timeOf(row)
  }

  setExpire(row: number, timeMs: number): void {
    this.expires.set(row, timeMs)
    const { isFollowing, findsExpired } = this.keyspace
    if (isFollowing && !findsExpired && this.ownExpires.size < OWN_EXPIRES_MAX) this.ownExpires.add(this.keyText(row))
  }

  /** Removes those of the keys that clients of this replica have given a time, and that is over; looks at `limit`. */
  expireOwn(limit: number): void {
    let left = Math.min(limit, this.ownExpires.size)
    for (const key of this.ownExpires) {
      if (left-- === 0) return
      // It goes to the end of the queue, if it stays.
      this.ownExpires.delete(key)
      const bytes = Buffer.from(key, 'latin1')
      const row = this.keys.find(bytes, 0, bytes.length)
      const time = row === NO_ROW ? NO_EXPIRE : this.expires.timeOf(row)
      if (time === NO_EXPIRE) continue
      if (time <= this.keyspace.now) this.expireRow(row)
      else this.ownExpires.add(key)
    }
  }

  /** Makes a key live for ever. Returns whether it had an expire time. */
  clearExpire(row: number): boolean {
    return this.expires.clear(row)
  }

  /** The key of a row as a byte string. */
  keyText(row: number): string {
    return this.arena.text(this.keys.keyRef(row))
  }

  /** Notes that the key is used. */
  touch(row: number): void {
    const old = this.keys.meta(row)
    const access = this.keyspace.access.next((old >>> KIND_BITS) & ACCESS_MASK, this.keyspace.now)
    const meta = (old & ~ACCESS_BITS_MASK) | (access << KIND_BITS)
    // Mostly it has been used a moment ago: the row's cache line stays clean.
    if (meta !== old) this.keys.setMeta(row, meta)
  }

  /** As `touch`, unless the client does not want that (CLIENT NO-TOUCH). */
  renewAccess(row: number): void {
    if (this.keyspace.renewsAccess) this.touch(row)
  }

  /** Notes that a key was changed, if it is still there (AccessKind.Change). */
  noteChange(source: Buffer, start: number, length: number): void {
    const row = this.keys.find(source, start, length)
    if (row !== NO_ROW) this.setAccess(row, this.keyspace.access.changed(this.keyspace.now))
  }

  /** For a row that has been added while no clock was running (a log is loaded): as if it were added now. */
  touchUntouched(row: number): void {
    const { access, now } = this.keyspace
    if (access.isUnset(this.access(row))) this.setAccess(row, access.first(now))
  }

  /** What is remembered of the use of a key; see AccessClock. */
  access(row: number): number {
    return (this.keys.meta(row) >>> KIND_BITS) & ACCESS_MASK
  }

  setAccess(row: number, access: number): void {
    this.keys.setMeta(row, (this.keys.meta(row) & ~ACCESS_BITS_MASK) | (access << KIND_BITS))
  }

  /** Seconds since the last access. */
  idleSeconds(row: number): number {
    return this.keyspace.access.idleSeconds(this.access(row), this.keyspace.now)
  }

  /** What a file or a RESTORE tells of the use of a key; -1: nothing. What the policy in force has no place for is left out. */
  restoreAccess(row: number, idleSeconds: number, frequency: number): void {
    const { access, now } = this.keyspace
    if (access.kind === AccessKind.Frequency) {
      if (frequency >= 0) this.setAccess(row, access.withFrequency(frequency, now))
    } else if (idleSeconds >= 0) this.setAccess(row, access.idleSince(idleSeconds, now))
  }

  /** Removes up to `limit` keys whose time is over. Returns how many; fewer than `limit` means none is left. */
  expireDue(limit: number): number {
    const now = this.keyspace.now
    let count = 0
    while (count < limit && this.expires.firstTime() <= now) {
      this.expireRow(this.expires.firstRow())
      count++
    }
    return count
  }

  /** Removes the keys that lookups have met expired; called after each command that met some. */
  reapMet(): void {
    const met = this.metExpired
    if (met.length === 0) return
    this.metExpired = []
    for (const key of met) {
      const bytes = Buffer.from(key, 'latin1')
      this.removeIfExpired(bytes, 0, bytes.length)
    }
  }

  get hasMetExpired(): boolean {
    return this.metExpired.length > 0
  }

  /** To be called before the key or the value of a row changes: a snapshot that has not written it does so now. */
  aboutToChange(row: number): void {
    if (this.marks !== null && !this.marks.isDone(row)) this.keyspace.walk!.beforeChange(this, row)
  }

  /** Removes all keys. What a snapshot has still to write of them is handed to it. O(n) */
  clear(): void {
    if (this.marks !== null) {
      this.keyspace.walk!.detached(this.detach())
      return
    }
    this.fieldExpires.reset()
    for (let row = 0; row < this.keys.size; row++) this.freeValue(row)
    this.keys.clear()
    this.expires.reset()
    this.metExpired = []
    this.ownExpires.clear()
  }

  /** As `clear`; what takes longer than a moment to be freed is freed later. */
  clearSoon(): void {
    if (this.marks !== null || this.size === 0) this.clear()
    else this.keyspace.lazyFree.freeDatabaseNow(this.detach())
  }

  /** As `clear`, but what is freed is freed later. */
  clearLater(): void {
    if (this.marks !== null || this.size === 0) this.clear()
    else this.keyspace.lazyFree.freeDatabase(this.detach())
  }

  /** All keys as a database that nobody else knows. */
  private detach(): Database {
    const detached = new Database(this.keyspace, this.index, this.keyspace.seed)
    this.swapContents(detached)
    return detached
  }

  /** Frees up to `limit` keys of a database that nobody uses any more. Returns whether more are left. */
  freeSome(limit: number): boolean {
    const rest = Math.max(0, this.keys.size - limit)
    while (this.keys.size > rest) {
      this.freeValue(this.keys.size - 1, FreeReason.Unlink)
      this.keys.freeLast()
    }
    if (rest === 0) this.clear()
    return rest > 0
  }

  /** Exchanges keys and expire times with another database; watchers and blocked clients stay (SWAPDB). */
  swapContents(other: Database): void {
    const { keys, expires, fieldExpires, timedRows, metExpired, marks } = this
    this.keys = other.keys
    this.expires = other.expires
    this.fieldExpires = other.fieldExpires
    this.timedRows = other.timedRows
    this.metExpired = other.metExpired
    this.marks = other.marks
    other.keys = keys
    other.expires = expires
    other.fieldExpires = fieldExpires
    other.timedRows = timedRows
    other.metExpired = metExpired
    other.marks = marks
    if (this.marks !== null) this.marks.owner = this
    if (other.marks !== null) other.marks.owner = other
  }

  /** Frees the value of a row, now or later; the row is the caller's to set or remove. */
  freeValue(row: number, reason: FreeReason = FreeReason.ServerDel): void {
    this.aboutToChange(row)
    const kind = this.kind(row)
    if (kind === Kind.StringInteger) return
    const value = this.keys.value(row)
    if (isObjectKind(kind)) {
      if (this.fieldExpires.size > 0) this.fieldExpires.clear(row)
      const object = this.keyspace.object(value)
      this.keyspace.dropObject(value)
      // A snapshot that is in the midst of the collection frees it when it is through.
      if (this.keyspace.walk === null || !this.keyspace.walk.takes(object)) this.keyspace.lazyFree.free(object, reason)
    } else if (value !== NO_REF) {
      this.arena.free(value)
    }
  }

  /** Bytes of the typed arrays of index and expire times. */
  overheadBytes(): number {
    return this.keys.overheadBytes() + this.expires.overheadBytes() + this.fieldExpires.overheadBytes()
  }

  /** Sum of what the keys and values of this database own in the arena. */
  account(): { bytes: number; blocks: number } {
    let bytes = 0
    let blocks = 0
    for (let row = 0; row < this.keys.size; row++) {
      bytes += this.arena.capacity(this.keys.keyRef(row))
      blocks++
      const kind = this.kind(row)
      if (kind === Kind.StringInteger) continue
      if (isObjectKind(kind)) {
        bytes += this.object(row).arenaBytes()
        blocks += this.object(row).arenaBlocks()
      } else {
        bytes += this.arena.capacity(this.ref(row))
        blocks++
      }
    }
    return { bytes, blocks }
  }

  private newTimedRows(): TimedRows {
    const { keys } = this
    return new TimedRows(this.keyspace, keys, (row) => ((1 << (keys.meta(row) & KIND_MASK)) & TIMED_KINDS) !== 0)
  }

  private removeRow(row: number): void {
    this.expires.clear(row)
    // A value that goes on elsewhere is still here.
    if (this.fieldExpires.size > 0) this.fieldExpires.clear(row)
    const moved = this.keys.remove(row)
    if (moved === NO_ROW) return
    this.expires.rowMoved(row)
    if (this.fieldExpires.size > 0) this.fieldExpires.rowMoved(row)
    if (this.marks !== null) this.marks.moved(moved, row)
  }

  private meetExpired(row: number): void {
    const { removesMetExpired, isFollowing } = this.keyspace
    if (this.metExpired.length < MET_EXPIRED_MAX && removesMetExpired && !isFollowing)
      this.metExpired.push(this.keyText(row))
  }

  private removeIfExpired(source: Buffer, start: number, length: number): void {
    const row = this.keys.find(source, start, length)
    if (row === NO_ROW) return
    const time = this.expires.timeOf(row)
    if (time !== NO_EXPIRE && time <= this.keyspace.now && !this.keyspace.findsExpired) this.expireRow(row)
  }

  private expireRow(row: number): void {
    this.keyspace.stats.expired++
    this.keyspace.onExpired(this, row)
    this.remove(row, FreeReason.Expire)
  }
}
