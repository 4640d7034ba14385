/**
 * Geohashes: a position on the earth as an integer of 52 bits, the score of a member of a geo index.
 *
 * Longitude and latitude are each cut into 2^26 steps; the bits of the two step numbers are interleaved, so that positions
 * with a common prefix lie in one cell. Fewer steps give larger cells. Nothing here needs BigInt: a cell is kept as its
 * two step numbers, which are interleaved as two halves of at most 32 bits.
 *
 *     bit   51   50   49   48  …   1    0
 *           lon  lat  lon  lat … lon  lat
 *
 * The easternmost longitude and the northernmost latitude have the step number 2^steps, one bit more than the others: such
 * scores have up to 54 bits and are rounded to a double, as Redis rounds them.
 * Source: Valkey src/geohash.c, src/geo.c `scoresOfGeoHashBox`, `geohashCommand`. Hot path: `decodeScore`.
 */

/** What can be stored; Mercator maps end at these latitudes. Degrees. */
export const LONGITUDE_MAX = 180
export const LATITUDE_MAX = 85.05112878

/** Steps of a score. */
export const STEPS_MAX = 26

const STEP_CELLS = 2 ** STEPS_MAX
const WORD = 2 ** 32
const INT64_END = 2 ** 63
const ALPHABET = '0123456789bcdefghjkmnpqrstuvwxyz'
const GEOHASH_LETTERS = 10
const BITS_PER_LETTER = 5

/** A position, in degrees. Reused. */
export class GeoPosition {
  longitude = 0
  latitude = 0
}

/** One cell of the grid with 2^steps × 2^steps cells. Reused. */
export class GeoCell {
  /** Step numbers, from the west and from the south. */
  x = 0
  y = 0
  /** Logarithm of the number of cells along each axis. */
  steps = 0
  /** Lowest score of a position in the cell, and the lowest one behind it; after `spanScores`. */
  scoreMin = 0
  scoreEnd = 0

  /** Becomes the cell that a position lies in. */
  enclose(longitude: number, latitude: number, steps: number): void {
    const cells = 2 ** steps
    this.steps = steps
    this.x = Math.trunc(((longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX)) * cells)
    this.y = Math.trunc(((latitude + LATITUDE_MAX) / (2 * LATITUDE_MAX)) * cells)
  }

  /** Becomes the cell that lies `dx` cells to the east and `dy` to the north of another; the map is round in both. */
  neighbor(cell: GeoCell, dx: number, dy: number): void {
    const mask = 2 ** cell.steps - 1
    this.steps = cell.steps
    this.x = dx === 0 ? cell.x : (cell.x + dx) & mask
    this.y = dy === 0 ? cell.y : (cell.y + dy) & mask
  }

  equals(other: GeoCell): boolean {
    return this.x === other.x && this.y === other.y && this.steps === other.steps
  }

  get west(): number {
    return degrees(this.x, 2 ** this.steps, LONGITUDE_MAX)
  }

  get east(): number {
    return degrees(this.x + 1, 2 ** this.steps, LONGITUDE_MAX)
  }

  get south(): number {
    return degrees(this.y, 2 ** this.steps, LATITUDE_MAX)
  }

  get north(): number {
    return degrees(this.y + 1, 2 ** this.steps, LATITUDE_MAX)
  }

  /** Finds the scores of what lies in the cell: all from `scoreMin` up to, and without, `scoreEnd`. */
  spanScores(): void {
    const scale = 2 ** (2 * (STEPS_MAX - this.steps))
    const high = spread(this.x) * 2
    const low = spread(this.y)
    // Each sum is rounded once, which matters only where a score has more than 53 bits.
    this.scoreMin = (high + low) * scale
    this.scoreEnd = (high + (low + 1)) * scale
  }
}

const cell = new GeoCell()

/** The score of a position, which must be one that can be stored. */
export function encodeScore(longitude: number, latitude: number): number {
  cell.enclose(longitude, latitude, STEPS_MAX)
  return spread(cell.x) * 2 + spread(cell.y)
}

/**
 * Finds the position that a score stands for: the middle of its cell. Any double is taken for a score, as Redis does: its
 * fraction is cut off, and what has no 64 bits is 0 (above) or -2^63 (below).
 */
export function decodeScore(score: number, position: GeoPosition): void {
  splitScore(score)
  const x = bits.x
  const y = bits.y
  // The number of the step behind wraps around in 32 bits.
  const east = degrees((x + 1) >>> 0, STEP_CELLS, LONGITUDE_MAX)
  const north = degrees((y + 1) >>> 0, STEP_CELLS, LATITUDE_MAX)
  position.longitude = clamp((degrees(x, STEP_CELLS, LONGITUDE_MAX) + east) / 2, LONGITUDE_MAX)
  position.latitude = clamp((degrees(y, STEP_CELLS, LATITUDE_MAX) + north) / 2, LATITUDE_MAX)
}

/**
 * The common geohash of a position, with 11 letters. It counts latitudes from -90 to 90, unlike scores; the last letter
 * would need 55 bits and is always 0.
 */
export function geohashText(longitude: number, latitude: number): string {
  const cells = 2 ** STEPS_MAX
  const x = Math.trunc(((longitude + 180) / 360) * cells)
  const y = Math.trunc(((latitude + 90) / 180) * cells)
  let text = ''
  let bit = 2 * STEPS_MAX - 1
  for (let letter = 0; letter < GEOHASH_LETTERS; letter++) {
    let index = 0
    for (let k = 0; k < BITS_PER_LETTER; k++, bit--) {
      index = index * 2 + (((bit % 2 === 1 ? x : y) >>> (bit >> 1)) & 1)
    }
    text += ALPHABET[index]
  }
  return `${text}0`
}

/** Where step `number` of `cells` begins. The order of the operations is Redis', so that the last bit is the same. */
function degrees(number: number, cells: number, max: number): number {
  return -max + (number / cells) * (max + max)
}

function clamp(value: number, max: number): number {
  return value > max ? max : value < -max ? -max : value
}

/** Result of `splitScore`. */
const bits = { x: 0, y: 0 }

/** Takes the odd and the even bits of a score apart. */
function splitScore(score: number): void {
  let whole = Math.trunc(score)
  if (whole < -INT64_END) whole = -INT64_END
  const high = Math.floor(whole / WORD)
  const low = whole - high * WORD
  const isTooLarge = whole >= 2 * INT64_END
  const highBits = isTooLarge ? 0 : high >>> 0
  const lowBits = isTooLarge ? 0 : low >>> 0
  bits.x = ((gather(highBits >>> 1) << 16) | gather(lowBits >>> 1)) >>> 0
  bits.y = ((gather(highBits) << 16) | gather(lowBits)) >>> 0
}

/** Moves bit n of an integer below 2^32 to bit 2n. */
function spread(value: number): number {
  return spread16(value >>> 16) * WORD + spread16(value & 0xffff)
}

function spread16(value: number): number {
  let v = value
  v = (v | (v << 8)) & 0x00ff00ff
  v = (v | (v << 4)) & 0x0f0f0f0f
  v = (v | (v << 2)) & 0x33333333
  v = (v | (v << 1)) & 0x55555555
  return v >>> 0
}

/** Moves bit 2n of a word to bit n. */
function gather(value: number): number {
  let v = value & 0x55555555
  v = (v | (v >>> 1)) & 0x33333333
  v = (v | (v >>> 2)) & 0x0f0f0f0f
  v = (v | (v >>> 4)) & 0x00ff00ff
  v = (v | (v >>> 8)) & 0x0000ffff
  return v
}
