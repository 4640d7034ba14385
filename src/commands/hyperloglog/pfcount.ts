/**
 * PFCOUNT key [key ...]
 *
 * Estimates how many different elements were added to a HyperLogLog, or to several together. The estimate for one key is
 * kept in its value, which is a change, recorded as the command itself.
 *
 * Reply: integer; missing keys are empty. Errors: WRONGTYPE, also for another string; corrupted.
 * Source: Valkey src/hyperloglog.c `pfcountCommand`. Hot path.
 */
import { INT64_MIN } from '../../bytes/integer.ts'
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { HLL_CORRUPTED } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { countRegisters, HyperLogLog } from '../../structures/hyperloglog.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { joined, joinHyperLogLogs, openHyperLogLog, storeHyperLogLog } from './hyperloglog-access.ts'

export const pfcount = defineCommand({
  name: 'pfcount',
  summary: 'Estimates how many different elements were added to HyperLogLogs.',
  group: 'hyperloglog',
  since: '2.8.9',
  complexity: 'O(1) for one key whose value has not changed since; O(N) with a big constant for N keys.',
  arity: -2,
  flags: CommandFlag.ReadOnly | CommandFlag.MayReplicate,
  categories: AclCategory.HyperLogLog,
  keys: [
    {
      ...keyRange(1, -1, 1, 'RW', 'access'),
      notes: 'RW because it may change the internal representation of the key, and propagate to replicas',
    },
  ],
  handler: pfcountHandler,
})

function pfcountHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hll = new HyperLogLog(ctx.arena)
  if (args.count > 2) {
    joinHyperLogLogs(ctx, args, hll)
    replyCardinality(reply, countRegisters(joined))
    return
  }
  const { db } = ctx
  const row = db.readKind(args, 1, KindMask.String)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  openHyperLogLog(ctx, row, hll)
  if (hll.hasCardinality) {
    replyCardinality(reply, hll.cardinality)
    return
  }
  const cardinality = hll.count()
  if (cardinality < 0) throw HLL_CORRUPTED
  // The pipeline does this for commands that write; this one is flagged as reading.
  db.aboutToChange(row)
  hll.setCardinality(cardinality)
  storeHyperLogLog(db, row, hll.ref)
  ctx.changedQuietly(args, 1)
  replyCardinality(reply, cardinality)
}

function replyCardinality(reply: ReplySink, cardinality: number): void {
  if (Number.isSafeInteger(cardinality)) reply.integer(cardinality)
  // Redis converts what does not fit to the least integer.
  else reply.bigInteger(cardinality >= 2 ** 63 ? INT64_MIN : BigInt(cardinality))
}
