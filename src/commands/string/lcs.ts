/**
 * LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]
 *
 * Finds a longest common subsequence of two strings; a missing key is an empty string.
 *
 * Reply: the subsequence; with LEN its length; with IDX a map of the matching ranges, last first, and the length.
 * Errors: no strings; syntax; LEN with IDX; a table beyond proto-max-bulk-len.
 * Source: Valkey src/t_string.c `lcsCommand`. The table is that of the textbook (one row and column more than the
 * strings); which of several longest subsequences is found follows from how it is walked back.
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { LCS_LENGTH_AND_INDEXES, LCS_NOT_STRINGS, LCS_TABLE_TOO_LARGE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { showString } from './string-value.ts'

const CELL_BYTES = 4

interface LcsOptions {
  length: boolean
  indexes: boolean
  matchLength: boolean
  /** Ranges below this length are left out. */
  matchLengthMin: number
}

/** Matching bytes: `length` of them, from `a` in the first string and from `b` in the second. */
interface MatchRange {
  readonly a: number
  readonly b: number
  readonly length: number
}

export const lcs = defineCommand({
  name: 'lcs',
  summary: 'Finds a longest common subsequence of two strings.',
  group: 'string',
  since: '7.0.0',
  complexity: 'O(N*M), N and M being the lengths of the strings.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.String,
  keys: [keyRange(1, 1, 1, 'RO', 'access')],
  handler: lcsHandler,
})

const first = new Element()
const second = new Element()

function lcsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  const rowA = db.read(args, 1)
  const rowB = db.read(args, 2)
  for (const row of [rowA, rowB]) {
    if (row !== NO_ROW && (KindMask.String & (1 << db.kind(row))) === 0) throw LCS_NOT_STRINGS
  }
  const options = parseOptions(args)
  showOrEmpty(ctx, rowA, first)
  showOrEmpty(ctx, rowB, second)
  const cells = (first.length + 1) * (second.length + 1)
  if (cells * CELL_BYTES > ctx.keyspace.limits.protoMaxBulkLen) throw LCS_TABLE_TOO_LARGE

  const table = fillTable(first, second, new Uint32Array(cells))
  const length = table[cells - 1]!
  if (options.indexes) replyRanges(reply, options, matchRanges(first, second, table), length)
  else if (options.length) reply.integer(length)
  else replySubsequence(reply, matchRanges(first, second, table), length)
}

/** @throws SYNTAX_ERROR, NOT_AN_INTEGER, LCS_LENGTH_AND_INDEXES */
function parseOptions(args: Args): LcsOptions {
  const options: LcsOptions = { length: false, indexes: false, matchLength: false, matchLengthMin: 0 }
  for (let i = 3; i < args.count; i++) {
    if (args.is(i, 'IDX')) options.indexes = true
    else if (args.is(i, 'LEN')) options.length = true
    else if (args.is(i, 'WITHMATCHLEN')) options.matchLength = true
    else if (args.is(i, 'MINMATCHLEN') && i + 1 < args.count) options.matchLengthMin = Math.max(0, args.integer(++i))
    else throw SYNTAX_ERROR
  }
  if (options.length && options.indexes) throw LCS_LENGTH_AND_INDEXES
  return options
}

function showOrEmpty(ctx: CommandContext, row: number, element: Element): void {
  if (row === NO_ROW) {
    element.showInteger(0)
    element.spell()
    element.length = 0
  } else showString(ctx.db, row, element)
}

/** Cell (i, k) is the length for the first i bytes of `a` and the first k bytes of `b`. */
function fillTable(a: Element, b: Element, table: Uint32Array): Uint32Array {
  const width = b.length + 1
  for (let i = 1; i <= a.length; i++) {
    const byte = a.buffer[a.start + i - 1]!
    let at = i * width + 1
    let left = 0
    for (let k = 0; k < b.length; k++, at++) {
      if (b.buffer[b.start + k] === byte) left = table[at - width - 1]! + 1
      else left = Math.max(left, table[at - width]!)
      table[at] = left
    }
  }
  return table
}

/** Walks the table back from its last cell. Ranges come last first. */
function matchRanges(a: Element, b: Element, table: Uint32Array): MatchRange[] {
  const width = b.length + 1
  const ranges: MatchRange[] = []
  let i = a.length
  let k = b.length
  let run = 0
  while (i > 0 && k > 0) {
    if (a.buffer[a.start + i - 1] === b.buffer[b.start + k - 1]) {
      run++
      i--
      k--
      continue
    }
    if (run > 0) ranges.push({ a: i, b: k, length: run })
    run = 0
    if (table[(i - 1) * width + k]! > table[i * width + k - 1]!) i--
    else k--
  }
  if (run > 0) ranges.push({ a: i, b: k, length: run })
  return ranges
}

function replyRanges(reply: ReplySink, options: LcsOptions, ranges: readonly MatchRange[], length: number): void {
  const shown = ranges.filter((range) => range.length >= options.matchLengthMin)
  reply.map(2)
  reply.bulkText('matches')
  reply.array(shown.length)
  for (const range of shown) {
    reply.array(options.matchLength ? 3 : 2)
    reply.array(2)
    reply.integer(range.a)
    reply.integer(range.a + range.length - 1)
    reply.array(2)
    reply.integer(range.b)
    reply.integer(range.b + range.length - 1)
    if (options.matchLength) reply.integer(range.length)
  }
  reply.bulkText('len')
  reply.integer(length)
}

function replySubsequence(reply: ReplySink, ranges: readonly MatchRange[], length: number): void {
  const text = Buffer.allocUnsafe(length)
  let to = length
  for (const range of ranges) {
    to -= range.length
    const from = first.start + range.a
    first.buffer.copy(text, to, from, from + range.length)
  }
  reply.bulk(text, 0, length)
}
