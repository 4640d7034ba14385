/**
 * INCRBYFLOAT key increment
 *
 * Adds to the number that a string key holds, in the precision of Redis' long double; a missing key counts as 0.
 * Recorded as SET … KEEPTTL, so that the text is the same wherever it is replayed.
 *
 * Reply: bulk string, the new value. Errors: WRONGTYPE; no float (the stored value first); NaN or infinite.
 * Source: Valkey src/t_string.c `incrbyfloatCommand`.
 */
import { addLongDoubles, formatLongDouble, isFiniteLongDouble, parseLongDouble } from '../../bytes/long-double.ts'
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { INCR_NAN_OR_INFINITY, NOT_A_FLOAT } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { showString, storeStringText } from './string-value.ts'

export const incrbyfloat = defineCommand({
  name: 'incrbyfloat',
  summary: 'Adds a number to the floating-point value of a key, which counts as 0 when it is missing.',
  group: 'string',
  since: '2.6.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'update'),
  handler: incrbyfloatHandler,
})

const stored = new Element()

function incrbyfloatHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  const row = db.findKind(args, 1, KindMask.String)
  let text = '0'
  if (row !== NO_ROW) {
    showString(db, row, stored)
    text = stored.text()
  }
  const value = parseLongDouble(text)
  if (value === null) throw NOT_A_FLOAT
  const by = parseLongDouble(args.text(2))
  if (by === null) throw NOT_A_FLOAT
  const sum = addLongDoubles(value, by)
  if (!isFiniteLongDouble(sum)) throw INCR_NAN_OR_INFINITY
  const result = formatLongDouble(sum)
  storeStringText(db, row, args, 1, result)
  ctx.changed(args, 1, Notify.String, 'incrbyfloat')
  reply.bulkText(result)
  const journal = ctx.journal
  journal.begin(db.index, 4)
  journal.text('SET')
  journal.arg(args, 1)
  journal.text(result)
  journal.text('KEEPTTL')
}
