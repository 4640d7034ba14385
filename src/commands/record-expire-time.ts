/** The effect of setting an expire time: PEXPIREAT, whatever the command was. Hot path. */
import type { Journal } from '../persistence/journal.ts'
import type { Args } from '../resp/args.ts'
import type { CommandContext } from './context.ts'

/** Records that the key in argument `i` now expires at `timeMs`. */
export function recordExpireTime(ctx: CommandContext, args: Args, i: number, timeMs: number): void {
  const journal = ctx.journal
  journal.begin(ctx.db.index, 3)
  journal.text('PEXPIREAT')
  journal.arg(args, i)
  recordTime(journal, timeMs)
}

/** Writes a time as a value of the effect that was begun. */
export function recordTime(journal: Journal, timeMs: number): void {
  if (Number.isSafeInteger(timeMs)) journal.integer(timeMs)
  else journal.text(String(BigInt(timeMs)))
}
