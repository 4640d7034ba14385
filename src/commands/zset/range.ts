/**
 * Ranges of sorted sets: by rank, by score or by member, as arguments give them, and the ranks that they cover. Hot
 * path.
 *
 * A range is parsed in full before the key is looked up. Once parsed, every kind is a run of ranks, found in O(log n).
 * Source: Valkey src/t_zset.c `zslParseRange`, `zslParseLexRange`.
 */
import {
  bitLength,
  classifyFloat,
  FloatText,
  parseDouble,
  parsePlainDecimal,
  scanHexadecimal,
} from '../../bytes/double.ts'
import type { Args } from '../../resp/args.ts'
import { LEX_RANGE_INVALID, SCORE_RANGE_NOT_A_FLOAT } from '../../resp/errors.ts'
import { Edge } from '../../structures/score-order.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import { Direction } from './reply-members.ts'

/** What a range is given by. */
export const RangeBy = { Rank: 0, Score: 1, Member: 2 } as const
export type RangeBy = (typeof RangeBy)[keyof typeof RangeBy]

/** One end of a range by member: at a member, or below or above all of them. */
const MemberEnd = { At: 0, Lowest: 1, Highest: 2 } as const

const NO_LIMIT = -1
const PLUS = 0x2b
const MINUS = 0x2d
const OPEN_PARENTHESIS = 0x28
const OPEN_BRACKET = 0x5b

/** A range, in an object that is filled again for each command. It is valid as long as the arguments are. */
export class ZsetRange {
  /** Lowest rank of what the range covers, after `resolve`; going down, see `firstShown`. */
  rank = 0
  /** How many members it covers, after `resolve`. */
  count = 0
  private by: RangeBy = RangeBy.Rank
  private start = 0
  private stop = 0
  private minScore = 0
  private maxScore = 0
  private minMember = 0
  private maxMember = 0
  private minEdge: Edge = Edge.Before
  private maxEdge: Edge = Edge.After
  private direction: Direction = Direction.Up
  private offset = 0
  private limit = NO_LIMIT
  private memberEnds: [number, number] = [MemberEnd.At, MemberEnd.At]

  /** Reads ranks from arguments `i` and `i + 1`; counted from the end that `direction` starts at. @throws NOT_AN_INTEGER */
  parseRanks(args: Args, i: number, direction: Direction): void {
    this.begin(RangeBy.Rank, direction)
    this.start = args.integer(i)
    this.stop = args.integer(i + 1)
  }

  /** Reads the scores of the lower and the upper end. @throws SCORE_RANGE_NOT_A_FLOAT */
  parseScores(args: Args, min: number, max: number, direction: Direction): void {
    this.begin(RangeBy.Score, direction)
    this.minEdge = isExclusive(args, min) ? Edge.After : Edge.Before
    this.minScore = parseBound(args, min)
    this.maxEdge = isExclusive(args, max) ? Edge.Before : Edge.After
    this.maxScore = parseBound(args, max)
  }

  /** Reads the members of the lower and the upper end. @throws LEX_RANGE_INVALID */
  parseMembers(args: Args, min: number, max: number, direction: Direction): void {
    this.begin(RangeBy.Member, direction)
    this.memberEnds[0] = parseMemberEnd(args, min)
    this.memberEnds[1] = parseMemberEnd(args, max)
    this.minMember = min
    this.maxMember = max
    this.minEdge = isExclusive(args, min) ? Edge.After : Edge.Before
    this.maxEdge = isExclusive(args, max) ? Edge.Before : Edge.After
  }

  /** Leaves out `offset` members and then all but `limit`; a negative limit is none, a negative offset leaves nothing. */
  setLimit(offset: number, limit: number): void {
    this.offset = offset
    this.limit = limit
  }

