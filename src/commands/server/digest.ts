/**
 * Digests of values and of the whole data, to tell whether two data sets are the same (DEBUG DIGEST). Cold.
 *
 *     combined   digest = digest xor sha1(bytes)           where order has no meaning: keys, members, fields
 *     chained    digest = sha1(digest xor sha1(bytes))     where it has one: elements of lists, entries of streams
 *
 * The sums are those of redis-server, so that its data and ours can be compared; scores are written as Redis 7.0 does
 * it (17 digits; later versions write the shortest text). Expired keys do not count.
 * Source: Valkey src/debug.c `computeDatasetDigest`, `xorObjectDigest`.
 */
import { hash } from 'node:crypto'
import { formatDouble17 } from '../../bytes/double.ts'
import { SHA1_BYTES, sha1 } from '../../bytes/sha1.ts'
import type { Database } from '../../keyspace/database.ts'
import { Element } from '../../structures/element.ts'
import { Kind, TYPE_OF_KIND } from '../../structures/kind.ts'
import { Stream } from '../../structures/stream.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { openHash } from '../hash/hash-access.ts'
import { openList } from '../list/list-access.ts'
import { openSet } from '../set/set-access.ts'
import { openZset } from '../zset/zset-access.ts'

/** Up to here a sum of our own is quicker than a call of node:crypto, in bytes. */
const SHORT_BYTES_MAX = 128
const SUM: Buffer = Buffer.alloc(SHA1_BYTES)
/** Numbers of types, in Redis' objects. */
const TYPE_NUMBERS: Readonly<Record<string, number>> = { string: 0, list: 1, set: 2, zset: 3, hash: 4, stream: 6 }
/** Stands for the expire time, whatever it is. */
const EXPIRE_MARK = '!!expire!!'

/** Digest of all databases, in hexadecimal. */
export function datasetDigest(ctx: CommandContext): string {
  const total = Buffer.alloc(SHA1_BYTES)
  for (const db of ctx.keyspace.databases) {
    let isEmpty = true
    for (let row = 0; row < db.size; row++) {
      if (!db.isLive(row)) continue
      if (isEmpty) chain(total, bigEndian(db.index))
      isEmpty = false
      const digest = Buffer.alloc(SHA1_BYTES)
      chainText(digest, db.keyText(row))
      addValue(digest, ctx, db, row)
      combine(total, digest)
    }
  }
  return total.toString('hex')
}

/** Digest of one value with its type and whether it expires, in hexadecimal. */
export function valueDigest(ctx: CommandContext, db: Database, row: number): string {
  const digest = Buffer.alloc(SHA1_BYTES)
  addValue(digest, ctx, db, row)
  return digest.toString('hex')
}

function addValue(digest: Buffer, ctx: CommandContext, db: Database, row: number): void {
  const type = TYPE_OF_KIND[db.kind(row)]!
  chain(digest, bigEndian(TYPE_NUMBERS[type]!))
  addContent(digest, ctx, db, row, type)
  if (db.expireTime(row) >= 0) combineText(digest, EXPIRE_MARK)
}

function addContent(digest: Buffer, ctx: CommandContext, db: Database, row: number, type: string): void {
  switch (type) {
    case 'string':
      chainText(digest, db.kind(row) === Kind.StringInteger ? String(db.value(row)) : db.arena.text(db.ref(row)))
      break
    case 'list':
      addList(digest, ctx, db, row)
      break
    case 'hash':
      addHash(digest, ctx, db, row)
      break
    case 'set':
      addSet(digest, ctx, db, row)
      break
    case 'zset':
      addZset(digest, ctx, db, row)
      break
    default:
      addStream(digest, db, row)
  }
}

function addList(digest: Buffer, ctx: CommandContext, db: Database, row: number): void {
  openList(db, row, ctx.list)
  const cursor = ctx.list.rewind()
  const element = new Element()
  while (cursor.advance()) {
    element.showEntry(cursor.entry)
    chainText(digest, element.text())
  }
}

function addHash(digest: Buffer, ctx: CommandContext, db: Database, row: number): void {
  openHash(db, row, ctx.hash)
  const cursor = ctx.hash.walk()
  const field = new Element()
  const value = new Element()
  while (cursor.advance(field, value)) combinePair(digest, field.text(), value.text())
}

function addSet(digest: Buffer, ctx: CommandContext, db: Database, row: number): void {
  openSet(db, row, ctx.set)
  const cursor = ctx.set.walk()
  const member = new Element()
  while (cursor.advance(member)) combineText(digest, member.text())
}

function addZset(digest: Buffer, ctx: CommandContext, db: Database, row: number): void {
  openZset(db, row, ctx.zset)
  const { members: cursor } = ctx.zset
  const member = new Element()
  let isFound = cursor.open(ctx.zset, 0, member)
  while (isFound) {
    combinePair(digest, member.text(), formatDouble17(cursor.score))
    isFound = cursor.next(member)
  }
}

function addStream(digest: Buffer, db: Database, row: number): void {
  const stream = db.object(row)
  if (!(stream instanceof Stream)) throw new TypeError(`Cannot digest a value of kind ${db.kind(row)}`)
  const cursor = new StreamCursor()
  const from = new StreamId()
  const to = new StreamId()
  to.setMax()
  cursor.openForward(stream, from, to, null)
  while (cursor.next()) {
    // Here an ID is written with a full stop.
    chainText(digest, cursor.id.text().replace('-', '.'))
    for (let i = 0; i < cursor.fieldCount; i++) {
      cursor.readField()
      chainText(digest, cursor.text())
      cursor.readValue()
      chainText(digest, cursor.text())
    }
  }
}

function combinePair(digest: Buffer, first: string, second: string): void {
  const pair = Buffer.alloc(SHA1_BYTES)
  chainText(pair, first)
  chainText(pair, second)
  combine(digest, pair)
}

function combineText(digest: Buffer, text: string): void {
  combine(digest, Buffer.from(text, 'latin1'))
}

function chainText(digest: Buffer, text: string): void {
  chain(digest, Buffer.from(text, 'latin1'))
}

function combine(digest: Buffer, bytes: Buffer): void {
  sum(bytes, SUM)
  for (let i = 0; i < SHA1_BYTES; i++) digest[i]! ^= SUM[i]!
}

function chain(digest: Buffer, bytes: Buffer): void {
  combine(digest, bytes)
  sum(digest, digest)
}

function sum(bytes: Buffer, target: Buffer): void {
  if (bytes.length <= SHORT_BYTES_MAX) sha1(bytes, 0, bytes.length, target, 0)
  else hash('sha1', bytes, 'buffer').copy(target)
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
