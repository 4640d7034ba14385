/**
 * MULTI and DISCARD: begin a transaction, and give it up.
 *
 * Reply: OK. Errors: MULTI inside MULTI; DISCARD outside.
 * Source: Valkey src/multi.c `multiCommand`, `discardCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { DISCARD_WITHOUT_MULTI, NESTED_MULTI } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag, discardTransaction } from '../session.ts'

const FLAGS = CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast | CommandFlag.AllowBusy

export const multi = defineCommand({
  name: 'multi',
  summary: 'Starts a transaction: the commands that follow are queued until EXEC.',
  group: 'transactions',
  since: '1.2.0',
  complexity: 'O(1)',
  arity: 1,
  flags: FLAGS,
  categories: AclCategory.Transaction,
  handler: multiHandler,
})

export const discard = defineCommand({
  name: 'discard',
  summary: 'Gives up a transaction: queued commands are forgotten and watched keys let go.',
  group: 'transactions',
  since: '2.0.0',
  complexity: 'O(N), N being the number of commands that were queued.',
  arity: 1,
  flags: FLAGS,
  categories: AclCategory.Transaction,
  handler: discardHandler,
})

function multiHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  if ((ctx.session.flags & ClientFlag.Multi) !== 0) throw NESTED_MULTI
  ctx.session.flags |= ClientFlag.Multi
  reply.ok()
}

function discardHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  if ((ctx.session.flags & ClientFlag.Multi) === 0) throw DISCARD_WITHOUT_MULTI
  discardTransaction(ctx.session)
  reply.ok()
}
