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
import { SHA1_WORDS, sha1, sha1Bytes, sha1OfSum } from '../../bytes/sha1.ts'
import type { Database } from '../../keyspace/database.ts'
import { openHash } from '../../keyspace/hash-rows.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import { Element } from '../../structures/element.ts'
import { Kind, TYPE_OF_KIND } from '../../structures/kind.ts'
import { Stream } from '../../structures/stream.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { openList } from '../list/list-access.ts'
import { openSet } from '../set/set-access.ts'
import { openZset } from '../zset/zset-access.ts'

/** Up to here a sum of our own is quicker than a call of node:crypto, in bytes. */
const SHORT_BYTES_MAX = 128
const SCRATCH: Buffer = Buffer.alloc(SHORT_BYTES_MAX)
const SUM = new Int32Array(SHA1_WORDS)
/** Sums of the types' numbers in Redis' objects. */
const TYPE_SUMS: Readonly<Record<string, Int32Array>> = {
  string: sumOfWord(0),
  list: sumOfWord(1),
  set: sumOfWord(2),
  zset: sumOfWord(3),
  hash: sumOfWord(4),
  stream: sumOfWord(6),
}
/** Stands for the expire time, whatever it is. */
const EXPIRE_MARK = '!!expire!!'
const FIELD_EXPIRE_MARK = '!!hexpire!!'

/** Digest of all databases, in hexadecimal. */
export function datasetDigest(ctx: CommandContext): string {
  const total = new Int32Array(SHA1_WORDS)
  const digest = new Int32Array(SHA1_WORDS)
  for (const db of ctx.keyspace.databases) {
    let isEmpty = true
    for (let row = 0; row < db.size; row++) {
      if (!db.isLive(row)) continue
      if (isEmpty) chain(total, sumOfWord(db.index))
      isEmpty = false
      digest.fill(0)
      chainText(digest, db.keyText(row))
      addValue(digest, ctx, db, row)
      sha1OfSum(digest)
      combine(total, digest)
    }
  }
  return sha1Bytes(total).toString('hex')
}

/** Digest of one value with its type and whether it expires, in hexadecimal. */
export function valueDigest(ctx: CommandContext, db: Database, row: number): string {
  const digest = new Int32Array(SHA1_WORDS)
  addValue(digest, ctx, db, row)
  return sha1Bytes(digest).toString('hex')
}

function addValue(digest: Int32Array, ctx: CommandContext, db: Database, row: number): void {
  const type = TYPE_OF_KIND[db.kind(row)]!
  chain(digest, TYPE_SUMS[type]!)
  addContent(digest, ctx, db, row, type)
  if (db.expireTime(row) >= 0) combineText(digest, EXPIRE_MARK)
}

function addContent(digest: Int32Array, ctx: CommandContext, db: Database, row: number, type: string): void {
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

function addList(digest: Int32Array, ctx: CommandContext, db: Database, row: number): void {
  openList(db, row, ctx.list)
  const cursor = ctx.list.rewind()
  const element = new Element()
  while (cursor.advance()) {
    element.showEntry(cursor.entry)
    chainText(digest, element.text())
  }
}

function addHash(digest: Int32Array, ctx: CommandContext, db: Database, row: number): void {
  openHash(db, row, ctx.hash)
  const cursor = ctx.hash.walk()
  const field = new Element()
  const value = new Element()
  while (cursor.advance(field, value)) {
    combinePair(digest, field.text(), value.text(), cursor.time() === NO_EXPIRE ? null : FIELD_EXPIRE_MARK)
  }
}

function addSet(digest: Int32Array, ctx: CommandContext, db: Database, row: number): void {
  openSet(db, row, ctx.set)
  const cursor = ctx.set.walk()
  const member = new Element()
  while (cursor.advance(member)) combineText(digest, member.text())
}

function addZset(digest: Int32Array, ctx: CommandContext, db: Database, row: number): void {
  openZset(db, row, ctx.zset)
  const { members: cursor } = ctx.zset
  const member = new Element()
  let isFound = cursor.open(ctx.zset, 0, member)
  while (isFound) {
    combinePair(digest, member.text(), formatDouble17(cursor.score), null)
    isFound = cursor.next(member)
  }
}

function addStream(digest: Int32Array, db: Database, row: number): void {
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

function combinePair(digest: Int32Array, first: string, second: string, mark: string | null): void {
  const pair = new Int32Array(SHA1_WORDS)
  chainText(pair, first)
  chainText(pair, second)
  if (mark !== null) combineText(pair, mark)
  sha1OfSum(pair)
  combine(digest, pair)
}

function combineText(digest: Int32Array, text: string): void {
  sumText(text)
  combine(digest, SUM)
}

function chainText(digest: Int32Array, text: string): void {
  sumText(text)
  chain(digest, SUM)
}

function chain(digest: Int32Array, sum: Int32Array): void {
  combine(digest, sum)
  sha1OfSum(digest)
}

function combine(digest: Int32Array, sum: Int32Array): void {
  for (let i = 0; i < SHA1_WORDS; i++) digest[i]! ^= sum[i]!
}

/** Writes the sum of a text's bytes to SUM. */
function sumText(text: string): void {
  if (text.length <= SHORT_BYTES_MAX) {
    sha1(SCRATCH, 0, SCRATCH.latin1Write(text, 0, text.length), SUM)
    return
  }
  const bytes = hash('sha1', Buffer.from(text, 'latin1'), 'buffer')
  for (let i = 0; i < SHA1_WORDS; i++) SUM[i] = bytes.readInt32BE(i * 4)
}

/** The sum of the four bytes of a number, the highest first. */
function sumOfWord(value: number): Int32Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  const sum = new Int32Array(SHA1_WORDS)
  sha1(bytes, 0, bytes.length, sum)
  return sum
}
