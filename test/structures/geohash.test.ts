/** Geohashes beside a plain model on BigInt. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeScore, encodeScore, GeoCell, GeoPosition, geohashText } from '../../src/structures/geohash.ts'

/** Interleaves two step numbers bit by bit. */
function interleave(x: number, y: number): bigint {
  let bits = 0n
  for (let n = 0n; n < 32n; n++)
    bits |= (((BigInt(x) >> n) & 1n) << (2n * n + 1n)) | (((BigInt(y) >> n) & 1n) << (2n * n))
  return bits
}

/** The middle of the cell of a score, calculated with 64 bits. */
function model(score: number): [number, number] {
  const bits = BigInt.asUintN(64, BigInt(Math.trunc(score)))
  let x = 0
  let y = 0
  for (let n = 31n; n >= 0n; n--) {
    x = x * 2 + Number((bits >> (2n * n + 1n)) & 1n)
    y = y * 2 + Number((bits >> (2n * n)) & 1n)
  }
  const middle = (step: number, max: number): number => {
    const from = -max + (step / 2 ** 26) * (2 * max)
    const to = -max + (((step + 1) % 2 ** 32) / 2 ** 26) * (2 * max)
    return Math.min(Math.max((from + to) / 2, -max), max)
  }
  return [middle(x, 180), middle(y, 85.05112878)]
}

const position = new GeoPosition()
const longitudes = fc.double({ min: -180, max: 180, noNaN: true })
const latitudes = fc.double({ min: -85.05112878, max: 85.05112878, noNaN: true })

test('a score is the interleaved step numbers, rounded as a 64-bit integer becomes a double', () => {
  fc.assert(
    fc.property(longitudes, latitudes, (longitude, latitude) => {
      const x = Math.trunc(((longitude + 180) / 360) * 2 ** 26)
      const y = Math.trunc(((latitude + 85.05112878) / (2 * 85.05112878)) * 2 ** 26)
      expect(encodeScore(longitude, latitude)).toBe(Number(interleave(x, y)))
    }),
  )
})

test('any score from -2^63 up to 2^64 is decoded as its 64 bits say', () => {
  const scores = fc.oneof(
    fc.double({ min: -(2 ** 63), max: 2 ** 64 - 2048, noNaN: true }),
    fc.nat(2 ** 30),
    fc.maxSafeInteger(),
  )
  fc.assert(
    fc.property(scores, (score) => {
      decodeScore(score, position)
      expect([position.longitude, position.latitude]).toEqual(model(score))
    }),
    { numRuns: 2000 },
  )
})

test('a score beyond 64 bits stands for one end or the other of the map', () => {
  decodeScore(Number.POSITIVE_INFINITY, position)
  expect(position.longitude).toBeCloseTo(-180, 4)
  decodeScore(-1e300, position)
  // Only bit 63 is left: a step number far to the east.
  expect(position.longitude).toBe(180)
})

test('the scores of a cell are those that begin with its bits', () => {
  fc.assert(
    fc.property(longitudes, latitudes, fc.integer({ min: 1, max: 26 }), (longitude, latitude, steps) => {
      const cell = new GeoCell()
      cell.enclose(longitude, latitude, steps)
      cell.spanScores()
      const shift = BigInt(2 * (26 - steps))
      const bits = interleave(cell.x, cell.y)
      expect(cell.scoreMin).toBe(Number(bits << shift))
      expect(cell.scoreEnd).toBe(Number((bits + 1n) << shift))
    }),
  )
})

test('neighbours go around the map, and keep the step number of the axis that they do not move on', () => {
  const cell = new GeoCell()
  const neighbor = new GeoCell()
  cell.enclose(-180, -85, 3)
  neighbor.neighbor(cell, -1, -1)
  expect([neighbor.x, neighbor.y, neighbor.steps]).toEqual([7, 7, 3])
  cell.enclose(180, 85.05112878, 3)
  expect([cell.x, cell.y]).toEqual([8, 8])
  neighbor.neighbor(cell, 1, 0)
  expect([neighbor.x, neighbor.y]).toEqual([1, 8])
})

test('the text of a geohash counts latitudes to the poles', () => {
  expect(geohashText(13.361389, 38.115556)).toBe('sqc8b49rny0')
  expect(geohashText(-180, -85.05112878)).toMatch(/^00/)
})
