/**
 * MGET key [key ...]
 *
 * Returns the values of string keys.
 *
 * Reply: array; null for a key that is missing or holds no string. Errors: none.
 * Source: Valkey src/t_string.c `mgetCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { replyString } from './get.ts'

export const mget = defineCommand({
  name: 'mget',
  summary: 'Returns the values of several string keys at one moment.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys.',
  arity: -2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: [keyRange(1, -1, 1, 'RO', 'access')],
  tips: ['request_policy:multi_shard'],
  handler: mgetHandler,
})

function mgetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  reply.array(args.count - 1)
  for (let i = 1; i < args.count; i++) {
    const row = db.read(args, i)
    if (row === NO_ROW || (KindMask.String & (1 << db.kind(row))) === 0) reply.nil()
    else replyString(db, row, reply)
  }
}
