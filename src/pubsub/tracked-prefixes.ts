/**
 * Clients that want to know of every change of a key with a prefix (CLIENT TRACKING BCAST), and the keys that have
 * changed since they were last told. Hot path: note.
 *
 * A changed key is looked up once for each length that a prefix has, however many prefixes there are. Keys gather in a
 * Dict for each prefix, with the ID of the client that has changed them last, until the turn ends.
 */
import type { Arena } from '../storage/arena.ts'
import { Dict, DictStride, NO_ROW } from '../storage/dict.ts'

/** The clients of one prefix. */
export class PrefixGroup<Client> {
  readonly prefix: string
  readonly number: number
  readonly clients: Set<Client> = new Set()
  /** Keys that have changed; the value is the ID of the client that has done so last, 0: the server itself. */
  readonly changed: Dict
  /** Whether it is among the groups with changed keys. */
  isListed: boolean = false

  constructor(prefix: string, number: number, changed: Dict) {
    this.prefix = prefix
    this.number = number
    this.changed = changed
  }
}

export class TrackedPrefixes<Client> {
  private readonly arena: Arena
  private readonly seed: number
  private readonly byPrefix = new Map<string, PrefixGroup<Client>>()
  private readonly byNumber = new Map<number, PrefixGroup<Client>>()
  /** Prefix → number of its group, and how many prefixes have a length. */
  private readonly index: Dict
  private readonly countByLength = new Map<number, number>()
  /** Lengths of prefixes, in ascending order. */
  private lengths: number[] = []
  /** Groups with changed keys. */
  private changedGroups: PrefixGroup<Client>[] = []
  private nextNumber = 1

  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.seed = seed
    this.index = new Dict(arena, DictStride.Map, seed)
  }

  get size(): number {
    return this.byPrefix.size
  }

  get hasChanges(): boolean {
    return this.changedGroups.length > 0
  }

  add(prefix: string, client: Client): void {
    let group = this.byPrefix.get(prefix)
    if (group === undefined) {
      group = new PrefixGroup(prefix, this.nextNumber++, new Dict(this.arena, DictStride.Map, this.seed))
      this.byPrefix.set(prefix, group)
      this.byNumber.set(group.number, group)
      const bytes = Buffer.from(prefix, 'latin1')
      this.index.setValue(this.index.insert(bytes, 0, bytes.length), group.number)
      this.countLength(prefix.length, 1)
    }
    group.clients.add(client)
  }

  /** Takes a client out; with the last one the prefix goes. */
  remove(prefix: string, client: Client): void {
    const group = this.byPrefix.get(prefix)!
    group.clients.delete(client)
    if (group.clients.size > 0) return
    this.byPrefix.delete(prefix)
    this.byNumber.delete(group.number)
    const bytes = Buffer.from(prefix, 'latin1')
    this.index.remove(this.index.find(bytes, 0, bytes.length))
    this.countLength(prefix.length, -1)
    group.changed.clear()
    this.changedGroups = this.changedGroups.filter((changed) => changed !== group)
  }

  /**
   * Notes that the key `source[start, start + length)` was changed by a client. Returns a group that has `groupMax`
   * keys or more now, whose clients are to be told; null when there is none.
   */
  note(source: Buffer, start: number, length: number, id: number, groupMax: number): PrefixGroup<Client> | null {
    let full: PrefixGroup<Client> | null = null
    for (let i = 0; i < this.lengths.length; i++) {
      const prefixLength = this.lengths[i]!
      if (prefixLength > length) break
      const row = this.index.find(source, start, prefixLength)
      if (row === NO_ROW) continue
      const group = this.byNumber.get(this.index.value(row))!
      const { changed } = group
      if (!group.isListed) {
        group.isListed = true
        this.changedGroups.push(group)
      }
      const known = changed.find(source, start, length)
      changed.setValue(known === NO_ROW ? changed.insert(source, start, length) : known, id)
      if (changed.size >= groupMax) full = group
    }
    return full
  }

  /** Takes over the groups with changed keys, in order of their prefixes. */
  takeChanged(): PrefixGroup<Client>[] {
    const groups = this.changedGroups
    this.changedGroups = []
    for (const group of groups) group.isListed = false
    if (groups.length > 1) groups.sort((a, b) => (a.prefix < b.prefix ? -1 : 1))
    return groups
  }

  overheadBytes(): number {
    let bytes = this.index.overheadBytes()
    for (const group of this.byPrefix.values()) bytes += group.changed.overheadBytes()
    return bytes
  }

  /** What prefixes and changed keys own in the arena. */
  account(): { bytes: number; blocks: number } {
    let bytes = 0
    let blocks = 0
    for (const dict of [this.index, ...[...this.byPrefix.values()].map((group) => group.changed)]) {
      for (let row = 0; row < dict.size; row++) bytes += this.arena.capacity(dict.keyRef(row))
      blocks += dict.size
    }
    return { bytes, blocks }
  }

  private countLength(length: number, change: number): void {
    const count = (this.countByLength.get(length) ?? 0) + change
    if (count > 0) this.countByLength.set(length, count)
    else this.countByLength.delete(length)
    this.lengths = [...this.countByLength.keys()].sort((a, b) => a - b)
  }
}
