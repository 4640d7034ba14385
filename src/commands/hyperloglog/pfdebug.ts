/**
 * PFDEBUG GETREG | DECODE | ENCODING | TODENSE key
 *
 * Shows the insides of a HyperLogLog: all registers (the value becomes dense), the runs of a sparse one, the encoding; or
 * makes it dense.
 *
 * Reply: array of integers; text; status; 1 when it was sparse, else 0. Errors: no key; WRONGTYPE; corrupted; encoding;
 * unknown subcommand.
 * Source: Valkey src/hyperloglog.c `pfdebugCommand`.
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { HLL_CORRUPTED, HLL_NOT_SPARSE, SPECIFIED_KEY_MISSING, unknownPfdebugSubcommand } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { HyperLogLog, REGISTERS } from '../../structures/hyperloglog.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { openHyperLogLog, storeHyperLogLog } from './hyperloglog-access.ts'

export const pfdebug = defineCommand({
  name: 'pfdebug',
  summary: 'Shows the insides of a HyperLogLog, for debugging.',
  group: 'hyperloglog',
  since: '2.8.9',
  complexity: 'O(N), N being the number of registers.',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Admin,
  categories: AclCategory.HyperLogLog,
  keys: keyAt(2, 'RW', 'access'),
  handler: pfdebugHandler,
})

function pfdebugHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.findKind(args, 2, KindMask.String)
  if (row === NO_ROW) throw SPECIFIED_KEY_MISSING
  const hll = new HyperLogLog(ctx.arena)
  openHyperLogLog(ctx, row, hll)
  // As if it were about to be changed, whatever is asked.
  ctx.db.markRaw(row)
  if (args.is(1, 'GETREG')) {
    makeDense(ctx, row, hll)
    reply.array(REGISTERS)
    for (let i = 0; i < REGISTERS; i++) reply.integer(hll.denseRegister(i))
  } else if (args.is(1, 'DECODE')) {
    if (!hll.isSparse) throw HLL_NOT_SPARSE
    reply.bulkText(hll.describeRuns())
  } else if (args.is(1, 'ENCODING')) reply.status(hll.isSparse ? 'sparse' : 'dense')
  else if (args.is(1, 'TODENSE')) reply.integer(makeDense(ctx, row, hll) ? 1 : 0)
  else throw unknownPfdebugSubcommand(args.text(1))
}

/** Makes it dense, which is recorded. Returns whether it was not. */
function makeDense(ctx: CommandContext, row: number, hll: HyperLogLog): boolean {
  if (!hll.isSparse) return false
  if (!hll.makeDense()) throw HLL_CORRUPTED
  storeHyperLogLog(ctx.db, row, hll.ref)
  // What the key means is the same: nobody who watches it is told.
  ctx.markDirty(1)
  return true
}
