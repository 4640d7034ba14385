/**
 * PFMERGE destination [source [source ...]]
 *
 * Joins HyperLogLogs, the destination among them, in the destination.
 *
 * Reply: OK. Errors: WRONGTYPE, also for another string; corrupted.
 * Source: Valkey src/hyperloglog.c `pfmergeCommand`.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { HLL_CORRUPTED } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { HyperLogLog, REGISTERS } from '../../structures/hyperloglog.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt, keyRange } from '../define.ts'
import { createHyperLogLog, joined, joinHyperLogLogs, openHyperLogLog, storeHyperLogLog } from './hyperloglog-access.ts'

export const pfmerge = defineCommand({
  name: 'pfmerge',
  summary: 'Joins HyperLogLogs in a key.',
  group: 'hyperloglog',
  since: '2.8.9',
  complexity: 'O(N), N being the number of keys, with a big constant.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.HyperLogLog,
  keys: [...keyAt(1, 'RW', 'access', 'insert'), keyRange(2, -1, 1, 'RO', 'access')],
  handler: pfmergeHandler,
})

function pfmergeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { db } = ctx
  const hll = new HyperLogLog(ctx.arena)
  const hasDense = joinHyperLogLogs(ctx, args, hll)
  let row = db.find(args, 1)
  if (row === NO_ROW) row = createHyperLogLog(ctx, args, 1, hll)
  else openHyperLogLog(ctx, row, hll)
  // The destination has been read to the end: it cannot be corrupted.
  if (hasDense && hll.isSparse && !hll.makeDense()) throw HLL_CORRUPTED
  for (let i = 0; i < REGISTERS; i++) {
    const value = joined[i]!
    if (value > 0) hll.raise(i, value)
  }
  hll.forgetCardinality()
  storeHyperLogLog(db, row, hll.ref)
  ctx.changed(args, 1, Notify.String, 'pfadd')
  reply.ok()
}
