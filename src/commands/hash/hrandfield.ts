/**
 * HRANDFIELD key [count [WITHVALUES]]
 *
 * Returns random fields of a hash: up to `count` different ones, or, for a negative count, that many which may repeat.
 * Fields whose time is over are removed first, as in Redis; where they must stay (on a replica) they are passed over.
 *
 * Reply: without count a bulk string or null; else an array, with WITHVALUES flat in RESP2 and of pairs in RESP3.
 * Errors, in this order: the count; syntax; the count out of range with WITHVALUES; WRONGTYPE.
 * Source: Valkey src/t_hash.c `hrandfieldCommand`.
 */
import { expireSome } from '../../keyspace/field-expiry.ts'
import type { Args } from '../../resp/args.ts'
import { OUT_OF_RANGE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { HashView } from '../../structures/hash-view.ts'
import { randomIndex, sampleDistinct } from '../../structures/sampling.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { randomCount, repetitions } from '../random-count.ts'
import { replyElement } from '../reply-element.ts'
import { readHash } from './hash-access.ts'

export const hrandfield = defineCommand({
  name: 'hrandfield',
  summary: 'Returns one or more random fields of a hash.',
  group: 'hash',
  since: '6.2.0',
  complexity: 'O(N) where N is the number of fields that are returned.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: hrandfieldHandler,
})

/** With WITHVALUES the reply has twice the count of elements, which must not overflow. */
const COUNT_MAX_WITH_VALUES = 2 ** 62

/** What is replied of each pair. */
const Shape = { Fields: 0, Flat: 1, Pairs: 2 } as const

/** Fields removed at once because their time is over. */
const EXPIRE_MAX = 1000

/** Draws for a field that is not hidden before all fields are looked at. */
const DRAWS_MAX = 32
/** The same for each of several different ones. */
const DRAWS_PER_FIELD = 8
/** From one part in so many on, different fields are not drawn until enough are different. */
const DRAWN_FRACTION = 3
const NO_PLACE = -1

const field = new Element()
const value = new Element()
/** The places of all fields that are not hidden, if the call that is executed needs them. */
let listed: number[] | null = null

function hrandfieldHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 2) {
    const hash = readLiveHash(ctx, args)
    const place = drawPlace(ctx, hash)
    if (place === NO_PLACE) reply.nil()
    else replyPair(hash, place, Shape.Fields, reply)
    return
  }
  const count = randomCount(args, 2)
  if (args.count > 4 || (args.count === 4 && !args.is(3, 'WITHVALUES'))) throw SYNTAX_ERROR
  const withValues = args.count === 4
  if (withValues && Math.abs(count) >= COUNT_MAX_WITH_VALUES) throw OUT_OF_RANGE
  const shape = !withValues ? Shape.Fields : reply.version >= 3 ? Shape.Pairs : Shape.Flat
  const hash = readLiveHash(ctx, args)
  if (hash.size() === 0 || count === 0) reply.array(0)
  else if (count < 0) replyRepeated(ctx, hash, repetitions(count, reply), shape, reply)
  else replyDistinct(ctx, hash, count, shape, reply)
}

function readLiveHash(ctx: CommandContext, args: Args): HashView {
  const hash = readHash(ctx, args, 1)
  if (hash.hidesFields) expireSome(ctx.db, ctx.db.find(args, 1), hash, EXPIRE_MAX)
  listed = null
  return hash
}

/** The place in the hash of a random field that is not hidden; NO_PLACE when there is none. */
function drawPlace(ctx: CommandContext, hash: HashView): number {
  const size = hash.size()
  if (!hash.hidesFields) return size === 0 ? NO_PLACE : randomIndex(size, ctx.random)
  // A list takes a walk over the whole hash, so it is made when few are left to be drawn.
  for (let draws = 0; listed === null && hash.dict !== null && draws < DRAWS_MAX; draws++) {
    const place = randomIndex(size, ctx.random)
    if (hash.showsRow(place)) return place
  }
  listed ??= shownPlaces(hash)
  return listed.length === 0 ? NO_PLACE : listed[randomIndex(listed.length, ctx.random)]!
}

/** The places of all fields that are not hidden. */
function shownPlaces(hash: HashView): number[] {
  const places: number[] = []
  const cursor = hash.walk()
  while (cursor.advance(field, value)) places.push(cursor.index - 1)
  return places
}

/** Places of `count` different fields that are not hidden; null for all of them. */
function drawDistinct(ctx: CommandContext, hash: HashView, count: number): Iterable<number> | null {
  const size = hash.size()
  if (!hash.hidesFields) return count >= size ? null : sampleDistinct(size, count, ctx.random)
  if (hash.dict !== null && count <= size / DRAWN_FRACTION) {
    const drawn = new Set<number>()
    for (let draws = DRAWS_MAX + count * DRAWS_PER_FIELD; draws > 0 && drawn.size < count; draws--) {
      const place = randomIndex(size, ctx.random)
      if (hash.showsRow(place)) drawn.add(place)
    }
    if (drawn.size === count) return drawn
  }
  const places = shownPlaces(hash)
  if (count >= places.length) return null
  return Array.from(sampleDistinct(places.length, count, ctx.random), (index) => places[index]!)
}

function replyRepeated(ctx: CommandContext, hash: HashView, count: number, shape: number, reply: ReplySink): void {
  let place = drawPlace(ctx, hash)
  if (place === NO_PLACE) {
    reply.array(0)
    return
  }
  reply.array(shape === Shape.Flat ? count * 2 : count)
  const cursor = hash.walk()
  cursor.prepareRandomAccess()
  for (let left = count; left > 0; left--) {
    cursor.moveTo(place)
    cursor.advance(field, value)
    replyShape(shape, reply)
    if (left > 1) place = drawPlace(ctx, hash)
  }
}

function replyDistinct(ctx: CommandContext, hash: HashView, count: number, shape: number, reply: ReplySink): void {
  const places = drawDistinct(ctx, hash, count)
  const chosen = places === null ? hash.visibleSize() : count
  reply.array(shape === Shape.Flat ? chosen * 2 : chosen)
  const cursor = hash.walk()
  if (places === null) {
    while (cursor.advance(field, value)) replyShape(shape, reply)
    return
  }
  for (const place of places) {
    cursor.moveTo(place)
    cursor.advance(field, value)
    replyShape(shape, reply)
  }
}

function replyPair(hash: HashView, index: number, shape: number, reply: ReplySink): void {
  const cursor = hash.walk()
  cursor.moveTo(index)
  cursor.advance(field, value)
  replyShape(shape, reply)
}

function replyShape(shape: number, reply: ReplySink): void {
  if (shape === Shape.Pairs) reply.array(2)
  replyElement(reply, field)
  if (shape !== Shape.Fields) replyElement(reply, value)
}
