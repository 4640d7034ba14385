/**
 * PFADD key [element [element ...]]
 *
 * Adds elements to a HyperLogLog, which is made when the key is missing, without elements too.
 *
 * Reply: 1 when a register changed or the key was made, else 0. Errors: WRONGTYPE, also for another string; corrupted.
 * Source: Valkey src/hyperloglog.c `pfaddCommand`. Hot path.
 */
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { HLL_CORRUPTED } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Added, HyperLogLog } from '../../structures/hyperloglog.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { createHyperLogLog, openHyperLogLog, storeHyperLogLog } from './hyperloglog-access.ts'

export const pfadd = defineCommand({
  name: 'pfadd',
  summary: 'Adds elements to a HyperLogLog, which is created when the key is missing.',
  group: 'hyperloglog',
  since: '2.8.9',
  complexity: 'O(1) for each element.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.HyperLogLog,
  keys: keyAt(1, 'RW', 'insert'),
  handler: pfaddHandler,
})

function pfaddHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { db } = ctx
  const hll = new HyperLogLog(ctx.arena)
  let row = db.findKind(args, 1, KindMask.String)
  let changes = 0
  if (row === NO_ROW) {
    row = createHyperLogLog(ctx, args, 1, hll)
    changes++
  } else openHyperLogLog(ctx, row, hll)
  let added: Added = Added.Nothing
  for (let i = 2; i < args.count && added !== Added.Corrupted; i++) {
    added = hll.add(args.buffer, args.start(i), args.length(i))
    if (added === Added.Changed) changes++
  }
  // What was added before the corruption was met stays, as in Redis, and is no change.
  if (added !== Added.Corrupted && changes > 0) hll.forgetCardinality()
  storeHyperLogLog(db, row, hll.ref)
  if (added === Added.Corrupted) throw HLL_CORRUPTED
  if (changes > 0) {
    ctx.changed(args, 1, Notify.String, 'pfadd')
    ctx.markDirty(changes - 1)
  }
  reply.integer(changes > 0 ? 1 : 0)
}
