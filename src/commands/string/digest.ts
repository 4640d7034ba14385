/**
 * DIGEST key
 *
 * Reply: bulk string, the XXH3 digest of a string as 16 hexadecimal digits; null when the key is missing.
 * Errors: WRONGTYPE.
 * Source: redis.io/commands/digest (Redis 8.4).
 */
import { xxh3Hex } from '../../bytes/xxh3.ts'
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { showString } from './string-value.ts'

export const digest = defineCommand({
  name: 'digest',
  summary: 'Returns the digest of a string.',
  group: 'string',
  since: '8.4.0',
  complexity: 'O(N), N being the length of the string.',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RO', 'access'),
  handler: digestHandler,
})

const value = new Element()

function digestHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.nil()
    return
  }
  showString(ctx.db, row, value)
  reply.bulkText(xxh3Hex(value.buffer, value.start, value.length))
}
