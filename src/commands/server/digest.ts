/**
 * Digests of values and of the whole data, to tell whether two data sets are the same (DEBUG DIGEST). Cold.
 *
 * Where order has a meaning (lists, streams) digests are chained; where it has none (keys, members, fields) they are
 * combined by xor. Expired keys do not count. The sums mean the same as those of Redis, they are not equal to them.
 * Source: Valkey src/debug.c `computeDatasetDigest`, `xorObjectDigest`.
 */
import { createHash } from 'node:crypto'
import { formatDouble } from '../../bytes/double.ts'
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

const DIGEST_BYTES = 20

/** Digest of all databases, in hexadecimal. */
export function datasetDigest(ctx: CommandContext): string {
  const total = Buffer.alloc(DIGEST_BYTES)
  for (const db of ctx.keyspace.databases) {
    for (let row = 0; row < db.size; row++) {
      if (db.isLive(row)) xor(total, sha1(String(db.index), db.keyText(row), valueDigest(ctx, db, row)))
    }
  }
  return total.toString('hex')
}

/** Digest of one value with its type and whether it expires, in hexadecimal. */
export function valueDigest(ctx: CommandContext, db: Database, row: number): string {
  const digest = contentDigest(ctx, db, row)
  const lifetime = db.expireTime(row) < 0 ? '' : 'expires'
  return sha1(TYPE_OF_KIND[db.kind(row)]!, digest.toString('latin1'), lifetime).toString('hex')
}

function contentDigest(ctx: CommandContext, db: Database, row: number): Buffer {
  switch (TYPE_OF_KIND[db.kind(row)]) {
    case 'string':
      return sha1(db.kind(row) === Kind.StringInteger ? String(db.value(row)) : db.arena.text(db.ref(row)))
    case 'list':
      return listDigest(ctx, db, row)
    case 'hash':
      return hashDigest(ctx, db, row)
    case 'set':
      return setDigest(ctx, db, row)
    case 'zset':
      return zsetDigest(ctx, db, row)
    default:
      return streamDigest(db, row)
  }
}

function listDigest(ctx: CommandContext, db: Database, row: number): Buffer {
  openList(db, row, ctx.list)
  const cursor = ctx.list.rewind()
  const element = new Element()
  const hash = createHash('sha1')
  while (cursor.advance()) {
    element.showEntry(cursor.entry)
    hash.update(sha1(element.text()))
  }
  return hash.digest()
}

function hashDigest(ctx: CommandContext, db: Database, row: number): Buffer {
  openHash(db, row, ctx.hash)
  const cursor = ctx.hash.walk()
  const field = new Element()
  const value = new Element()
  const total = Buffer.alloc(DIGEST_BYTES)
  while (cursor.advance(field, value)) xor(total, sha1(field.text(), value.text()))
  return total
}

function setDigest(ctx: CommandContext, db: Database, row: number): Buffer {
  openSet(db, row, ctx.set)
  const cursor = ctx.set.walk()
  const member = new Element()
  const total = Buffer.alloc(DIGEST_BYTES)
  while (cursor.advance(member)) xor(total, sha1(member.text()))
  return total
}

function zsetDigest(ctx: CommandContext, db: Database, row: number): Buffer {
  openZset(db, row, ctx.zset)
  const { members: cursor } = ctx.zset
  const member = new Element()
  const total = Buffer.alloc(DIGEST_BYTES)
  let isFound = cursor.open(ctx.zset, 0, member)
  while (isFound) {
    xor(total, sha1(member.text(), formatDouble(cursor.score)))
    isFound = cursor.next(member)
  }
  return total
}

function streamDigest(db: Database, row: number): Buffer {
  const stream = db.object(row)
  if (!(stream instanceof Stream)) throw new TypeError(`Cannot digest a value of kind ${db.kind(row)}`)
  const cursor = new StreamCursor()
  const from = new StreamId()
  const to = new StreamId()
  to.setMax()
  const hash = createHash('sha1')
  cursor.openForward(stream, from, to, null)
  while (cursor.next()) {
    const words = [cursor.id.text()]
    for (let i = 0; i < cursor.fieldCount; i++) {
      cursor.readField()
      words.push(cursor.text())
      cursor.readValue()
      words.push(cursor.text())
    }
    hash.update(sha1(...words))
  }
  return hash.digest()
}

/** Digest of byte strings, their lengths included so that none runs into the next. */
function sha1(...texts: string[]): Buffer {
  const hash = createHash('sha1')
  for (const text of texts) hash.update(`${text.length}:`).update(text, 'latin1')
  return hash.digest()
}

function xor(target: Buffer, source: Buffer): void {
  for (let i = 0; i < DIGEST_BYTES; i++) target[i]! ^= source[i]!
}
