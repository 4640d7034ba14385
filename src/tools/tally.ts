/**
 * Counts of very many names in bounded memory: names with most bytes are kept, the rest is added up as "other".
 *
 * When four times as many names as are kept have gathered, all but the biggest are added to "other" and forgotten. One that comes
 * again begins anew, so after that the counts of names are lower bounds; those of all together are always exact.
 */

/** Names kept at least. */
const KEPT_NAMES = 10_000
/** How many times as many gather before names are forgotten. */
const GATHERED_FACTOR = 4

export interface Amount {
  /** How many there are. */
  count: number
  /** Bytes in the file. */
  bytes: number
  /** Bytes of memory when loaded; 0 for what has none. */
  memory: number
}

export interface NamedAmount extends Amount {
  /** A byte string. */
  readonly name: string
}

export interface TallyResult {
  /** In descending order of their bytes. */
  readonly top: readonly NamedAmount[]
  /** All names that are not in `top`. */
  readonly other: Amount
  /** Whether counts of names are lower bounds. */
  readonly isApproximate: boolean
}

export class Tally {
  private readonly amounts = new Map<string, Amount>()
  private readonly forgotten: Amount = { count: 0, bytes: 0, memory: 0 }
  private readonly keptNames: number

  constructor(keptNames: number = KEPT_NAMES) {
    this.keptNames = keptNames
  }

  /** Names that are told apart now. */
  get size(): number {
    return this.amounts.size
  }

  add(name: string, bytes: number, memory: number): void {
    const amount = this.amounts.get(name)
    if (amount !== undefined) {
      addTo(amount, 1, bytes, memory)
      return
    }
    if (this.amounts.size >= this.keptNames * GATHERED_FACTOR) this.forget()
    this.amounts.set(name, { count: 1, bytes, memory })
  }

  /** The `limit` names with most bytes (of memory where there is any, else in the file), and the rest. */
  result(limit: number): TallyResult {
    const sorted = this.sorted()
    const other = { ...this.forgotten }
    for (const { count, bytes, memory } of sorted.slice(limit)) addTo(other, count, bytes, memory)
    return { top: sorted.slice(0, limit), other, isApproximate: this.forgotten.count > 0 }
  }

  private sorted(): NamedAmount[] {
    return [...this.amounts]
      .map(([name, amount]) => ({ name, ...amount }))
      .sort((a, b) => weightOf(b) - weightOf(a) || (a.name < b.name ? -1 : 1))
  }

  /** Forgets all but the `keptNames` biggest; of those that are as big as the smallest kept one, some are kept. */
  private forget(): void {
    const weights = new Float64Array(this.amounts.size)
    let i = 0
    for (const amount of this.amounts.values()) weights[i++] = weightOf(amount)
    weights.sort()
    const least = weights[weights.length - this.keptNames]!
    let excess = weights.length - this.keptNames - weights.indexOf(least)
    for (const [name, amount] of this.amounts) {
      const weight = weightOf(amount)
      if (weight > least || (weight === least && excess-- <= 0)) continue
      this.amounts.delete(name)
      addTo(this.forgotten, amount.count, amount.bytes, amount.memory)
    }
  }
}

/** By what names are kept: memory where there is any, else bytes in the file. */
function weightOf({ bytes, memory }: Amount): number {
  return memory > 0 ? memory : bytes
}

function addTo(amount: Amount, count: number, bytes: number, memory: number): void {
  amount.count += count
  amount.bytes += bytes
  amount.memory += memory
}
