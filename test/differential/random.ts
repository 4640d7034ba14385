/** A seeded generator of pseudo-random numbers (xorshift), so that a run can be repeated from its seed. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0 || 0x9e3779b9
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return (this.state >>> 0) % limit
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** Between `least` and `most` items made by `make`. */
  some<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1) }, make)
  }
}
