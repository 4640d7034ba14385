/**
 * ZsetView: one sorted set, whichever encoding it has. Hot path.
 *
 * A reused view over a packed sorted set or a SortedSet. It holds what the key index holds, `kind` and `ref` or `big`,
 * and changes them as the sorted set changes its encoding or its block moves: after a change the caller stores them
 * again. A packed sorted set becomes a SortedSet when it has too many members or one is too long, and never goes back
 * while it is in use. Source: Valkey src/t_zset.c `zsetAdd`, `zsetTypeMaybeConvert`.
 */
import { writeInteger } from '../bytes/integer.ts'
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'
import { NO_ROW } from '../storage/dict.ts'
import { createPacked, NO_ENTRY, PACKED_HEADER_BYTES, PackedCursor } from '../storage/packed.ts'
import type { Element } from './element.ts'
import { Kind } from './kind.ts'
import { packedPositions } from './packed-positions.ts'
import {
  compareEntry,
  entryScore,
  hasZsetRoom,
  insertMember,
  packedZsetSize,
  removeMembers,
  seekScore,
  type ZsetLimits,
} from './packed-zset.ts'
import { Edge, OrderCursor } from './score-order.ts'
import { SortedSet } from './sorted-set.ts'

/** What `put` may and may not do, as bits. */
export const PutFlag = {
  /** Only add new members. */
  Absent: 1,
  /** Only change members that are there. */
  Present: 2,
  /** Only raise a score. */
  Greater: 4,
  /** Only lower a score. */
  Less: 8,
  /** Add to the score instead of setting it. */
  Increment: 16,
} as const

/** What `put` did. */
export const PutResult = {
  /** The flags forbade it. */
  Refused: 0,
  Added: 1,
  Updated: 2,
  /** The member has this score already. */
  Same: 3,
  /** The sum of the scores is not a number; nothing was changed. */
  NotANumber: 4,
} as const
export type PutResult = (typeof PutResult)[keyof typeof PutResult]

/** The rank of an absent member. */
export const NO_RANK = -1

/** Text of an integer member that is being converted: a sign and 16 digits at most. */
const DIGITS = Buffer.allocUnsafeSlow(17)

export class ZsetView {
  /** Kind.ZsetPacked or ZsetBig; Kind.None without a sorted set. */
  kind: number = Kind.None
  /** Block of a packed sorted set. */
  ref: Ref = NO_REF
  /** The object of a big one. */
  big: SortedSet | null = null
  /** The score that the last `put`, `remove` or `rank` left or found. */
  score = 0
  readonly arena: Arena
  /** A cursor for whoever works with this view; it stays where it is when the view looks at something else. */
  readonly members: ZsetCursor
  private readonly seed: number
  private readonly cursor: PackedCursor