  /** Finds the ranks that the range covers in a sorted set. */
  resolve(zset: ZsetView, args: Args): void {
    if (this.by === RangeBy.Rank) {
      this.resolveRanks(zset.size())
      return
    }
    let from: number
    let to: number
    if (this.by === RangeBy.Score) {
      from = zset.rankOfScore(this.minScore, this.minEdge)
      to = zset.rankOfScore(this.maxScore, this.maxEdge)
    } else {
      from = rankOfEnd(zset, args, this.minMember, this.memberEnds[0], this.minEdge)
      to = rankOfEnd(zset, args, this.maxMember, this.memberEnds[1], this.maxEdge)
    }
    const covered = Math.max(0, to - from)
    const skipped = this.offset < 0 ? covered : Math.min(this.offset, covered)
    this.count = this.limit < 0 ? covered - skipped : Math.min(this.limit, covered - skipped)
    this.rank = this.direction === Direction.Up ? from + skipped : to - skipped - this.count
  }

  /** The rank to start from, going in the range's direction. */
  get firstShown(): number {
    return this.direction === Direction.Up ? this.rank : this.rank + this.count - 1
  }

  private begin(by: RangeBy, direction: Direction): void {
    this.by = by
    this.direction = direction
    this.offset = 0
    this.limit = NO_LIMIT
  }

  private resolveRanks(size: number): void {
    const start = Math.max(0, this.start < 0 ? size + this.start : this.start)
    const stop = Math.min(size - 1, this.stop < 0 ? size + this.stop : this.stop)
    this.count = Math.max(0, stop - start + 1)
    this.rank = this.direction === Direction.Up ? start : size - start - this.count
  }
}

function isExclusive(args: Args, i: number): boolean {
  return args.length(i) > 0 && args.buffer[args.start(i)] === OPEN_PARENTHESIS
}

/** The number of a score bound, with or without `(` before it. */
function parseBound(args: Args, i: number): number {
  const prefix = isExclusive(args, i) ? 1 : 0
  const plain = parsePlainDecimal(args.buffer, args.start(i) + prefix, args.length(i) - prefix)
  if (!Number.isNaN(plain)) return plain
  if (prefix === 0) {
    if (args.is(i, '-INF')) return Number.NEGATIVE_INFINITY
    if (args.is(i, '+INF')) return Number.POSITIVE_INFINITY
  }
  const value = readWithStrtod(args.text(i).slice(prefix))
  if (value === null) throw SCORE_RANGE_NOT_A_FLOAT
  return value
}

/**
 * A whole text as C's strtod reads it up to a NUL: white space before the number is allowed, an empty text is 0, what
 * is too large is infinite, too small 0. `null` for NaN and for everything else.
 */
function readWithStrtod(text: string): number | null {
  const nul = text.indexOf('\0')
  const whole = nul < 0 ? text : text.slice(0, nul)
  if (whole === '') return 0
  const digits = whole.replace(/^[ \t\n\v\f\r]+/, '')
  const kind = classifyFloat(digits)
  if (kind === null) return null
  if (kind === FloatText.Decimal) return Number(digits)
  const value = parseDouble(digits)
  if (value !== null) return value
  const exact = scanHexadecimal(digits)
  const magnitude = bitLength(exact.mantissa) + exact.exponent > 0 ? Number.POSITIVE_INFINITY : 0
  return exact.negative ? -magnitude : magnitude
}

/** What argument `i` stands for. @throws LEX_RANGE_INVALID */
function parseMemberEnd(args: Args, i: number): number {
  const length = args.length(i)
  const start = args.start(i)
  const first = length === 0 ? 0 : args.buffer[start]!
  if (first === OPEN_PARENTHESIS || first === OPEN_BRACKET) return MemberEnd.At
  // Redis looks for the end of the string by its NUL.
  if (length > 1 && args.buffer[start + 1] !== 0) throw LEX_RANGE_INVALID
  if (first === PLUS) return MemberEnd.Highest
  if (first === MINUS) return MemberEnd.Lowest
  throw LEX_RANGE_INVALID
}

function rankOfEnd(zset: ZsetView, args: Args, i: number, end: number, edge: Edge): number {
  if (end === MemberEnd.Lowest) return 0
  if (end === MemberEnd.Highest) return zset.size()
  return zset.rankOfMember(args.buffer, args.start(i) + 1, args.length(i) - 1, edge)
}
