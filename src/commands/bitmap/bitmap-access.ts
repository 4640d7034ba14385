/** Strings as bitmaps: offsets of bits as arguments, and strings that are written bit by bit. Hot path. */
import { parseSafeInteger } from '../../bytes/integer.ts'
import { type Database, KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { BIT_OFFSET_OUT_OF_RANGE } from '../../resp/errors.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { STRING_BYTES_MAX, unshareString } from '../string/string-value.ts'
import { stringLength } from '../string/strlen.ts'

const HASH_SIGN = 35

/**
 * Argument `i` as the offset of a bit.
 *
 * @param width of a field in bits: `#n` then means the n-th field. 0: that form is not allowed.
 * @throws BIT_OFFSET_OUT_OF_RANGE when it is no offset, or the bit's byte would exceed the longest string
 */
export function bitOffset(ctx: CommandContext, args: Args, i: number, width: number): number {
  const start = args.start(i)
  const length = args.length(i)
  const isIndex = width > 0 && length > 0 && args.buffer[start] === HASH_SIGN
  const offset = isIndex ? parseSafeInteger(args.buffer, start + 1, length - 1) * width : args.safeInteger(i)
  const limit = ctx.session.isReplay
    ? STRING_BYTES_MAX
    : Math.min(ctx.keyspace.limits.protoMaxBulkLen, STRING_BYTES_MAX)
  // Not a number is not below the limit either.
  if (offset >= 0 && Math.floor(offset / 8) < limit) return offset
  throw BIT_OFFSET_OUT_OF_RANGE
}

/** A string that is about to be written: `buffer[start, start + length)`. Valid until the database changes. */
export class WritableString {
  buffer: Buffer = NOTHING
  start = 0
  length = 0
  /** Whether the string was created or made longer. */
  hasGrown: boolean = false

  /**
   * Opens the string of argument 1 and makes it `bytes` long at least, with zero bytes.
   *
   * @throws WRONGTYPE
   */
  open(db: Database, args: Args, bytes: number): void {
    const arena = db.arena
    let row = db.findKind(args, 1, KindMask.String)
    const length = row === NO_ROW ? 0 : stringLength(db, row)
    this.hasGrown = row === NO_ROW || length < bytes
    this.length = Math.max(length, bytes)
    let ref = row === NO_ROW ? arena.alloc(bytes) : unshareString(db, row)
    if (row !== NO_ROW && this.hasGrown) ref = arena.resize(ref, bytes)
    this.buffer = arena.segment(ref)
    this.start = arena.offset(ref)
    if (this.hasGrown) this.buffer.fill(0, this.start + length, this.start + bytes)
    if (row === NO_ROW) row = db.add(args, 1, Kind.StringBytes, ref)
    else db.overwrite(row, Kind.StringBytes, ref)
    db.markRaw(row)
  }
}

const NOTHING = Buffer.alloc(0)
