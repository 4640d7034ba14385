/**
 * GEOSEARCH key <FROMMEMBER member | FROMLONLAT longitude latitude>
 *     <BYRADIUS radius unit | BYBOX width height unit>
 *     [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
 * GEOSEARCHSTORE destination source … [ASC | DESC] [COUNT count [ANY]] [STOREDIST]
 *
 * Members of a geo index in a circle or a box; replied, or stored with their positions or distances as scores.
 *
 * Reply: an array of members, each an array of its own where more than the name is asked for; GEOSEARCHSTORE how many were
 * stored, none deletes the destination. Errors: see geo-search.ts.
 * Source: Valkey src/geo.c `geosearchCommand`, `geosearchstoreCommand`.
 */
import { AclCategory, CommandFlag, defineCommand, keyAt, keyRange } from '../define.ts'
import { SearchForm, searchGeo } from './geo-search.ts'

const COMPLEXITY =
  'O(N+log(M)) where N is the number of members in the cells of the grid around the area and M the number of members inside the area.'

export const geosearch = defineCommand({
  name: 'geosearch',
  summary: 'Returns the members of a geo index in a circle or a box.',
  group: 'geo',
  since: '6.2.0',
  complexity: COMPLEXITY,
  arity: -7,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Geo,
  keys: keyAt(1, 'RO', 'access'),
  handler: (ctx, args, reply) => searchGeo(ctx, args, reply, SearchForm.Search),
})

export const geosearchstore = defineCommand({
  name: 'geosearchstore',
  summary: 'Stores the members of a geo index in a circle or a box in a key.',
  group: 'geo',
  since: '6.2.0',
  complexity: COMPLEXITY,
  arity: -8,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Geo,
  keys: [keyRange(1, 0, 1, 'OW', 'update'), keyRange(2, 0, 1, 'RO', 'access')],
  handler: (ctx, args, reply) => searchGeo(ctx, args, reply, SearchForm.SearchStore),
})
