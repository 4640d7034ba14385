/**
 * Keyspace notifications: event classes and the text form of `notify-keyspace-events`.
 * Source: Valkey 7.2 src/notify.c, redis.io/docs/manual/keyspace-notifications.
 */

/** Event classes, as bits; the letter of each is in LETTERS. */
export const Notify = {
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

/** Class A: all but key misses and new keys. */
export const NOTIFY_ALL =
  Notify.Generic |
  Notify.String |
  Notify.List |
  Notify.Set |
  Notify.Hash |
  Notify.Zset |
  Notify.Expired |
  Notify.Evicted |
  Notify.Stream |
  Notify.Module

const LETTERS: readonly (readonly [string, number])[] = [
  ['g', Notify.Generic],
  ['$', Notify.String],
  ['l', Notify.List],
  ['s', Notify.Set],
  ['h', Notify.Hash],
  ['z', Notify.Zset],
  ['x', Notify.Expired],
  ['e', Notify.Evicted],
  ['t', Notify.Stream],
  ['d', Notify.Module],
]

const EXTRA_LETTERS: readonly (readonly [string, number])[] = [
  ['K', Notify.Keyspace],
  ['E', Notify.Keyevent],
  ['m', Notify.KeyMiss],
  ['n', Notify.New],
]

/** Reads the letters of `notify-keyspace-events`; null for an unknown letter. */
export function parseNotifyFlags(text: string): number | null {
  let flags = 0
  for (const letter of text) {
    if (letter === 'A') {
      flags |= NOTIFY_ALL
      continue
    }
    const known = LETTERS.find((l) => l[0] === letter) ?? EXTRA_LETTERS.find((l) => l[0] === letter)
    if (known === undefined) return null
    flags |= known[1]
  }
  return flags
}

/** The letters for a set of flags, in Redis' order. */
export function formatNotifyFlags(flags: number): string {
  let text = ''
  if ((flags & NOTIFY_ALL) === NOTIFY_ALL) text += 'A'
  else for (const [letter, bit] of LETTERS) if (flags & bit) text += letter
  for (const [letter, bit] of EXTRA_LETTERS) if (flags & bit) text += letter
  return text
}
