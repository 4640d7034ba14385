/** Deleting one key, with its event. Hot path. */
import { FreeReason } from '../keyspace/lazy-free.ts'
import { Notify } from '../keyspace/notify.ts'
import type { Args } from '../resp/args.ts'
import type { CommandContext } from './context.ts'

/** Deletes the key in argument `i`, which is at `row`. Rows are invalid afterwards. */
export function deleteKey(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  reason: FreeReason = FreeReason.ServerDel,
): void {
  ctx.db.remove(row, reason)
  ctx.changed(args, i, Notify.Generic, 'del')
}

/** As `deleteKey`, for a command that is recorded as the deletion that it amounts to. */
export function deleteKeyAsEffect(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  reason: FreeReason = FreeReason.ServerDel,
): void {
  deleteKey(ctx, args, i, row, reason)
  recordDeletion(ctx, args, i, reason)
}

/** Records the deletion of the key in argument `i`: as UNLINK where the settings let values be freed later. */
export function recordDeletion(ctx: CommandContext, args: Args, i: number, reason: FreeReason): void {
  ctx.journal.begin(ctx.db.index, 2)
  ctx.journal.text(ctx.keyspace.lazyFree.isLazy[reason] === true ? 'UNLINK' : 'DEL')
  ctx.journal.arg(args, i)
}
