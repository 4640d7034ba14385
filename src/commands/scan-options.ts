/**
 * What SCAN, HSCAN, SSCAN and ZSCAN have in common: cursor, options, and the walk over dense rows.
 *
 * A cursor is the number of rows that are still to be looked at, rows being walked from the top down (see
 * storage/dict.ts, "SCAN walks rows"); 0 starts and ends a scan. Packed forms are returned whole, with cursor 0:
 *
 *     const top = scanTop(cursor, rows)          // SCAN looks at rows top - 1 … bottom
 *     const bottom = scanBottom(top, options)    // the reply's cursor
 *
 * Order of checks: cursor, then the key (a missing one is an empty scan, whatever the options are), then the options.
 * Source: Valkey src/db.c `parseScanCursorOrReply`, `scanGenericCommand`.
 */
import { GlobCase, globMatch } from '../bytes/glob.ts'
import type { Args } from '../resp/args.ts'
import { INVALID_CURSOR, SYNTAX_ERROR } from '../resp/errors.ts'

const COUNT_DEFAULT = 10
/** Cursors are unsigned 64-bit numbers, as C's strtoul reads them. */
const UINT64_END = 1n << 64n

/** What is scanned; only SCAN itself knows TYPE, only HSCAN NOVALUES. */
export const ScanScope = { Keyspace: 0, Collection: 1, Fields: 2 } as const
export type ScanScope = (typeof ScanScope)[keyof typeof ScanScope]

/** Options of a scan, in an object that is filled again for each command. */
export class ScanOptions {
  /** How many rows to look at, at least 1; matching or not. */
  count: number = COUNT_DEFAULT
  /** Pattern of MATCH as a byte string; null without one, and for `*`. */
  pattern: string | null = null
  /** Name given to TYPE, in lower case; null without one. It need not be a type. */
  type: string | null = null
  /** Whether fields of a hash come without their values. */
  isWithoutValues = false

  /**
   * Reads the options from argument `first` on; of a repeated one, the last counts.
   *
   * @throws SYNTAX_ERROR, NOT_AN_INTEGER
   */
  parse(args: Args, first: number, scope: ScanScope): void {
    this.count = COUNT_DEFAULT
    this.pattern = null
    this.type = null
    this.isWithoutValues = false
    for (let i = first; i < args.count; i++) {
      if (scope === ScanScope.Fields && args.is(i, 'NOVALUES')) {
        this.isWithoutValues = true
        continue
      }
      if (i + 1 >= args.count) throw SYNTAX_ERROR
      if (args.is(i, 'COUNT')) {
        this.count = args.integer(i + 1)
        if (this.count < 1) throw SYNTAX_ERROR
      } else if (args.is(i, 'MATCH')) {
        // Redis, too, takes `*` for no pattern: unlike in KEYS, an empty element is returned then.
        this.pattern = args.isByte(i + 1, STAR) ? null : args.text(i + 1)
      } else if (args.is(i, 'TYPE') && scope === ScanScope.Keyspace) {
        this.type = args.text(i + 1).toLowerCase()
      } else throw SYNTAX_ERROR
      i++
    }
  }

  /** Whether an element with this text (a byte string) belongs to the reply. */
  matches(text: string): boolean {
    return this.pattern === null || globMatch(this.pattern, text, GlobCase.Exact)
  }
}

/**
 * Reads a cursor as C's strtoul does: an empty text is 0, a sign is allowed, a NUL ends it. One beyond the safe
 * integers becomes the greatest of them, which is above any number of rows.
 *
 * @throws INVALID_CURSOR
 */
export function parseScanCursor(args: Args, i: number): number {
  const value = args.safeInteger(i)
  if (value >= 0) return value
  const text = args.text(i)
  const nul = text.indexOf('\0')
  const digits = /^([+-]?)([0-9]+)$/.exec(nul < 0 ? text : text.slice(0, nul))
  if (digits === null) {
    if (text.length === 0 || nul === 0) return 0
    throw INVALID_CURSOR
  }
  const magnitude = BigInt(digits[2] ?? '')
  if (magnitude >= UINT64_END) throw INVALID_CURSOR
  // strtoul negates within 64 bits: -1 is the greatest cursor.
  const cursor = digits[1] === '-' && magnitude > 0n ? UINT64_END - magnitude : magnitude
  return Math.min(Number(cursor), Number.MAX_SAFE_INTEGER)
}

/** The row behind the first one to look at, for a cursor in a table of `rows` rows. */
export function scanTop(cursor: number, rows: number): number {
  return cursor === 0 || cursor > rows ? rows : cursor
}

/** The last row to look at; also the cursor to reply. */
export function scanBottom(top: number, options: ScanOptions): number {
  return Math.max(0, top - options.count)
}

const STAR = 0x2a
