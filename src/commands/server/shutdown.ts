/**
 * SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]
 *
 * Waits until replicas have what was written (`shutdown-timeout`), writes the last snapshot if there is to be one, sends
 * what is due, completes and closes the append-only file and ends the process. FORCE: even when the snapshot cannot be
 * written. NOW: without waiting for replicas. ABORT ends such a wait, and takes back what a signal has asked for.
 *
 * Reply: none, the connection is closed; OK to ABORT. Errors: syntax; what cannot be done.
 * Source: Valkey src/db.c `shutdownCommand`, src/server.c `prepareForShutdown`.
 */
import type { Args } from '../../resp/args.ts'
import { NO_SHUTDOWN, SHUTDOWN_DENIED, SHUTDOWN_FAILED, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { type CommandContext, ShutdownSave } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'
import { existingScriptRunner } from '../scripting/script-runner.ts'
import { ClientFlag } from '../session.ts'

export const shutdown = defineCommand({
  name: 'shutdown',
  summary: 'Ends the server after everything is written.',
  group: 'server',
  since: '1.0.0',
  complexity: 'O(N), N being the number of connections.',
  arity: -1,
  flags:
    CommandFlag.Admin |
    CommandFlag.NoScript |
    CommandFlag.Loading |
    CommandFlag.Stale |
    CommandFlag.NoMulti |
    CommandFlag.AllowBusy,
  categories: 0,
  handler: shutdownHandler,
})

const options = { save: false, nosave: false, now: false, force: false, abort: false }

function shutdownHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseOptions(args)
  if (options.abort) {
    if (!ctx.server.leaving.abort()) throw NO_SHUTDOWN
    reply.ok()
    return
  }
  if (!options.now && !ctx.mayBlock) throw SHUTDOWN_DENIED
  // A script that runs too long: what it has done so far cannot be kept.
  const runner = existingScriptRunner(ctx)
  if (!options.nosave && runner?.isRunning === true) throw runner.busyError
  const save = options.save ? ShutdownSave.Always : options.nosave ? ShutdownSave.Never : ShutdownSave.IfConfigured
  const mayEnd = options.now
    ? ctx.server.leaving.shutdown(save, options.force)
    : ctx.server.leaving.shutdownWhenReplicated(ctx.session, args, save, options.force)
  if (!mayEnd) throw SHUTDOWN_FAILED
  if ((ctx.session.flags & ClientFlag.Blocked) === 0) ctx.session.flags |= ClientFlag.CloseAfterReply
}

function parseOptions(args: Args): void {
  options.save = false
  options.nosave = false
  options.now = false
  options.force = false
  options.abort = false
  for (let i = 1; i < args.count; i++) {
    if (args.is(i, 'SAVE')) options.save = true
    else if (args.is(i, 'NOSAVE')) options.nosave = true
    else if (args.is(i, 'NOW')) options.now = true
    else if (args.is(i, 'FORCE')) options.force = true
    else if (args.is(i, 'ABORT')) options.abort = true
    else throw SYNTAX_ERROR
  }
  const hasOthers = options.save || options.nosave || options.now || options.force
  if ((options.abort && hasOthers) || (options.save && options.nosave)) throw SYNTAX_ERROR
}
