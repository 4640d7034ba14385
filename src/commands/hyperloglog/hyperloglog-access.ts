/** HyperLogLogs of keys: checked, opened, created and stored. Hot path. */
import { type Database, KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { HLL_CORRUPTED, NOT_HYPERLOGLOG } from '../../resp/errors.ts'
import type { Ref } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { emptyHyperLogLog, type HyperLogLog, isHyperLogLog, REGISTERS } from '../../structures/hyperloglog.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'

/** Registers of several HyperLogLogs joined, a byte each. Reused by every call. */
export const joined = new Uint8Array(REGISTERS)

/** Opens the HyperLogLog of a string key at `row`. @throws NOT_HYPERLOGLOG */
export function openHyperLogLog(ctx: CommandContext, row: number, hll: HyperLogLog): void {
  const { db } = ctx
  if (db.kind(row) !== Kind.StringBytes) throw NOT_HYPERLOGLOG
  const ref = db.ref(row)
  const { arena } = db
  if (!isHyperLogLog(arena.segment(ref), arena.offset(ref), arena.length(ref))) throw NOT_HYPERLOGLOG
  hll.open(ref, ctx.keyspace.limits.hllSparseMaxBytes)
}

/** Creates an empty one under the key of argument `i`, which is missing, and opens it. Returns its row. */
export function createHyperLogLog(ctx: CommandContext, args: Args, i: number, hll: HyperLogLog): number {
  const ref = emptyHyperLogLog(ctx.arena)
  hll.open(ref, ctx.keyspace.limits.hllSparseMaxBytes)
  return ctx.db.add(args, i, Kind.StringBytes, ref)
}

/** Stores the block, which a change may have moved, in its row. */
export function storeHyperLogLog(db: Database, row: number, ref: Ref): void {
  db.overwrite(row, Kind.StringBytes, ref)
  db.markRaw(row)
}

/**
 * Joins the HyperLogLogs of the keys from argument 1 on in `joined`; missing ones are empty. Returns whether one of them
 * is dense.
 *
 * @throws WRONGTYPE, NOT_HYPERLOGLOG, HLL_CORRUPTED
 */
export function joinHyperLogLogs(ctx: CommandContext, args: Args, hll: HyperLogLog): boolean {
  let hasDense = false
  joined.fill(0)
  for (let i = 1; i < args.count; i++) {
    const row = ctx.db.readKind(args, i, KindMask.String)
    if (row === NO_ROW) continue
    openHyperLogLog(ctx, row, hll)
    if (!hll.isSparse) hasDense = true
    if (!hll.mergeInto(joined)) throw HLL_CORRUPTED
  }
  return hasDense
}
