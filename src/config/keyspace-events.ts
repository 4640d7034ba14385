/** Classes of keyspace notifications as bits, and their letters in `notify-keyspace-events`. */

/** One bit per class; the numbers are Redis' own. Source: Valkey src/server.h `NOTIFY_*`. */
export const KeyspaceEvent = {
  Keyspace: 1 << 0,
  Keyevent: 1 << 1,
  Generic: 1 << 2,
  String: 1 << 3,
  List: 1 << 4,
  Set: 1 << 5,
  Hash: 1 << 6,
  Zset: 1 << 7,
  Expired: 1 << 8,
  Evicted: 1 << 9,
  Stream: 1 << 10,
  KeyMiss: 1 << 11,
  Module: 1 << 13,
  New: 1 << 14,
} as const

/** Letters in the order in which they are written back; those of the first list are covered by `A`. */
const ALL_CLASSES: readonly [letter: string, bit: number][] = [
  ['g', KeyspaceEvent.Generic],
  ['$', KeyspaceEvent.String],
  ['l', KeyspaceEvent.List],
  ['s', KeyspaceEvent.Set],
  ['h', KeyspaceEvent.Hash],
  ['z', KeyspaceEvent.Zset],
  ['x', KeyspaceEvent.Expired],
  ['e', KeyspaceEvent.Evicted],
  ['t', KeyspaceEvent.Stream],
  ['d', KeyspaceEvent.Module],
]
const OTHER_CLASSES: readonly [letter: string, bit: number][] = [
  ['K', KeyspaceEvent.Keyspace],
  ['E', KeyspaceEvent.Keyevent],
  ['m', KeyspaceEvent.KeyMiss],
]
const NEW_CLASS: readonly [letter: string, bit: number] = ['n', KeyspaceEvent.New]

/** What the letter `A` stands for: all classes but key misses and new keys. */
export const ALL_KEYSPACE_EVENTS = ALL_CLASSES.reduce((bits, [, bit]) => bits | bit, 0)

const BITS: ReadonlyMap<string, number> = new Map([
  ...ALL_CLASSES,
  ...OTHER_CLASSES,
  NEW_CLASS,
  ['A', ALL_KEYSPACE_EVENTS] as const,
])

/** The bits for a string of letters; `null` if one of them is unknown. */
export function parseKeyspaceEvents(letters: string): number | null {
  let bits = 0
  for (const letter of letters) {
    const bit = BITS.get(letter)
    if (bit === undefined) return null
    bits |= bit
  }
  return bits
}

/**
 * The letters for bits. `n` is left out beside `A`, as Redis does although `A` does not cover it.
 * Source: Valkey src/notify.c `keyspaceEventsFlagsToString`.
 */
export function formatKeyspaceEvents(bits: number): string {
  const hasAll = (bits & ALL_KEYSPACE_EVENTS) === ALL_KEYSPACE_EVENTS
  const classes = hasAll ? 'A' : lettersOf([...ALL_CLASSES, NEW_CLASS], bits)
  return classes + lettersOf(OTHER_CLASSES, bits)
}

function lettersOf(classes: readonly (readonly [string, number])[], bits: number): string {
  let letters = ''
  for (const [letter, bit] of classes) if ((bits & bit) !== 0) letters += letter
  return letters
}
