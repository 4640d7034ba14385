/**
 * Which key goes next when memory is short (`maxmemory-policy`).
 *
 * By recency and frequency: as in Redis a few keys of each database are looked at for each key that goes, and the best
 * candidates seen so far are kept in a pool. They are random rows, so every key is as likely to be seen; and one that was
 * used since it came into the pool is judged anew before it goes. By expire time: the heap of expire times knows the
 * first key, there is nothing to sample. At random: a random row, of each database in turn.
 *
 * Source: Valkey src/evict.c evictionPoolPopulate, performEvictions.
 */
import { NO_ROW } from '../storage/dict.ts'
import { AccessKind } from './access.ts'
import type { Database } from './database.ts'
import type { Keyspace } from './keyspace.ts'

/** Candidates that are kept. */
const POOL_SIZE = 16
const NO_DATABASE = -1

export const Choice = { None: 0, Access: 1, Ttl: 2, Random: 3 } as const
export type Choice = (typeof Choice)[keyof typeof Choice]

export class Eviction {
  /** `maxmemory-samples` */
  samples = 5
  /** In [0, 1). A test may put a seeded source in its place. */
  random: () => number = Math.random
  /** What `choose` has found. */
  victimDb: Database | null = null
  victimRow: number = NO_ROW
  private readonly keyspace: Keyspace
  private choice: Choice = Choice.None
  private isVolatile: boolean = false
  private nextDb = NO_DATABASE
  // The pool, in the order of the scores; the best candidate is the last one.
  private poolCount = 0
  private readonly poolScores = new Float64Array(POOL_SIZE)
  private readonly poolRows = new Int32Array(POOL_SIZE)
  /** Blocks of the keys: a row that has another key now is no candidate any more. */
  private readonly poolKeys = new Uint32Array(POOL_SIZE)
  private readonly poolDbs = new Int32Array(POOL_SIZE)

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace
  }

  /** Takes over a policy by its name in the configuration. */
  setPolicy(policy: string): void {
    const { access } = this.keyspace
    const order = policy.slice(policy.indexOf('-') + 1)
    this.isVolatile = policy.startsWith('volatile-')
    this.choice = CHOICES.get(order) ?? Choice.None
    access.isKept = this.choice === Choice.Access
    access.kind = KINDS.get(order) ?? AccessKind.Recency
    this.poolCount = 0
  }

  /** Whether any key may go at all. */
  get isOn(): boolean {
    return this.choice !== Choice.None
  }

  /** Finds the key that goes next: `victimDb`, `victimRow`. Returns false when there is none. */
  choose(): boolean {
    if (this.choice === Choice.Access) return this.chooseByAccess()
    if (this.choice === Choice.Ttl) return this.chooseByTtl()
    return this.choice === Choice.Random && this.chooseAtRandom()
  }

  private chooseByAccess(): boolean {
    const { databases } = this.keyspace
    for (;;) {
      let keys = 0
      for (const db of databases) {
        const size = this.eligible(db)
        if (size > 0) this.sample(db, size)
        keys += size
      }
      if (keys === 0) return false
      while (this.poolCount > 0) {
        const at = --this.poolCount
        const db = databases[this.poolDbs[at]!]!
        const row = this.poolRows[at]!
        if (!this.isCandidate(db, row, this.poolKeys[at]!)) continue
        const score = this.score(db, row)
        if (score < this.poolScores[at]!) {
          this.offer(db, row, score)
          continue
        }
        return this.found(db, row)
      }
    }
  }

  private chooseByTtl(): boolean {
    let first: Database | null = null
    for (const db of this.keyspace.databases) {
      if (db.expires.size > 0 && (first === null || db.expires.firstTime() < first.expires.firstTime())) first = db
    }
    return first !== null && this.found(first, first.expires.firstRow())
  }

  private chooseAtRandom(): boolean {
    const { databases } = this.keyspace
    for (let tried = 0; tried < databases.length; tried++) {
      this.nextDb = (this.nextDb + 1) % databases.length
      const db = databases[this.nextDb]!
      const size = this.eligible(db)
      if (size > 0) return this.found(db, this.randomRow(db, size))
    }
    return false
  }

  private found(db: Database, row: number): boolean {
    this.victimDb = db
    this.victimRow = row
    return true
  }

  /** How many keys of a database may go. */
  private eligible(db: Database): number {
    return this.isVolatile ? db.expires.size : db.size
  }

  private randomRow(db: Database, size: number): number {
    const index = Math.floor(this.random() * size)
    return this.isVolatile ? db.expires.rowAt(index) : index
  }

  private sample(db: Database, size: number): void {
    for (let i = Math.min(this.samples, size); i > 0; i--) {
      const row = this.randomRow(db, size)
      this.offer(db, row, this.score(db, row))
    }
  }

  private score(db: Database, row: number): number {
    return this.keyspace.access.evictionScore(db.access(row), this.keyspace.now)
  }

  private isCandidate(db: Database, row: number, key: number): boolean {
    if (row >= db.keys.size || db.keys.keyRef(row) !== key) return false
    return !this.isVolatile || db.keys.aux(row) !== 0
  }

  /** Puts a key into the pool if there is room or a worse one. */
  private offer(db: Database, row: number, score: number): void {
    const { poolScores: scores, poolRows: rows, poolKeys: keys, poolDbs: dbs } = this
    const isFull = this.poolCount === POOL_SIZE
    if (isFull && score <= scores[0]!) return
    const key = db.keys.keyRef(row)
    let at = this.poolCount
    for (let i = 0; i < at; i++) if (keys[i] === key && rows[i] === row) return
    while (at > 0 && scores[at - 1]! > score) at--
    if (isFull) {
      // The worst one makes room: those below the new one move down.
      at--
      for (let i = 0; i < at; i++) this.movePooled(i + 1, i)
    } else for (let i = this.poolCount++; i > at; i--) this.movePooled(i - 1, i)
    scores[at] = score
    rows[at] = row
    keys[at] = key
    dbs[at] = db.index
  }

  private movePooled(from: number, to: number): void {
    this.poolScores[to] = this.poolScores[from]!
    this.poolRows[to] = this.poolRows[from]!
    this.poolKeys[to] = this.poolKeys[from]!
    this.poolDbs[to] = this.poolDbs[from]!
  }
}

const CHOICES: ReadonlyMap<string, Choice> = new Map<string, Choice>([
  ['lru', Choice.Access],
  ['lfu', Choice.Access],
  ['lrm', Choice.Access],
  ['ttl', Choice.Ttl],
  ['random', Choice.Random],
])

/** What a key remembers under the policies that look at it, if not when it was used last. */
const KINDS: ReadonlyMap<string, AccessKind> = new Map<string, AccessKind>([
  ['lfu', AccessKind.Frequency],
  ['lrm', AccessKind.Change],
])
