/**
 * One search of a geo index: its options, running it, replying or storing what it finds. For GEOSEARCH, GEORADIUS and
 * their relatives, which differ in the options they take.
 *
 * Order of checks: the type of the key; what stands at fixed places; options from left to right, a member that is absent
 * among them; what excludes each other; what is missing. Only then a missing key is an empty result.
 * Source: Valkey src/geo.c `georadiusGeneric`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import {
  ANY_WITHOUT_COUNT,
  COUNT_BELOW_ONE,
  exactlyOneOf,
  MEMBER_NOT_DECODED,
  notWithStore,
  SYNTAX_ERROR,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import { GeoArea, OUTSIDE } from '../../structures/geo-area.ts'
import { GeoHits, HitOrder } from '../../structures/geo-hits.ts'
import { decodeScore, type GeoCell, GeoPosition } from '../../structures/geohash.ts'
import { Edge } from '../../structures/score-order.ts'
import type { ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { readZset, storeResult } from '../zset/zset-access.ts'
import { parseBox, parseCircle, parsePosition, positionOf, replyDistance, replyPosition } from './geo-arguments.ts'

/** What the middle and the shape of the area are given by, and where results may go. */
export const SearchForm = {
  /** GEOSEARCH: options for all of it. */
  Search: 0,
  /** GEOSEARCHSTORE: as GEOSEARCH, with the destination in front. */
  SearchStore: 1,
  /** GEORADIUS: a position and a radius. */
  Coordinates: 2,
  CoordinatesReadOnly: 3,
  /** GEORADIUSBYMEMBER: a member and a radius. */
  Member: 4,
  MemberReadOnly: 5,
} as const
export type SearchForm = (typeof SearchForm)[keyof typeof SearchForm]

const NO_COUNT = 0
const NO_STORE = 0

const area = new GeoArea()
const hits = new GeoHits()
const position = new GeoPosition()
const member = new Element()

/** The options of the running call. */
const query = {
  order: HitOrder.Found as HitOrder,
  count: NO_COUNT,
  isAny: false,
  withDistance: false,
  withHash: false,
  withPosition: false,
  /** The argument that is the destination, NO_STORE without one. */
  store: NO_STORE,
  storesDistance: false,
  hasMember: false,
  hasPosition: false,
  hasCircle: false,
  hasBox: false,
}

/** Runs a call of a command of one of these forms. */
export function searchGeo(ctx: CommandContext, args: Args, reply: ReplySink, form: SearchForm): void {
  const zset = readZset(ctx, args, form === SearchForm.SearchStore ? 2 : 1)
  parseQuery(zset, args, form)
  hits.clear()
  if (zset.size() > 0) findHits(zset, query.isAny ? query.count : Number.POSITIVE_INFINITY)
  const wanted = query.count === NO_COUNT ? hits.count : query.count
  const chosen = hits.select(query.order, wanted)
  if (query.store === NO_STORE) replyHits(reply, chosen)
  else storeHits(ctx, args, reply, chosen, isSearch(form) ? 'geosearchstore' : 'georadiusstore')
}

function isSearch(form: SearchForm): boolean {
  return form === SearchForm.Search || form === SearchForm.SearchStore
}

function parseQuery(zset: ZsetView, args: Args, form: SearchForm): void {
  query.order = HitOrder.Found
  query.count = NO_COUNT
  query.isAny = false
  query.withDistance = false
  query.withHash = false
  query.withPosition = false
  query.store = form === SearchForm.SearchStore ? 1 : NO_STORE
  query.storesDistance = false
  query.hasMember = false
  query.hasPosition = false
  query.hasCircle = false
  query.hasBox = false

  for (let i = parseFixed(zset, args, form); i < args.count; ) {
    const next = parseOption(args, i) || parseFormOption(zset, args, i, form)
    if (next === 0) throw SYNTAX_ERROR
    i = next
  }
  checkQuery(args, form)
  // The nearest are meant, except with ANY.
  if (query.count !== NO_COUNT && query.order === HitOrder.Found && !query.isAny) query.order = HitOrder.NearestFirst
}

/** Reads what stands at fixed places. Returns the first argument that is an option. */
function parseFixed(zset: ZsetView, args: Args, form: SearchForm): number {
  switch (form) {
    case SearchForm.Search:
      return 2
    case SearchForm.SearchStore:
      return 3
    case SearchForm.Coordinates:
    case SearchForm.CoordinatesReadOnly:
      parsePosition(args, 2, position)
      parseCircle(args, 4, area)
      centre()
      return 6
    case SearchForm.Member:
    case SearchForm.MemberReadOnly:
      // Of a missing key nothing is asked but the options behind.
      if (zset.size() === 0) return 5
      if (!positionOf(zset, args, 2, position)) throw MEMBER_NOT_DECODED
      parseCircle(args, 3, area)
      centre()
      return 5
  }
}

/** Puts the middle of the area where `position` is. */
function centre(): void {
  area.longitude = position.longitude
  area.latitude = position.latitude
}

/** Reads an option of all forms. Returns the argument behind it, 0 when it is none. */
function parseOption(args: Args, i: number): number {
  if (args.is(i, 'WITHDIST')) query.withDistance = true
  else if (args.is(i, 'WITHHASH')) query.withHash = true
  else if (args.is(i, 'WITHCOORD')) query.withPosition = true
  else if (args.is(i, 'ANY')) query.isAny = true
  else if (args.is(i, 'ASC')) query.order = HitOrder.NearestFirst
  else if (args.is(i, 'DESC')) query.order = HitOrder.FarthestFirst
  else if (args.is(i, 'COUNT') && i + 1 < args.count) {
    query.count = args.integer(i + 1)
    if (query.count <= 0) throw COUNT_BELOW_ONE
    return i + 2
  } else return 0
  return i + 1
}

