/**
 * How many requests may wait for something to happen, over all doors. Each takes a session of the engine while it waits, so
 * their number is bounded, well below `maxclients`: others must still be able to connect.
 */
export const WAITS_MAX = 5000
export const TOO_MANY_WAIT = 'Too many requests wait already'

export class Waits {
  private readonly max: number
  private count = 0

  constructor(max: number) {
    this.max = max
  }

  /** Takes a place; false when there is none. `leave` must follow. */
  enter(): boolean {
    if (this.count >= this.max) return false
    this.count++
    return true
  }

  leave(): void {
    this.count--
  }
}
