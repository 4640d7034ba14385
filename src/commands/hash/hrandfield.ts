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

const field = new Element()
const value = new Element()

function hrandfieldHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 2) {
    const hash = readLiveHash(ctx, args)
    const places = shownPlaces(hash)
    const size = choiceCount(hash, places)
    if (size === 0) reply.nil()
    else replyPair(hash, placeOf(places, randomIndex(size, ctx.random)), Shape.Fields, reply)
    return
  }
  const count = randomCount(args, 2)
  if (args.count > 4 || (args.count === 4 && !args.is(3, 'WITHVALUES'))) throw SYNTAX_ERROR
  const withValues = args.count === 4
  if (withValues && Math.abs(count) >= COUNT_MAX_WITH_VALUES) throw OUT_OF_RANGE
  const shape = !withValues ? Shape.Fields : reply.version >= 3 ? Shape.Pairs : Shape.Flat
  const hash = readLiveHash(ctx, args)
  const places = shownPlaces(hash)
  const size = choiceCount(hash, places)
  if (size === 0 || count === 0) reply.array(0)
  else if (count < 0) replyRepeated(ctx, hash, places, repetitions(count, reply), shape, reply)
  else replyDistinct(ctx, hash, places, count, shape, reply)
}

function readLiveHash(ctx: CommandContext, args: Args): HashView {
  const hash = readHash(ctx, args, 1)
  if (hash.hidesFields) expireSome(ctx.db, ctx.db.find(args, 1), hash, EXPIRE_MAX)
  return hash
}

/** Places in the hash of the fields that may be chosen; null where all may. */
function shownPlaces(hash: HashView): number[] | null {
  if (!hash.hidesFields) return null
  const places: number[] = []
  const cursor = hash.walk()
  while (cursor.advance(field, value)) places.push(cursor.index - 1)
  return places
}

/** Among how many fields is chosen. */
function choiceCount(hash: HashView, places: number[] | null): number {
  return places === null ? hash.size() : places.length
}

/** The place in the hash of a choice out of those that may be made. */
function placeOf(places: number[] | null, choice: number): number {
  return places === null ? choice : places[choice]!
}

function replyRepeated(
  ctx: CommandContext,
  hash: HashView,
  places: number[] | null,
  count: number,
  shape: number,
  reply: ReplySink,
): void {
  const size = choiceCount(hash, places)
  reply.array(shape === Shape.Flat ? count * 2 : count)
  const cursor = hash.walk()
  cursor.prepareRandomAccess()
  for (let i = 0; i < count; i++) {
    cursor.moveTo(placeOf(places, randomIndex(size, ctx.random)))
    cursor.advance(field, value)
    replyShape(shape, reply)
  }
}

function replyDistinct(
  ctx: CommandContext,
  hash: HashView,
  places: number[] | null,
  count: number,
  shape: number,
  reply: ReplySink,
): void {
  const size = choiceCount(hash, places)
  const chosen = Math.min(count, size)
  reply.array(shape === Shape.Flat ? chosen * 2 : chosen)
  const cursor = hash.walk()
  if (chosen === size) {
    while (cursor.advance(field, value)) replyShape(shape, reply)
    return
  }
  const sample = sampleDistinct(size, chosen, ctx.random)
  for (let i = 0; i < chosen; i++) {
    cursor.moveTo(placeOf(places, sample[i]!))
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
