/**
 * Which offset of the stream stands behind an effect: for WAIT, which asks for the last write of its connection. Hot path,
 * while there are replicas: note.
 *
 * A mark is made whenever the journal hands bytes to the stream. The last MARKS are kept; an effect before them counts as
 * one of the first mark's, which is later, so that WAIT may wait too long but never too short.
 */

const MARKS = 1024

export class EffectOffsets {
  private readonly effects = new Float64Array(MARKS)
  private readonly offsets = new Float64Array(MARKS)
  /** Marks made so far. */
  private count = 0

  /** All effects up to number `effect` are in the stream up to `offset`. Both only grow. */
  note(effect: number, offset: number): void {
    const slot = this.count % MARKS
    this.effects[slot] = effect
    this.offsets[slot] = offset
    this.count++
  }

  /** The offset up to which a replica must have come to have the effect; that of the last mark when it is newer. */
  offsetOf(effect: number): number {
    if (this.count === 0) return 0
    let low = Math.max(0, this.count - MARKS)
    let high = this.count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.effects[middle % MARKS]! < effect) low = middle + 1
      else high = middle
    }
    return this.offsets[low % MARKS]!
  }
}