  /** @param seed for the SortedSets that conversions make. */
  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.members = new ZsetCursor(arena)
    this.seed = seed
    this.cursor = new PackedCursor(arena)
  }

  openPacked(ref: Ref): void {
    this.kind = Kind.ZsetPacked
    this.ref = ref
    this.big = null
  }

  openBig(big: SortedSet): void {
    this.kind = Kind.ZsetBig
    this.ref = NO_REF
    this.big = big
  }

  /** Looks at no sorted set: size 0, no members. */
  openNone(): void {
    this.kind = Kind.None
    this.ref = NO_REF
    this.big = null
  }

  /** Creates an empty sorted set for about `sizeHint` members, one of which has `lengthHint` bytes. */
  create(sizeHint: number, lengthHint: number, limits: ZsetLimits): void {
    if (sizeHint <= limits.zsetMaxListpackEntries && lengthHint <= limits.zsetMaxListpackValue) {
      this.openPacked(createPacked(this.arena))
    } else this.createBig()
  }

  /** Creates an empty SortedSet, whatever the limits are. */
  createBig(): void {
    this.openBig(new SortedSet(this.arena, this.seed))
  }

  /** Number of members. */
  size(): number {
    if (this.big !== null) return this.big.size
    return this.kind === Kind.None ? 0 : packedZsetSize(this.arena, this.ref)
  }

  /** The score of a member, NaN when it is absent. */
  scoreOf(member: Uint8Array, start: number, length: number): number {
    if (this.big !== null) {
      const row = this.big.find(this.big.hash(member, start, length), member, start, length)
      return row === NO_ROW ? Number.NaN : this.big.score(row)
    }
    if (this.kind === Kind.None) return Number.NaN
    const position = seekScore(this.cursor, this.ref, member, start, length)
    return position === NO_ENTRY ? Number.NaN : entryScore(this.cursor)
  }

  /** As `scoreOf`, for an element of another collection. */
  scoreOfElement(element: Element): number {
    element.spell()
    return this.scoreOf(element.buffer, element.start, element.length)
  }

  /**
   * Gives a member a score, as the flags (bits of PutFlag) allow; the sorted set must not be of Kind.None. The
   * resulting score is in `score`. `score` must not be NaN.
   */
  put(member: Uint8Array, start: number, length: number, score: number, flags: number, limits: ZsetLimits): PutResult {
    if (this.big === null) {
      const position = seekScore(this.cursor, this.ref, member, start, length)
      if (position !== NO_ENTRY) {
        const result = this.decide(entryScore(this.cursor), score, flags)
        if (result === PutResult.Updated) {
          this.ref = removeMembers(this.arena, this.ref, position, 1)
          this.ref = insertMember(this.cursor, this.ref, member, start, length, this.score)
        }
        return result
      }
      if ((flags & PutFlag.Present) !== 0) return PutResult.Refused
      if (this.fits(length, limits)) {
        this.ref = insertMember(this.cursor, this.ref, member, start, length, score)
        this.score = score
        return PutResult.Added
      }
      this.becomeBig()
    }
    return this.putBig(this.big!, member, start, length, score, flags)
  }

  /** Removes a member; its score is in `score`. Returns false if it was absent. An empty rest is the caller's. */
  remove(member: Uint8Array, start: number, length: number): boolean {
    if (this.big !== null) {
      const row = this.big.find(this.big.hash(member, start, length), member, start, length)
      if (row === NO_ROW) return false
      this.score = this.big.score(row)
      this.big.removeRow(row)
      return true
    }
    if (this.kind === Kind.None) return false
    const position = seekScore(this.cursor, this.ref, member, start, length)
    if (position === NO_ENTRY) return false
    this.score = entryScore(this.cursor)
    this.ref = removeMembers(this.arena, this.ref, position, 1)
    return true
  }

  /** As `remove`, for an element of another collection. */
  removeElement(element: Element): boolean {
    element.spell()
    return this.remove(element.buffer, element.start, element.length)
  }

  /** Removes `count` members from `rank` on, which must exist. An empty rest is the caller's to free. */
  removeRange(rank: number, count: number): void {
    if (count === 0) return
    if (this.big !== null) {
      this.big.removeRange(rank, count)
      return
    }
    const cursor = this.cursor
    cursor.open(this.ref)
    cursor.seek(rank * 2)
    this.ref = removeMembers(this.arena, this.ref, cursor.position, count)
  }

  /** The rank of a member from the lowest score up, NO_RANK when it is absent; its score is in `score`. */
  rank(member: Uint8Array, start: number, length: number): number {
    if (this.big !== null) {
      const row = this.big.find(this.big.hash(member, start, length), member, start, length)
      if (row === NO_ROW) return NO_RANK
      this.score = this.big.score(row)
      return this.big.rank(row)
    }
    if (this.kind === Kind.None) return NO_RANK
    const position = seekScore(this.cursor, this.ref, member, start, length)
    if (position === NO_ENTRY) return NO_RANK
    this.score = entryScore(this.cursor)
    let entries = 0
    this.cursor.open(this.ref)
    while (this.cursor.next < position) {
      this.cursor.skip()
      entries++
    }
    return entries >>> 1
  }

  /** How many members have a lower score, or (Edge.After) at most this one. */
  rankOfScore(score: number, edge: Edge): number {
    if (this.big !== null) return this.big.order.rankOfScore(score, edge)
    if (this.kind === Kind.None) return 0
    const cursor = this.cursor
    cursor.open(this.ref)
    let rank = 0
    while (cursor.skip()) {
      cursor.advance()
      const other = entryScore(cursor)
      if (other > score || (other === score && edge === Edge.Before)) break
      rank++
    }
    return rank
  }

  /**
   * How many members come before the first one that is not lower (Edge.After: that is higher) than a byte string. The
   * scores are taken to be equal.
   */
  rankOfMember(member: Uint8Array, start: number, length: number, edge: Edge): number {
    if (this.big !== null) return this.big.order.rankOfMember(member, start, length, edge)
    if (this.kind === Kind.None) return 0
    const cursor = this.cursor
    cursor.open(this.ref)
    let rank = 0
    while (cursor.advance()) {
      const order = compareEntry(cursor, member, start, length)
      if (order > 0 || (order === 0 && edge === Edge.Before)) break
      cursor.skip()
      rank++
    }
    return rank
  }

  /** Becomes a SortedSet at once when `count` members that are about to come would not fit. */
  expect(count: number, limits: ZsetLimits): void {
    if (this.kind === Kind.ZsetPacked && count > limits.zsetMaxListpackEntries) this.becomeBig()
  }

  /** Becomes packed, if the members of a SortedSet fit. O(n), n up to the limit. */
  becomePacked(limits: ZsetLimits): void {
    const big = this.big
    if (big === null || big.size > limits.zsetMaxListpackEntries) return
    const arena = this.arena
    for (let row = 0; row < big.size; row++) {
      if (arena.length(big.memberRef(row)) > limits.zsetMaxListpackValue) return
    }
    let ref = createPacked(arena)
    const order = new OrderCursor()
    for (let more = order.open(big.order, 0); more; more = order.next()) {
      const { member } = order
      const from = arena.segment(member)
      ref = insertMember(this.cursor, ref, from, arena.offset(member), arena.length(member), order.score)
    }
    big.free()
    this.openPacked(ref)
  }

  /** Becomes a SortedSet, whatever the limits are. O(n). */
  becomeBig(): void {
    const big = new SortedSet(this.arena, this.seed)
    const cursor = this.cursor
    cursor.open(this.ref)
    while (cursor.advance()) {
      let { buffer, start, length } = cursor
      if (cursor.isInteger) {
        buffer = DIGITS
        start = 0
        length = writeInteger(DIGITS, 0, cursor.integer)
      }
      cursor.advance()
      big.insert(big.hash(buffer, start, length), buffer, start, length, entryScore(cursor))
    }
    this.arena.free(this.ref)
    this.openBig(big)
  }

  /** Frees everything that the sorted set owns, and looks at none. */
  free(): void {
    if (this.big !== null) this.big.free()
    else if (this.ref !== NO_REF) this.arena.free(this.ref)
    this.openNone()
  }

  private putBig(
    big: SortedSet,
    member: Uint8Array,
    start: number,
    length: number,
    score: number,
    flags: number,
  ): PutResult {
    const hash = big.hash(member, start, length)
    const row = big.find(hash, member, start, length)
    if (row !== NO_ROW) {
      const result = this.decide(big.score(row), score, flags)
      if (result === PutResult.Updated) big.setScore(row, this.score)
      return result
    }
    if ((flags & PutFlag.Present) !== 0) return PutResult.Refused
    big.insert(hash, member, start, length, score)
    this.score = score
    return PutResult.Added
  }

  /** What becomes of a member that has a score already; the new score is in `score`. */
  private decide(current: number, score: number, flags: number): PutResult {
    if ((flags & PutFlag.Absent) !== 0) return PutResult.Refused
    if ((flags & PutFlag.Increment) !== 0) {
      score += current
      if (Number.isNaN(score)) return PutResult.NotANumber
    }
    if ((flags & PutFlag.Less) !== 0 && score >= current) return PutResult.Refused
    if ((flags & PutFlag.Greater) !== 0 && score <= current) return PutResult.Refused
    this.score = score
    return score === current ? PutResult.Same : PutResult.Updated
  }

  private fits(length: number, limits: ZsetLimits): boolean {
    return (
      packedZsetSize(this.arena, this.ref) < limits.zsetMaxListpackEntries &&
      length <= limits.zsetMaxListpackValue &&
      hasZsetRoom(this.arena, this.ref, length)
    )
  }
}

