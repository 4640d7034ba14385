/**
 * Packed sorted sets: Redis keeps scores as text or integers, we as integers or the eight bytes of a double
 * (structures/packed-zset.ts). The order is checked, and made if it is wrong.
 */
import { parseDouble, parsePlainDecimal } from '../../bytes/double.ts'
import type { Limits } from '../../keyspace/limits.ts'
import { compareRanges } from '../../structures/score-order.ts'
import { PutFlag, type ZsetView } from '../../structures/zset-view.ts'
import { EntryText, PackedRun, RunCursor } from './read-packed.ts'

const SCORE_BYTES = 8

export class PackedZsetReader {
  private readonly cursor = new RunCursor()
  private member = new EntryText()
  private previous = new EntryText()
  private readonly converted = new PackedRun()
  private readonly scoreBytes = Buffer.alloc(SCORE_BYTES)

  /**
   * Puts the members and scores of a run, which has no duplicates and an even count, into a view that looks at no sorted
   * set. Returns false, and leaves the view, when a score is no number.
   */
  read(run: PackedRun, zset: ZsetView, limits: Limits): boolean {
    const { converted } = this
    converted.begin()
    let isOrdered = true
    let lastScore = Number.NEGATIVE_INFINITY
    this.cursor.open(run)
    for (let isFirst = true; this.advance(); isFirst = false) {
      const score = this.score()
      if (Number.isNaN(score)) return false
      this.append(score)
      const order = isFirst ? 1 : score - lastScore
      if (order < 0 || (score === lastScore && !isFirst && this.compareToPrevious() <= 0)) isOrdered = false
      lastScore = score
    }
    converted.finish()
    if (isOrdered) {
      zset.openPacked(converted.toBlock(zset.arena))
      if (converted.count > limits.zsetMaxListpackEntries * 2) zset.becomeBig()
    } else this.putAll(run, zset, limits)
    converted.release()
    return true
  }

  /** Shows the next member, the one before it in `previous`; the cursor moves on to its score. */
  private advance(): boolean {
    if (!this.cursor.advance()) return false
    const member = this.previous
    this.previous = this.member
    this.member = member
    this.cursor.showText(member)
    this.converted.copyEntry(this.cursor.buffer, this.cursor.position, this.cursor.next)
    this.cursor.advance()
    return true
  }

  private compareToPrevious(): number {
    const { member, previous } = this
    return compareRanges(member.buffer, member.start, member.length, previous.buffer, previous.start, previous.length)
  }

  /** The score that the cursor stands on, NaN when it is none. */
  private score(): number {
    const { cursor } = this
    if (cursor.isInteger) return cursor.integer
    return scoreOfText(cursor.buffer, cursor.start, cursor.length)
  }

  private append(score: number): void {
    if (Number.isSafeInteger(score)) {
      this.converted.appendInteger(score)
      return
    }
    this.scoreBytes.writeDoubleLE(score)
    this.converted.appendBytes(this.scoreBytes, 0, SCORE_BYTES)
  }

  /** Sorts members that are not in order by adding one after the other. */
  private putAll(run: PackedRun, zset: ZsetView, limits: Limits): void {
    zset.create(run.count >>> 1, 0, limits)
    this.cursor.open(run)
    this.converted.begin()
    while (this.advance()) {
      const { buffer, start, length } = this.member
      zset.put(buffer, start, length, this.score(), PutFlag.Absent, limits)
    }
  }
}

/** A score that was written as text, NaN when it is none. */
export function scoreOfText(buffer: Buffer, start: number, length: number): number {
  const plain = parsePlainDecimal(buffer, start, length)
  if (!Number.isNaN(plain)) return plain
  return parseDouble(buffer.latin1Slice(start, start + length)) ?? Number.NaN
}
