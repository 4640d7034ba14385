/**
 * Areas on the earth: which positions lie in them, how far these are from the middle, and which cells of the grid cover an
 * area.
 *
 * An area is covered by the cell of its middle and the eight around it, in cells so large that nothing sticks out. Distances
 * are along the surface of a ball (haversine). Steps and order of all calculations are Redis', so that a position near
 * an edge is in or out for both.
 * Source: Valkey src/geohash_helper.c, src/geo.c `membersOfAllNeighbors`.
 */
import { GeoCell, LATITUDE_MAX, LONGITUDE_MAX, STEPS_MAX } from './geohash.ts'

const RADIANS = Math.PI / 180
/** Mean radius of the earth, in m. */
const EARTH_RADIUS = 6372797.560856
/** Half of the earth's circumference on a Mercator map, in m. */
const MERCATOR_MAX = 20037726.37
/** From these latitudes on, cells are one step, or two, larger: the map is stretched there. */
const POLAR_LATITUDES = [66, 80]

/** Much more than rounding can make of a number, and little to calculate in vain. */
const ROUNDING = 1e-9

/** Outside of the area. */
export const OUTSIDE = -1

/** Where the nine cells lie, in the order in which they are searched: results that nobody sorts come in it. */
const AROUND: readonly (readonly [dx: number, dy: number])[] = [
  [0, 0],
  [0, 1],
  [0, -1],
  [1, 0],
  [-1, 0],
  [1, 1],
  [-1, 1],
  [1, -1],
  [-1, -1],
]

/** A circle, or a box whose sides go along the meridians. Reused. */
export class GeoArea {
  longitude = 0
  latitude = 0
  /** Metres of the unit that the sizes below are given in. */
  unit = 1
  isBox = false
  radius = 0
  width = 0
  height = 0
  /** The middle in radians, and its cosine; after `measure`, as what follows. */
  private east = 0
  private north = 0
  private cosine = 0
  /** What is further, in m, or has a greater haversine, is outside whatever the last bits are. */
  private farMeters = 0
  private farHaversine = 0
  private readonly cells = AROUND.map(() => new GeoCell())

  /** The distance of a position from the middle, in m; OUTSIDE when it does not lie in the area. */
  distanceTo(longitude: number, latitude: number): number {
    if (!this.isBox) return this.distanceInCircle(longitude, latitude)
    if (distanceOfLatitudes(latitude, this.latitude) > (this.height * this.unit) / 2) return OUTSIDE
    const across = distanceBetween(longitude, latitude, this.longitude, latitude)
    if (across > (this.width * this.unit) / 2) return OUTSIDE
    return distanceBetween(this.longitude, this.latitude, longitude, latitude)
  }

  /** As `distanceBetween` with the middle; most of what lies outside costs no sine, and no arc. */
  private distanceInCircle(longitude: number, latitude: number): number {
    const to = latitude * RADIANS
    if (EARTH_RADIUS * Math.abs(to - this.north) > this.farMeters) return OUTSIDE
    const v = Math.sin((longitude * RADIANS - this.east) / 2)
    let distance: number
    if (v === 0) distance = distanceOfLatitudes(this.latitude, latitude)
    else {
      const u = Math.sin((to - this.north) / 2)
      const haversine = u * u + this.cosine * Math.cos(to) * v * v
      if (haversine > this.farHaversine) return OUTSIDE
      distance = 2 * EARTH_RADIUS * Math.asin(Math.sqrt(haversine))
    }
    return distance > this.radius * this.unit ? OUTSIDE : distance
  }

  /** Calculates what is the same for all positions. */
  private measure(): void {
    const limit = this.radius * this.unit
    this.east = this.longitude * RADIANS
    this.north = this.latitude * RADIANS
    this.cosine = Math.cos(this.north)
    this.farMeters = limit * (1 + ROUNDING)
    const half = Math.sin(limit / (2 * EARTH_RADIUS))
    // Half of the circumference reaches everywhere.
    this.farHaversine =
      limit / EARTH_RADIUS < Math.PI * (1 - ROUNDING) ? half * half * (1 + ROUNDING) : Number.POSITIVE_INFINITY
  }

