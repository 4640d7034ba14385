/** Arguments and replies that commands of geo indexes share: positions, distances, units. */
import { formatLongDouble, longDoubleOf } from '../../bytes/long-double.ts'
import type { Args } from '../../resp/args.ts'
import {
  BOX_NEGATIVE,
  HEIGHT_NOT_NUMERIC,
  invalidPosition,
  RADIUS_NEGATIVE,
  RADIUS_NOT_NUMERIC,
  UNSUPPORTED_UNIT,
  WIDTH_NOT_NUMERIC,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { type GeoArea, isStorable } from '../../structures/geo-area.ts'
import { decodeScore, type GeoPosition } from '../../structures/geohash.ts'
import type { ZsetView } from '../../structures/zset-view.ts'

/** Digits behind the point of a distance, as a factor. */
const DISTANCE_SCALE = 10_000
const DISTANCE_DIGITS = 4
const COORDINATE_DIGITS = 17
/** A double with this many bits behind the point, the last of them 1, lies in the midst of two numbers of 17 digits. */
const TIE_SCALE = 2 ** (COORDINATE_DIGITS + 1)

/** Reads longitude and latitude from arguments `i` and `i + 1`. @throws NOT_A_FLOAT, or what `invalidPosition` makes */
export function parsePosition(args: Args, i: number, position: GeoPosition): void {
  position.longitude = args.double(i)
  position.latitude = args.double(i + 1)
  if (isStorable(position.longitude, position.latitude)) return
  throw invalidPosition(position.longitude, position.latitude)
}

/** The metres of the unit that argument `i` names. @throws UNSUPPORTED_UNIT */
export function parseUnit(args: Args, i: number): number {
  if (args.is(i, 'M')) return 1
  if (args.is(i, 'KM')) return 1000
  if (args.is(i, 'FT')) return 0.3048
  if (args.is(i, 'MI')) return 1609.34
  throw UNSUPPORTED_UNIT
}

/** Reads the radius and the unit of a circle from arguments `i` and `i + 1`. */
export function parseCircle(args: Args, i: number, area: GeoArea): void {
  area.isBox = false
  area.radius = args.double(i, RADIUS_NOT_NUMERIC)
  if (area.radius < 0) throw RADIUS_NEGATIVE
  area.unit = parseUnit(args, i + 1)
}

/** Reads width, height and unit of a box from arguments `i` to `i + 2`. */
export function parseBox(args: Args, i: number, area: GeoArea): void {
  area.isBox = true
  area.width = args.double(i, WIDTH_NOT_NUMERIC)
  area.height = args.double(i + 1, HEIGHT_NOT_NUMERIC)
  if (area.width < 0 || area.height < 0) throw BOX_NEGATIVE
  area.unit = parseUnit(args, i + 2)
}

/** Finds the position of the member in argument `i`. Returns false when it is absent. */
export function positionOf(zset: ZsetView, args: Args, i: number, position: GeoPosition): boolean {
  const score = zset.scoreOf(args.buffer, args.start(i), args.length(i))
  if (Number.isNaN(score)) return false
  decodeScore(score, position)
  return true
}

/** Replies a distance with four digits behind the point. */
export function replyDistance(reply: ReplySink, distance: number): void {
  const scaled = roundToEven(distance * DISTANCE_SCALE)
  const digits = scaled.toFixed(0).padStart(DISTANCE_DIGITS + 1, '0')
  reply.bulkText(`${digits.slice(0, -DISTANCE_DIGITS)}.${digits.slice(-DISTANCE_DIGITS)}`)
}

/** Replies an array of longitude and latitude. */
export function replyPosition(reply: ReplySink, longitude: number, latitude: number): void {
  reply.array(2)
  reply.doubleText(coordinateText(longitude))
  reply.doubleText(coordinateText(latitude))
}

/** As `formatLongDouble` writes it, but several times as fast for nearly all coordinates. */
export function coordinateText(value: number): string {
  const scaled = value * TIE_SCALE
  // toFixed is exact, but rounds up what lies in the midst.
  if (Number.isInteger(scaled) && scaled % 2 !== 0) return formatLongDouble(longDoubleOf(value))
  const text = value.toFixed(COORDINATE_DIGITS)
  let end = text.length
  while (text.charCodeAt(end - 1) === 0x30) end--
  if (text.charCodeAt(end - 1) === 0x2e) end--
  const shown = text.slice(0, end)
  return shown === '-0' ? '0' : shown
}

/** The nearest integer, the even one of two that are as near. */
function roundToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}
