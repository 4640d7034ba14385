/**
 * GEOPOS key [member [member ...]]
 * GEOHASH key [member [member ...]]
 * GEODIST key member1 member2 [M | KM | FT | MI]
 *
 * Where members of a geo index are, and how far two are from each other.
 *
 * Reply: GEOPOS an array of longitude and latitude for each member, GEOHASH of texts, null for an absent member; GEODIST
 * the distance, null when one is absent. Errors: GEODIST's unit or syntax, before the key is looked at; WRONGTYPE.
 * Source: Valkey src/geo.c `geoposCommand`, `geohashCommand`, `geodistCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { distanceBetween } from '../../structures/geo-area.ts'
import { GeoPosition, geohashText } from '../../structures/geohash.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readZset } from '../zset/zset-access.ts'
import { parseUnit, positionOf, replyDistance, replyPosition } from './geo-arguments.ts'

export const geopos = defineCommand({
  name: 'geopos',
  summary: 'Returns the longitude and latitude of members of a geo index.',
  group: 'geo',
  since: '3.2.0',
  complexity: 'O(1) for each member asked for.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RO', 'access'),
  handler: geoposHandler,
})

export const geohash = defineCommand({
  name: 'geohash',
  summary: 'Returns the positions of members of a geo index as geohash texts.',
  group: 'geo',
  since: '3.2.0',
  complexity: 'O(1) for each member asked for.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RO', 'access'),
  handler: geohashHandler,
})

export const geodist = defineCommand({
  name: 'geodist',
  summary: 'Returns the distance between two members of a geo index.',
  group: 'geo',
  since: '3.2.0',
  complexity: 'O(1)',
  arity: -4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RO', 'access'),
  handler: geodistHandler,
})

const position = new GeoPosition()
const other = new GeoPosition()

function geoposHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const zset = readZset(ctx, args, 1)
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) {
    if (positionOf(zset, args, i, position)) replyPosition(reply, position.longitude, position.latitude)
    else reply.nilArray()
  }
}

function geohashHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const zset = readZset(ctx, args, 1)
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) {
    if (positionOf(zset, args, i, position)) reply.bulkText(geohashText(position.longitude, position.latitude))
    else reply.nil()
  }
}

function geodistHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 5) throw SYNTAX_ERROR
  const unit = args.count === 5 ? parseUnit(args, 4) : 1
  const zset = readZset(ctx, args, 1)
  if (!positionOf(zset, args, 2, position) || !positionOf(zset, args, 3, other)) {
    reply.nil()
    return
  }
  const meters = distanceBetween(position.longitude, position.latitude, other.longitude, other.latitude)
  replyDistance(reply, meters / unit)
}
