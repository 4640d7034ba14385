/**
 * Fields of hashes whose time is over: hidden from every lookup, and removed one by one
 *
 *     expireDue       by the active expire cycle, the earliest first
 *     expireNamed     when a command names them
 *     expireSome      when a command looks at any of them (HRANDFIELD)
 *
 * Each removal is told to `onFieldExpired`, which records it as HDEL, so replicas and logs need no clock. A hash goes with
 * its last field. Where a primary decides, or nothing is to change (a pause), fields are hidden and stay, but for those that
 * a command is about to change all the same.
 * Source: Valkey src/t_hash.c `hashTypeGetValue` (Redis 7.4), `hashTypeActiveExpire`.
 */
import type { Args } from '../resp/args.ts'
import type { HashView } from '../structures/hash-view.ts'
import type { Database } from './database.ts'
import { openHash, storeHash } from './hash-rows.ts'
import { FreeReason } from './lazy-free.ts'

/** Removes up to `limit` fields whose time is over. Returns how many; fewer than `limit` means none is left. */
export function expireDue(db: Database, hash: HashView, limit: number): number {
  const { now } = db.keyspace
  let count = 0
  while (count < limit && db.fieldExpires.firstTime() <= now) {
    const row = db.fieldExpires.firstRow()
    openHash(db, row, hash)
    count += removeExpired(db, row, hash, limit - count)
    finish(db, row, hash)
  }
  return count
}

/**
 * Removes up to `limit` fields of the hash at `row`, on which the view is open, whose time is over. Returns whether the
 * key is gone: the view looks at nothing then, and rows are invalid.
 */
export function expireSome(db: Database, row: number, hash: HashView, limit: number): boolean {
  if (!mayRemoveMet(db, hash) || removeExpired(db, row, hash, limit) === 0) return false
  return finish(db, row, hash)
}

/**
 * Removes those of the fields in arguments `first`, `first + step` … before `end` whose time is over, whoever decides about
 * the others: what changes a field is recorded as a change of one that is absent, so it has to be. Returns what `expireSome` does.
 */
export function expireNamed(
  db: Database,
  row: number,
  hash: HashView,
  args: Args,
  first: number,
  end: number,
  step: number,
): boolean {
  const { keyspace } = db
  let removed = 0
  for (let i = first; i < end; i += step) {
    const start = args.start(i)
    const length = args.length(i)
    if (!hash.hides(args.buffer, start, length)) continue
    if (removed++ === 0) db.aboutToChange(row)
    keyspace.onFieldExpired(db, row, args.buffer, start, length)
    hash.remove(args.buffer, start, length)
  }
  if (removed === 0) return false
  keyspace.stats.expiredFields += removed
  return finish(db, row, hash)
}

/** Whether a command that only reads is to remove fields that it finds hidden. */
export function mayRemoveMet({ keyspace }: Database, hash: HashView): boolean {
  return hash.hidesFields && keyspace.removesMetExpired && !keyspace.isFollowing
}

function removeExpired(db: Database, row: number, hash: HashView, limit: number): number {
  const { keyspace } = db
  db.aboutToChange(row)
  const removed = hash.removeExpired(keyspace.now, limit, (field) => {
    field.spell()
    keyspace.onFieldExpired(db, row, field.buffer, field.start, field.length)
  })
  keyspace.stats.expiredFields += removed
  return removed
}

/** Stores a hash of which fields have expired, or removes it if none is left. Returns whether it is gone. */
function finish(db: Database, row: number, hash: HashView): boolean {
  const { keyspace } = db
  storeHash(db, row, hash)
  const isEmpty = hash.size() === 0
  keyspace.onHashExpired(db, row, isEmpty)
  if (!isEmpty) {
    hash.hideExpired(keyspace.now)
    return false
  }
  db.remove(row, FreeReason.Expire)
  hash.openNone()
  return true
}
