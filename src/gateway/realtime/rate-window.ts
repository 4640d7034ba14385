/** Counts what a client sends: a bucket that refills evenly and holds two seconds' worth. */
export class RateWindow {
  private readonly perSecond: number
  private left: number
  private atMs: number = Number.NEGATIVE_INFINITY

  constructor(perSecond: number) {
    this.perSecond = perSecond
    this.left = perSecond * 2
  }

  /** Returns false when there have been too many. */
  take(nowMs: number): boolean {
    const passedMs = Math.min(nowMs - this.atMs, 2000)
    this.atMs = nowMs
    this.left = Math.min(this.perSecond * 2, this.left + (passedMs / 1000) * this.perSecond)
    if (this.left < 1) return false
    this.left--
    return true
  }
}
