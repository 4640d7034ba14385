/**
 * KEYS pattern
 *
 * Returns the names of all keys that match a glob pattern, in no order.
 *
 * Reply: array. Errors: none.
 * Source: Valkey src/db.c `keysCommand`.
 */
import { GlobCase, globMatch } from '../../bytes/glob.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

const STAR = 0x2a

export const keys = defineCommand({
  name: 'keys',
  summary: 'Returns the names of all keys that match a pattern.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys in the database.',
  arity: 2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Keyspace | AclCategory.Dangerous,
  tips: ['request_policy:all_shards', 'nondeterministic_output_order'],
  handler: keysHandler,
})

function keysHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  // An empty name matches no pattern, not even `*`; KEYS * returns it all the same.
  const isAll = args.isByte(1, STAR)
  const pattern = args.text(1)
  const mark = reply.begin()
  let count = 0
  for (let row = 0; row < db.size; row++) {
    if (!isAll && !globMatch(pattern, db.keyText(row), GlobCase.Exact)) continue
    if (!db.isLive(row)) continue
    reply.bulkRef(db.keys.keyRef(row))
    count++
  }
  reply.closeArray(mark, count)
}
