/**
 * GETRANGE key start end
 * SUBSTR key start end
 *
 * Returns a part of a string; both ends belong to it, and negative ones count from the end (-1 is the last byte).
 *
 * Reply: bulk string, empty when the key is missing or nothing is in range. Errors: integer; WRONGTYPE.
 * Source: Valkey src/t_string.c `getrangeCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { showString } from './string-value.ts'

export const getrange = defineCommand({
  name: 'getrange',
  summary: 'Returns a part of a string.',
  group: 'string',
  since: '2.4.0',
  complexity: 'O(N), N being the length of what is returned.',
  arity: 4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.String,
  keys: keyAt(1, 'RO', 'access'),
  handler: getrangeHandler,
})

export const substr = defineCommand({
  name: 'substr',
  summary: 'Returns a part of a string.',
  group: 'string',
  since: '1.0.0',
  complexity: 'O(N), N being the length of what is returned.',
  arity: 4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.String,
  keys: keyAt(1, 'RO', 'access'),
  deprecated: { since: '2.0.0', replacedBy: '`GETRANGE`' },
  handler: getrangeHandler,
})

const value = new Element()

function getrangeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  let start = args.integer(2)
  let end = args.integer(3)
  const row = ctx.db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.bulkText('')
    return
  }
  showString(ctx.db, row, value)
  // Two negative ends in the wrong order are refused before they are cut to the string, where they might meet at 0.
  const isReversed = start < 0 && end < 0 && start > end
  if (start < 0) start = Math.max(0, value.length + start)
  if (end < 0) end = Math.max(0, value.length + end)
  if (end >= value.length) end = value.length - 1
  if (isReversed || start > end) reply.bulkText('')
  else reply.bulk(value.buffer, value.start + start, end - start + 1)
}
