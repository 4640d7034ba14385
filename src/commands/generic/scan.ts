/**
 * SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
 *
 * Returns some names of keys and where to go on. Rows of the key index are walked from the top down, so that a key that
 * is there all the time is returned at least once (see storage/dict.ts).
 *
 * Reply: array of the next cursor (0: done) and an array of names. Errors: cursor; syntax; integer.
 * Source: Valkey src/db.c `scanCommand`, `scanGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { TYPE_OF_KIND } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { parseScanCursor, ScanOptions, ScanScope, scanBottom, scanTop } from '../scan-options.ts'

export const scan = defineCommand({
  name: 'scan',
  summary: 'Returns the names of keys, some at each call.',
  group: 'generic',
  since: '2.8.0',
  complexity: 'O(1) for each call, O(N) for a whole scan, N being the number of keys.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Keyspace,
  tips: ['nondeterministic_output', 'request_policy:special', 'response_policy:special'],
  handler: scanHandler,
})

const options = new ScanOptions()

function scanHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const cursor = parseScanCursor(args, 1)
  options.parse(args, 2, ScanScope.Keyspace)
  const db = ctx.db
  const top = scanTop(cursor, db.size)
  const bottom = scanBottom(top, options)
  reply.array(2)
  reply.bulkInteger(bottom)
  const mark = reply.begin()
  let count = 0
  for (let row = top - 1; row >= bottom; row--) {
    if (options.pattern !== null && !options.matches(db.keyText(row))) continue
    // Expired keys are met, and thereby removed, also when their type is not asked for.
    if (!db.isLive(row)) continue
    if (options.type !== null && TYPE_OF_KIND[db.kind(row)] !== options.type) continue
    reply.bulkRef(db.keys.keyRef(row))
    count++
  }
  reply.closeArray(mark, count)
}
