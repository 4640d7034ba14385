/**
 * GEORADIUS key longitude latitude radius unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]
 *     [STORE key | STOREDIST key]
 * GEORADIUSBYMEMBER key member radius unit …
 * GEORADIUS_RO, GEORADIUSBYMEMBER_RO: without STORE and STOREDIST
 *
 * The older forms of GEOSEARCH and GEOSEARCHSTORE, for circles.
 *
 * Reply: as GEOSEARCH; with a destination how many members were stored. Errors: see geo-search.ts.
 * Source: Valkey src/geo.c `georadiusCommand` and its relatives, src/db.c `georadiusGetKeys`.
 */
import type { Args } from '../../resp/args.ts'
import { AclCategory, CommandFlag, defineCommand, type KeySpec, keyAt, keyRange, keysAfter } from '../define.ts'
import { SearchForm, searchGeo } from './geo-search.ts'

const COMPLEXITY =
  'O(N+log(M)) where N is the number of members in the cells of the grid around the circle and M the number of members of the index.'
const BY_RADIUS = '`GEOSEARCH` with the `BYRADIUS` argument'
const BY_MEMBER = '`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments'

export const georadius = defineCommand({
  name: 'georadius',
  summary: 'Returns or stores the members of a geo index within a distance of a position.',
  group: 'geo',
  since: '3.2.0',
  complexity: COMPLEXITY,
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.MovableKeys,
  categories: AclCategory.Geo,
  keys: storingKeys(6),
  extractKeys: radiusKeys,
  deprecated: {
    since: '6.2.0',
    replacedBy: '`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument',
  },
  handler: (ctx, args, reply) => searchGeo(ctx, args, reply, SearchForm.Coordinates),
})

export const georadiusbymember = defineCommand({
  name: 'georadiusbymember',
  summary: 'Returns or stores the members of a geo index within a distance of one of them.',
  group: 'geo',
  since: '3.2.0',
  complexity: COMPLEXITY,
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.MovableKeys,
  categories: AclCategory.Geo,
  keys: storingKeys(5),
  extractKeys: radiusKeys,
  deprecated: {
    since: '6.2.0',
    replacedBy: '`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments',
  },
  handler: (ctx, args, reply) => searchGeo(ctx, args, reply, SearchForm.Member),
})

export const georadiusRo = defineCommand({
  name: 'georadius_ro',
  summary: 'Returns the members of a geo index within a distance of a position.',
  group: 'geo',
  since: '3.2.10',
  complexity: COMPLEXITY,
  arity: -6,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: BY_RADIUS },
  handler: (ctx, args, reply) => searchGeo(ctx, args, reply, SearchForm.CoordinatesReadOnly),
})

export const georadiusbymemberRo = defineCommand({
  name: 'georadiusbymember_ro',
  summary: 'Returns the members of a geo index within a distance of one of them.',
  group: 'geo',
  since: '3.2.10',
  complexity: COMPLEXITY,
  arity: -5,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '6.2.0', replacedBy: BY_MEMBER },
  handler: (ctx, args, reply) => searchGeo(ctx, args, reply, SearchForm.MemberReadOnly),
})

/** The source, and a destination behind STORE or STOREDIST. */
function storingKeys(firstOption: number): readonly KeySpec[] {
  return [
    keyRange(1, 0, 1, 'RO', 'access'),
    keysAfter('STORE', firstOption, 0, 1, 0, 'OW', 'update'),
    keysAfter('STOREDIST', firstOption, 0, 1, 0, 'OW', 'update'),
  ]
}

/** Of several destinations the last one counts. */
function radiusKeys(args: Args): number[] {
  let store = 0
  for (let i = 5; i + 1 < args.count; i++) if (args.is(i, 'STORE') || args.is(i, 'STOREDIST')) store = ++i
  return store === 0 ? [1] : [1, store]
}