  /** Calls `visit` with each cell to be searched, its scores known, until it returns false. */
  eachCell(visit: (cell: GeoCell) => boolean): void {
    this.measure()
    const { isWestDone, isEastDone, isSouthDone, isNorthDone } = this.placeCells()
    let last = 0
    for (let i = 0; i < AROUND.length; i++) {
      const [dx, dy] = AROUND[i]!
      if ((dx < 0 && isWestDone) || (dx > 0 && isEastDone) || (dy < 0 && isSouthDone) || (dy > 0 && isNorthDone))
        continue
      const cell = this.cells[i]!
      // With very large cells two neighbours may be the same one.
      if (last > 0 && cell.equals(this.cells[last]!)) continue
      cell.spanScores()
      if (!visit(cell)) return
      last = i
    }
  }

  /** Lays out the cells. Returns on which sides the middle one reaches further than the area. */
  private placeCells(): CoveredSides {
    const { longitude, latitude, unit } = this
    const heightHalf = unit * (this.isBox ? this.height / 2 : this.radius)
    const widthHalf = unit * (this.isBox ? this.width / 2 : this.radius)
    const latitudeDelta = heightHalf / EARTH_RADIUS / RADIANS
    // The edge that is nearer to a pole spans more degrees.
    const edge = latitude < 0 ? latitude - latitudeDelta : latitude + latitudeDelta
    const longitudeDelta = widthHalf / EARTH_RADIUS / Math.cos(edge * RADIANS) / RADIANS
    const west = longitude - longitudeDelta
    const east = longitude + longitudeDelta
    const south = latitude - latitudeDelta
    const north = latitude + latitudeDelta

    let steps = stepsFor(this.reach(), latitude)
    this.surround(steps)
    const [middle, above, below, right, left] = this.cells as [GeoCell, GeoCell, GeoCell, GeoCell, GeoCell]
    if (steps > 1 && (above.north < north || below.south > south || right.east < east || left.west > west)) {
      this.surround(--steps)
    }
    const mayLeaveOut = steps >= 2
    return {
      isSouthDone: mayLeaveOut && middle.south < south,
      isNorthDone: mayLeaveOut && middle.north > north,
      isWestDone: mayLeaveOut && middle.west < west,
      isEastDone: mayLeaveOut && middle.east > east,
    }
  }

  /** How far the area reaches from its middle, in m. */
  private reach(): number {
    if (!this.isBox) return this.radius * this.unit
    return Math.sqrt((this.width / 2) * (this.width / 2) + (this.height / 2) * (this.height / 2)) * this.unit
  }

  private surround(steps: number): void {
    const middle = this.cells[0]!
    middle.enclose(this.longitude, this.latitude, steps)
    for (let i = 1; i < AROUND.length; i++) {
      const [dx, dy] = AROUND[i]!
      this.cells[i]!.neighbor(middle, dx, dy)
    }
  }
}

/** On which sides of the middle cell there is nothing to search. */
interface CoveredSides {
  readonly isWestDone: boolean
  readonly isEastDone: boolean
  readonly isSouthDone: boolean
  readonly isNorthDone: boolean
}

/** Whether a position can be stored. */
export function isStorable(longitude: number, latitude: number): boolean {
  return Math.abs(longitude) <= LONGITUDE_MAX && Math.abs(latitude) <= LATITUDE_MAX
}

/** The distance between two positions, in m. */
export function distanceBetween(longitude1: number, latitude1: number, longitude2: number, latitude2: number): number {
  const v = Math.sin((longitude2 * RADIANS - longitude1 * RADIANS) / 2)
  if (v === 0) return distanceOfLatitudes(latitude1, latitude2)
  const from = latitude1 * RADIANS
  const to = latitude2 * RADIANS
  const u = Math.sin((to - from) / 2)
  return 2 * EARTH_RADIUS * Math.asin(Math.sqrt(u * u + Math.cos(from) * Math.cos(to) * v * v))
}

/** The distance between two positions on one meridian, in m. */
function distanceOfLatitudes(latitude1: number, latitude2: number): number {
  return EARTH_RADIUS * Math.abs(latitude2 * RADIANS - latitude1 * RADIANS)
}

/** Steps of the smallest cells of which nine cover what lies within a distance of a position at this latitude. */
function stepsFor(meters: number, latitude: number): number {
  if (meters === 0) return STEPS_MAX
  let steps = 1
  for (let range = meters; range < MERCATOR_MAX; range *= 2) steps++
  steps -= 2
  for (const polar of POLAR_LATITUDES) if (Math.abs(latitude) > polar) steps--
  return Math.min(Math.max(steps, 1), STEPS_MAX)
}