/** A position in a sorted set by rank, either way. Reused: open it again for each use, and after each change. */
export class ZsetCursor {
  private readonly arena: Arena
  private readonly packed: PackedCursor
  private readonly order = new OrderCursor()
  private big: SortedSet | null = null
  /** Score of the current member. */
  score = 0
  /** Where each member of a packed sorted set starts, after `openForPicks`. */
  private positions = new Int32Array(0)

  constructor(arena: Arena) {
    this.arena = arena
    this.packed = new PackedCursor(arena)
  }

  /** Moves to the member of `rank`, which is shown in `member`. Returns false when there is none. */
  open(zset: ZsetView, rank: number, member: Element): boolean {
    this.big = zset.big
    if (zset.big !== null) return this.order.open(zset.big.order, rank) && this.showBig(member)
    if (rank < 0 || rank >= zset.size()) return false
    this.packed.open(zset.ref)
    const fromEnd = zset.size() - rank
    return this.packed.seek(fromEnd < rank ? -2 * fromEnd : 2 * rank) && this.showPacked(member)
  }

  /** Moves to the next member up. Returns false behind the highest. */
  next(member: Element): boolean {
    if (this.big !== null) return this.order.next() && this.showBig(member)
    return this.packed.advance() && this.showPacked(member)
  }