/** Reads an option that not all forms have. Returns the argument behind it, 0 when it is none. */
function parseFormOption(zset: ZsetView, args: Args, i: number, form: SearchForm): number {
  if (isSearch(form)) return parseSearchOption(zset, args, i, form)
  const mayStore = form === SearchForm.Coordinates || form === SearchForm.Member
  if (!mayStore || i + 1 >= args.count) return 0
  const storesDistance = args.is(i, 'STOREDIST')
  if (!storesDistance && !args.is(i, 'STORE')) return 0
  query.store = i + 1
  query.storesDistance = storesDistance
  return i + 2
}

function parseSearchOption(zset: ZsetView, args: Args, i: number, form: SearchForm): number {
  const left = args.count - i - 1
  if (args.is(i, 'STOREDIST') && form === SearchForm.SearchStore) {
    query.storesDistance = true
    return i + 1
  }
  if (args.is(i, 'FROMMEMBER') && left >= 1 && !query.hasPosition) {
    query.hasMember = true
    if (zset.size() === 0) return i + 2
    if (!positionOf(zset, args, i + 1, position)) throw MEMBER_NOT_DECODED
    centre()
    return i + 2
  }
  if (args.is(i, 'FROMLONLAT') && left >= 2 && !query.hasMember) {
    query.hasPosition = true
    parsePosition(args, i + 1, position)
    centre()
    return i + 3
  }
  if (args.is(i, 'BYRADIUS') && left >= 2 && !query.hasBox) {
    query.hasCircle = true
    parseCircle(args, i + 1, area)
    return i + 3
  }
  if (args.is(i, 'BYBOX') && left >= 3 && !query.hasCircle) {
    query.hasBox = true
    parseBox(args, i + 1, area)
    return i + 4
  }
  return 0
}

function checkQuery(args: Args, form: SearchForm): void {
  if (query.store !== NO_STORE && (query.withDistance || query.withHash || query.withPosition)) {
    throw notWithStore(form === SearchForm.SearchStore ? 'GEOSEARCHSTORE' : 'STORE option in GEORADIUS')
  }
  if (isSearch(form)) {
    if (!query.hasMember && !query.hasPosition) {
      throw exactlyOneOf('FROMMEMBER or FROMLONLAT', args.text(0))
    }
    if (!query.hasCircle && !query.hasBox) throw exactlyOneOf('BYRADIUS and BYBOX', args.text(0))
  }
  if (query.isAny && query.count === NO_COUNT) throw ANY_WITHOUT_COUNT
}

/** Finds members in the area, until there are `limit`. */
function findHits(zset: ZsetView, limit: number): void {
  area.eachCell((cell) => {
    findInCell(zset, cell, limit)
    return hits.count < limit
  })
}

function findInCell(zset: ZsetView, cell: GeoCell, limit: number): void {
  const members = zset.members
  let more = members.openScores(zset, zset.rankOfScore(cell.scoreMin, Edge.Before), member)
  while (more && members.score < cell.scoreEnd) {
    const { score } = members
    decodeScore(score, position)
    const distance = area.distanceTo(position.longitude, position.latitude)
    if (distance !== OUTSIDE) {
      members.show(member)
      hits.add(member, score, distance, position.longitude, position.latitude)
      if (hits.count >= limit) return
    }
    more = members.nextScore(member)
  }
}

function replyHits(reply: ReplySink, chosen: Int32Array): void {
  const { withDistance, withHash, withPosition } = query
  const facts = Number(withDistance) + Number(withHash) + Number(withPosition)
  reply.array(chosen.length)
  for (const hit of chosen) {
    if (facts > 0) reply.array(facts + 1)
    const start = hits.nameStarts[hit]!
    reply.bulk(hits.names, start, hits.nameStarts[hit + 1]! - start)
    if (withDistance) replyDistance(reply, hits.distances[hit]! / area.unit)
    if (withHash) replyScore(reply, hits.scores[hit]!)
    if (withPosition) replyPosition(reply, hits.longitudes[hit]!, hits.latitudes[hit]!)
  }
}

/** Replies the integer part of a score. Scores are found by cells, so they are from 0 to 2^54. */
function replyScore(reply: ReplySink, score: number): void {
  const whole = Math.trunc(score)
  if (Number.isSafeInteger(whole)) reply.integer(whole)
  else reply.bigInteger(BigInt(whole))
}

function storeHits(ctx: CommandContext, args: Args, reply: ReplySink, chosen: Int32Array, event: string): void {
  const { limits } = ctx.keyspace
  const target = ctx.targetZset
  target.create(chosen.length, 0, limits)
  for (const hit of chosen) {
    const start = hits.nameStarts[hit]!
    const score = query.storesDistance ? hits.distances[hit]! / area.unit : hits.scores[hit]!
    target.put(hits.names, start, hits.nameStarts[hit + 1]! - start, score, 0, limits)
  }
  storeResult(ctx, args, target, event, reply, query.store)
  if (chosen.length > 1) ctx.markDirty(chosen.length - 1)
}
