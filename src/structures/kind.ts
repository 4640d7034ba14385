/**
 * What a key holds: its kind, as stored in the key index beside a float64 value.
 *
 * | kind | value in the index |
 * | --- | --- |
 * | StringBytes | arena reference of the bytes |
 * | StringInteger | the integer itself (a safe integer; no arena block) |
 * | ListPacked, HashPacked, HashWide, SetIntset, SetPacked, ZsetPacked | arena reference of one packed block |
 * | ListBig, HashDict, HashTimed, SetDict, ZsetBig, Stream | index in the table of collection objects |
 *
 * Every kind from ListBig's row up that is "big" is an object that implements `Collection`.
 */
import type { CollectionWalk, ElementSink } from './walk.ts'

export const Kind = {
  None: 0,
  StringBytes: 1,
  StringInteger: 2,
  ListPacked: 3,
  ListBig: 4,
  HashPacked: 5,
  HashDict: 6,
  /** Sorted integers of the set in one arena block, see structures/intset.ts. */
  SetIntset: 7,
  SetPacked: 8,
  SetDict: 9,
  ZsetPacked: 10,
  ZsetBig: 11,
  Stream: 12,
  /** A packed hash with a field or value above the threshold: reported as a hashtable, kept in one block while small. */
  HashWide: 13,
  /** A packed hash whose fields may have expire times (structures/packed-timed-hash.ts). A HashDict may have them too. */
  HashTimed: 14,
} as const

/** The five types that TYPE reports, beside 'none'. */
export const TYPE_OF_KIND: readonly string[] = [
  'none',
  'string',
  'string',
  'list',
  'list',
  'hash',
  'hash',
  'set',
  'set',
  'set',
  'zset',
  'zset',
  'stream',
  'hash',
  'hash',
]

/** What OBJECT ENCODING reports; StringBytes is 'embstr', 'raw' or 'int' by its length and text. */
export const ENCODING_OF_KIND: readonly string[] = [
  'none',
  'raw',
  'int',
  'listpack',
  'quicklist',
  'listpack',
  'hashtable',
  'intset',
  'listpack',
  'hashtable',
  'listpack',
  'skiplist',
  'stream',
  'hashtable',
  'listpackex',
]

/** As ENCODING_OF_KIND, with the names that Redis 7.0 had. */
export const ENCODING_OF_KIND_7_0: readonly string[] = ENCODING_OF_KIND.map((encoding, kind) => {
  if (kind === Kind.ListPacked) return 'quicklist'
  return kind === Kind.SetPacked ? 'hashtable' : encoding
})

/** A collection above the packed thresholds. It owns arena blocks and frees them all in `free`. */
export interface Collection {
  /** Frees every arena block of the collection; the object is not used afterwards. */
  free(): void
  /**
   * Frees up to `limit` elements (nodes of a list, blocks of a stream) of a collection that is given up. Returns true
   * when all is freed, as by `free`; until then only `freeSome` may be called, with a limit over 0.
   */
  freeSome(limit: number): boolean
  /**
   * Begins to deliver the collection as it is now, however it changes meanwhile; one walk at a time (walk.ts).
   * The elements of hashes, sets and sorted sets come early when they are about to change: complete, to `early`.
   */
  beginWalk(early: ElementSink): CollectionWalk
  /** Arena bytes (capacity of all blocks it owns), for the accounting check. */
  arenaBytes(): number
  /** Arena blocks it owns. */
  arenaBlocks(): number
  /** Of `overheadBytes`, what the object itself takes, as estimated. */
  readonly objectBytes: number
  /**
   * Bytes outside the arena's segments: typed arrays, which the collection adds to `outsideBytes` of the arena as they
   * come and takes off as they go, and `objectBytes`, which count while the keyspace has the object.
   */
  overheadBytes(): number
  /** About how many steps freeing takes (see LazyFree): elements, nodes of a list, blocks and groups of a stream. O(1). */
  freeSteps(): number
}

/** Whether the value of this kind is an index into the table of collection objects. */
export function isObjectKind(kind: number): boolean {
  return (
    kind === Kind.ListBig ||
    kind === Kind.HashDict ||
    kind === Kind.HashTimed ||
    kind === Kind.SetDict ||
    kind === Kind.ZsetBig ||
    kind === Kind.Stream
  )
}