  /**
   * As `open`, for who looks at many scores and at few members: `nextScore` goes on, and `show` must be called before the
   * member is looked at. The members of a big sorted set lie anywhere in memory.
   */
  openScores(zset: ZsetView, rank: number, member: Element): boolean {
    if (zset.big === null) return this.open(zset, rank, member)
    this.big = zset.big
    return this.order.open(zset.big.order, rank) && this.takeScore()
  }

  nextScore(member: Element): boolean {
    return this.big === null ? this.next(member) : this.order.next() && this.takeScore()
  }

  show(member: Element): void {
    if (this.big !== null) this.showBig(member)
  }

  /** Moves to the next member down. Returns false before the lowest. */
  previous(member: Element): boolean {
    if (this.big !== null) return this.order.previous() && this.showBig(member)
    // The cursor stands on a score: its member and the score before lie behind it.
    this.packed.retreat()
    if (this.packed.position === PACKED_HEADER_BYTES) return false
    this.packed.retreat()
    this.packed.retreat()
    return this.showPacked(member)
  }

  /** Prepares for `pick`. O(n) in a packed sorted set. */
  openForPicks(zset: ZsetView): void {
    this.big = zset.big
    if (zset.big !== null) return
    this.packed.open(zset.ref)
    this.positions = packedPositions(this.packed, zset.size(), 2, this.positions)
  }

  /**
   * Shows the member at `index` (0 … size - 1) of an order of its own: the rows of a big sorted set, the ranks of a
   * packed one. O(1), for random members and scans.
   */
  pick(index: number, member: Element): void {
    if (this.big !== null) {
      this.score = this.big.score(index)
      member.showBlock(this.arena, this.big.memberRef(index))
    } else {
      this.packed.moveTo(this.positions[index]!)
      this.showPacked(member)
    }
  }

  private takeScore(): boolean {
    this.score = this.order.score
    return true
  }

  private showBig(member: Element): boolean {
    this.score = this.order.score
    member.showBlock(this.arena, this.order.member)
    return true
  }

  /** Shows the member on which the packed cursor stands, and leaves it on the score. */
  private showPacked(member: Element): boolean {
    member.showEntry(this.packed)
    this.packed.advance()
    this.score = entryScore(this.packed)
    return true
  }
}
