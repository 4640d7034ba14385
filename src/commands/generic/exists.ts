/**
 * EXISTS key [key ...]
 * TOUCH key [key ...]
 *
 * Counts the keys that exist, a key named twice twice; TOUCH renews their access time, too.
 *
 * Reply: integer. Errors: none.
 * Source: Valkey src/db.c `existsCommand`, src/expire.c `touchCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'

export const exists = defineCommand({
  name: 'exists',
  summary: 'Counts those of the keys that exist.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys.',
  arity: -2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, -1, 1, 'RO')],
  tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
  handler: existsHandler,
})

export const touch = defineCommand({
  name: 'touch',
  summary: 'Renews the access time of keys and counts those that exist.',
  group: 'generic',
  since: '3.2.1',
  complexity: 'O(N), N being the number of keys.',
  arity: -2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Keyspace,
  keys: [keyRange(1, -1, 1, 'RO')],
  tips: ['request_policy:multi_shard', 'response_policy:agg_sum'],
  handler: touchHandler,
})

function existsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let count = 0
  for (let i = 1; i < args.count; i++) if (ctx.db.peek(args, i) !== NO_ROW) count++
  reply.integer(count)
}

function touchHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let count = 0
  for (let i = 1; i < args.count; i++) {
    const row = ctx.db.peek(args, i)
    if (row === NO_ROW) continue
    // Touches for clients that otherwise leave access times alone (CLIENT NO-TOUCH), too.
    ctx.db.touch(row)
    count++
  }
  reply.integer(count)
}
