/**
 * GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]
 *
 * Adds members with their positions to a geo index, or moves them. A geo index is a sorted set whose scores are geohashes;
 * what happens is ZADD, which is also what is recorded.
 *
 * Reply: as ZADD. Errors, in this order: syntax; positions; WRONGTYPE.
 * Source: Valkey src/geo.c `geoaddCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { encodeScore, GeoPosition } from '../../structures/geohash.ts'
import { PutFlag } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { addScored, COUNT_CHANGED, scoresFor } from '../zset/zadd.ts'
import { parsePosition } from './geo-arguments.ts'

export const geoadd = defineCommand({
  name: 'geoadd',
  summary: 'Adds members with their positions to a geo index, creating it if needed.',
  group: 'geo',
  since: '3.2.0',
  complexity: 'O(log(N)) for each member, where N is the number of members of the index.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RW', 'update'),
  handler: geoaddHandler,
})

/** Arguments of one member. */
const STRIDE = 3

const position = new GeoPosition()

function geoaddHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let flags = 0
  let first = 2
  for (let option = optionAt(args, first); option !== 0; option = optionAt(args, first)) {
    flags |= option
    first++
  }
  const count = (args.count - first) / STRIDE
  const excluded = PutFlag.Absent | PutFlag.Present
  if (count < 1 || !Number.isInteger(count) || (flags & excluded) === excluded) throw SYNTAX_ERROR
  const scores = scoresFor(count)
  for (let n = 0; n < count; n++) {
    parsePosition(args, first + n * STRIDE, position)
    scores[n] = encodeScore(position.longitude, position.latitude)
  }
  addScored(ctx, args, reply, { first: first + 2, stride: STRIDE, count }, flags)
  if (ctx.dirty > 0) recordZadd(ctx, args, first, count, scores)
}

/** The flag of the option in argument `i`, 0 when it is none. */
function optionAt(args: Args, i: number): number {
  if (i >= args.count) return 0
  if (args.is(i, 'NX')) return PutFlag.Absent
  if (args.is(i, 'XX')) return PutFlag.Present
  return args.is(i, 'CH') ? COUNT_CHANGED : 0
}

function recordZadd(ctx: CommandContext, args: Args, first: number, count: number, scores: Float64Array): void {
  const { journal } = ctx
  journal.begin(ctx.db.index, first + count * 2)
  journal.text('zadd')
  for (let i = 1; i < first; i++) journal.arg(args, i)
  for (let n = 0; n < count; n++) {
    journal.text(String(scores[n]))
    journal.arg(args, first + n * STRIDE + 2)
  }
}
