/**
 * Values of string keys: stored from arguments, and seen as bytes. Hot path.
 *
 * A text that is a safe integer in canonical form is stored as the number itself in the key index; every other text
 * is a block. A string changed in place (APPEND, SETRANGE) stays a block whatever it reads.
 */
import { writeInteger } from '../../bytes/integer.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { STRING_TOO_LONG } from '../../resp/errors.ts'
import type { Ref } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { Element } from '../../structures/element.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'

/** A sign and the 16 digits of a safe integer. */
const INTEGER_TEXT_BYTES = 17
/** Longest string that one block can hold, in bytes. */
export const STRING_BYTES_MAX = 0x7fffffff - 8

/**
 * Stores argument `value` under the key in argument `key`, which is at `row` (whatever it holds) or NO_ROW. An expire
 * time stays. Returns the row.
 */
export function storeString(db: Database, row: number, args: Args, key: number, value: number): number {
  const integer = args.safeInteger(value)
  if (row === NO_ROW) {
    if (!Number.isNaN(integer)) return db.add(args, key, Kind.StringInteger, integer)
    return db.add(args, key, Kind.StringBytes, db.arena.store(args.buffer, args.start(value), args.length(value)))
  }
  if (!Number.isNaN(integer)) {
    db.freeValue(row)
    db.overwrite(row, Kind.StringInteger, integer)
  } else if (db.kind(row) === Kind.StringBytes) {
    const ref = db.arena.overwrite(db.ref(row), args.buffer, args.start(value), args.length(value))
    db.overwrite(row, Kind.StringBytes, ref)
  } else {
    db.freeValue(row)
    const ref = db.arena.store(args.buffer, args.start(value), args.length(value))
    db.overwrite(row, Kind.StringBytes, ref)
  }
  return row
}

/** As `storeString`, for a byte string. */
export function storeStringText(db: Database, row: number, args: Args, key: number, text: string): number {
  if (row === NO_ROW) return db.add(args, key, Kind.StringBytes, db.arena.storeText(text))
  db.freeValue(row)
  db.overwrite(row, Kind.StringBytes, db.arena.storeText(text))
  return row
}

/** As `storeString`, for a safe integer. */
export function storeStringInteger(db: Database, row: number, args: Args, key: number, value: number): number {
  if (row === NO_ROW) return db.add(args, key, Kind.StringInteger, value)
  db.freeValue(row)
  db.overwrite(row, Kind.StringInteger, value)
  return row
}

/** Shows the bytes of the string at `row`. */
export function showString(db: Database, row: number, element: Element): void {
  if (db.kind(row) === Kind.StringInteger) {
    element.showInteger(db.value(row))
    element.spell()
  } else element.showBlock(db.arena, db.ref(row))
}

/** Makes the string at `row` a block, to be changed in place. Returns its reference. */
export function unshareString(db: Database, row: number): Ref {
  if (db.kind(row) === Kind.StringBytes) return db.ref(row)
  const ref = db.arena.store(DIGITS, 0, writeInteger(DIGITS, 0, db.value(row)))
  db.setValue(row, Kind.StringBytes, ref)
  return ref
}

/** @throws STRING_TOO_LONG when a string of `bytes` bytes would exceed the limit; a log being replayed may exceed it. */
export function checkStringLength(ctx: CommandContext, bytes: number): void {
  const limit = ctx.session.isReplay ? STRING_BYTES_MAX : ctx.keyspace.limits.protoMaxBulkLen
  if (bytes > limit || bytes > STRING_BYTES_MAX) throw STRING_TOO_LONG
}

const DIGITS = Buffer.allocUnsafeSlow(INTEGER_TEXT_BYTES)
