/**
 * SAVE
 * BGSAVE [SCHEDULE | CANCEL]
 * LASTSAVE
 *
 * SAVE writes the snapshot before it answers: nobody else is served meanwhile. BGSAVE writes it between commands. While
 * the append-only file is rewritten it is refused, or with SCHEDULE begun afterwards; within MULTI it is scheduled. CANCEL
 * (Valkey 8.1) gives up the one under way, or else the one that is scheduled. LASTSAVE tells when a snapshot was last
 * written; before the first one, as in Redis, when the server started.
 *
 * Reply: a status; LASTSAVE an integer, seconds since 1970. Errors: a snapshot is under way, or none to CANCEL; it failed
 * (the log says why).
 * Source: Valkey 7.2 src/rdb.c `saveCommand`, `bgsaveCommand`; src/db.c `lastsaveCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { BGSAVE_DENIED, NO_SAVE_TO_CANCEL, SAVE_FAILED, SAVE_IN_PROGRESS, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { CancelOutcome, type CommandContext, SaveOutcome } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

export const save = defineCommand({
  name: 'save',
  summary: 'Writes a snapshot of all data to disk before it answers.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys.',
  arity: 1,
  flags: CommandFlag.NoAsyncLoading | CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.NoMulti,
  categories: 0,
  handler: saveHandler,
})

export const bgsave = defineCommand({
  name: 'bgsave',
  summary: 'Writes a snapshot of all data to disk in the background.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of keys.',
  arity: -1,
  flags: CommandFlag.NoAsyncLoading | CommandFlag.Admin | CommandFlag.NoScript,
  categories: 0,
  handler: bgsaveHandler,
})

export const lastsave = defineCommand({
  name: 'lastsave',
  summary: 'Returns when a snapshot was last written.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 1,
  flags: CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast,
  categories: AclCategory.Admin | AclCategory.Dangerous,
  tips: ['nondeterministic_output'],
  handler: (ctx, _args, reply) => reply.integer(Math.floor(ctx.server.saving.lastSaveMs / 1000)),
})

function saveHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const { saving } = ctx.server
  if (saving.isSaving || ctx.server.replication.isWritingPayload) throw SAVE_IN_PROGRESS
  if (!saving.saveNow()) throw SAVE_FAILED
  reply.ok()
}

function bgsaveHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count === 2 && args.is(1, 'CANCEL')) {
    cancel(ctx, reply)
    return
  }
  if (args.count > 2 || (args.count === 2 && !args.is(1, 'SCHEDULE'))) throw SYNTAX_ERROR
  const outcome = ctx.server.saving.requestSave(!ctx.mayBlock, args.count === 2)
  if (outcome === SaveOutcome.AlreadyRunning) throw SAVE_IN_PROGRESS
  if (outcome === SaveOutcome.OtherRunning) throw BGSAVE_DENIED
  if (outcome === SaveOutcome.Failed) throw SAVE_FAILED
  reply.status(`Background saving ${outcome === SaveOutcome.Scheduled ? 'scheduled' : 'started'}`)
}

function cancel(ctx: CommandContext, reply: ReplySink): void {
  const outcome = ctx.server.saving.cancelSave()
  if (outcome === CancelOutcome.Nothing) throw NO_SAVE_TO_CANCEL
  reply.status(`${outcome === CancelOutcome.Scheduled ? 'Scheduled background' : 'Background'} saving cancelled`)
}
