/**
 * How long a match of a pattern may take, in steps of a regular expression: chars that it looks at. Patterns have neither
 * choices nor repeated groups, so this is a polynomial of the length of the subject.
 */
import { allowance } from './memory.ts'
import { type Item, ItemKind } from './pattern-items.ts'

/** What one match by a regular expression may take: some 100 ms. */
const MATCH_STEPS_MAX = 20_000_000
/** Steps of matching between two looks at the clock. */
const TICK_STEPS = 5_000_000
/** A length that is long enough to tell the degree of a polynomial. */
const LONG = 2 ** 20

let left = TICK_STEPS

/** Spends steps of matching. Throws `ScriptAborted` when the script is to end. */
export function spend(steps: number): void {
  left -= steps
  if (left >= 0) return
  left = TICK_STEPS
  allowance.tick()
}

export interface MatchCost {
  /** A match of a subject takes at most `coefficient * length ** degree` steps. */
  readonly coefficient: number
  readonly degree: number
  /** Longest subject for which that is no more than a regular expression may take. */
  readonly safeLength: number
}

export function costOf(items: readonly Item[], isAnchored: boolean): MatchCost {
  const at = (length: number): number => stepsAt(items, length) * (isAnchored ? 1 : length + 1)
  const degree = Math.round(Math.log2(at(LONG * 2) / at(LONG)))
  let safeLength = 0
  for (let step = LONG * 16; step >= 1; step /= 2) {
    if (at(safeLength + step) <= MATCH_STEPS_MAX) safeLength += step
  }
  return { coefficient: at(LONG) / LONG ** degree + 1, degree, safeLength }
}

/** What matching takes at most from one place on. */
function stepsAt(items: readonly Item[], length: number): number {
  let steps = 1
  for (let i = items.length - 1; i >= 0; i--) {
    const { kind } = items[i]!
    if (kind === ItemKind.Single) steps += 1
    else if (kind === ItemKind.Optional) steps = items[i]!.goesOneWay ? steps + 1 : steps * 2
    else if (kind === ItemKind.Star || kind === ItemKind.Plus || kind === ItemKind.Minus) {
      // Where fewer of them never help, what follows is only tried once.
      steps = items[i]!.goesOneWay ? steps + length * (items.length - i) : (steps + 1) * (length + 1)
    }
  }
  return steps
}
