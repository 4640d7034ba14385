/**
 * What a search of a geo index has found: positions, distances and names, in typed arrays that are used again. Hot path.
 *
 * Names are copied, so that a result outlives the sorted set it comes from: GEOSEARCHSTORE may overwrite its source.
 */
import { copyBytes } from '../storage/arena.ts'
import type { Element } from './element.ts'

/** In which order hits are wanted. */
export const HitOrder = { Found: 0, NearestFirst: 1, FarthestFirst: 2 } as const
export type HitOrder = (typeof HitOrder)[keyof typeof HitOrder]

const FIRST_HITS = 64
const FIRST_NAME_BYTES = 1024
/** Room beyond this is given back after use. */
const KEPT_HITS = 16 * 1024
const KEPT_NAME_BYTES = 1024 * 1024

export class GeoHits {
  /** Number of hits. */
  count = 0
  /** Distance of each from the middle of the search, in m. */
  distances = new Float64Array(FIRST_HITS)
  scores = new Float64Array(FIRST_HITS)
  longitudes = new Float64Array(FIRST_HITS)
  latitudes = new Float64Array(FIRST_HITS)
  /** Name n is `names[nameStarts[n], nameStarts[n + 1])`. */
  names: Buffer = Buffer.allocUnsafeSlow(FIRST_NAME_BYTES)
  nameStarts = new Int32Array(FIRST_HITS + 1)

  /** Forgets all hits. */
  clear(): void {
    this.count = 0
    if (this.distances.length > KEPT_HITS) this.resize(FIRST_HITS)
    if (this.names.length > KEPT_NAME_BYTES) this.names = Buffer.allocUnsafeSlow(FIRST_NAME_BYTES)
  }

  add(member: Element, score: number, distance: number, longitude: number, latitude: number): void {
    const n = this.count
    if (n === this.distances.length) this.resize(n * 2)
    member.spell()
    const start = this.nameStarts[n]!
    const end = start + member.length
    if (end > this.names.length) this.growNames(end)
    copyBytes(member.buffer, member.start, this.names, start, member.length)
    this.nameStarts[n + 1] = end
    this.distances[n] = distance
    this.scores[n] = score
    this.longitudes[n] = longitude
    this.latitudes[n] = latitude
    this.count = n + 1
  }

  /**
   * The first `count` hits in an order; hits of the same distance stay in the order in which they were found.
   * O(n + n log count).
   */
  select(order: HitOrder, count: number): Int32Array {
    const n = Math.min(count, this.count)
    const chosen = new Int32Array(n)
    for (let hit = 0; hit < n; hit++) chosen[hit] = hit
    if (order === HitOrder.Found) return chosen
    const sign = order === HitOrder.NearestFirst ? 1 : -1
    if (n < this.count) this.keepFirst(chosen, sign)
    return chosen.sort((a, b) => this.compare(a, b, sign))
  }

  /** Exchanges hits until `chosen`, which holds the first found, holds those that come first: a heap, the last on top. */
  private keepFirst(chosen: Int32Array, sign: number): void {
    for (let at = (chosen.length >> 1) - 1; at >= 0; at--) this.sink(chosen, at, sign)
    for (let hit = chosen.length; hit < this.count; hit++) {
      if (this.compare(hit, chosen[0]!, sign) >= 0) continue
      chosen[0] = hit
      this.sink(chosen, 0, sign)
    }
  }

  private sink(heap: Int32Array, from: number, sign: number): void {
    const hit = heap[from]!
    let at = from
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.compare(heap[child]!, heap[child + 1]!, sign) < 0) child++
      if (this.compare(hit, heap[child]!, sign) >= 0) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = hit
  }

  private compare(a: number, b: number, sign: number): number {
    const first = this.distances[a]!
    const second = this.distances[b]!
    if (first === second) return a - b
    return first < second ? -sign : sign
  }

  private resize(hits: number): void {
    this.distances = resized(this.distances, hits)
    this.scores = resized(this.scores, hits)
    this.longitudes = resized(this.longitudes, hits)
    this.latitudes = resized(this.latitudes, hits)
    const starts = new Int32Array(hits + 1)
    starts.set(this.nameStarts.subarray(0, starts.length))
    this.nameStarts = starts
  }

  private growNames(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.names.length * 2, needed))
    this.names.copy(grown, 0, 0, this.nameStarts[this.count])
    this.names = grown
  }
}

function resized(source: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const target = new Float64Array(length)
  target.set(source.subarray(0, length))
  return target
}
