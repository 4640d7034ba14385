/**
 * BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout
 * BRPOPLPUSH source destination timeout
 *
 * Move an element as LMOVE and RPOPLPUSH do, or wait until the source exists. A waiting command is run again when the source
 * is ready (keyspace/blocked.ts). Recorded as LMOVE or RPOPLPUSH.
 *
 * Reply: bulk string, the element; null when the time is over. Errors: syntax; those of the timeout; WRONGTYPE of the source,
 * and of the destination once the source exists.
 * Source: Valkey 7.2 src/t_list.c `blmoveGenericCommand`.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import { deadlineInSeconds } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { findList, listEnd } from './list-access.ts'
import { MOVE_KEYS, moveElement } from './lmove.ts'

export const blmove = defineCommand({
  name: 'blmove',
  summary: 'Moves an element from an end of a list to an end of another one, waiting for one if needed.',
  group: 'list',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: 6,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Blocking,
  categories: AclCategory.List,
  keys: MOVE_KEYS,
  handler: blmoveHandler,
})

export const brpoplpush = defineCommand({
  name: 'brpoplpush',
  summary: 'Moves the last element of a list to the head of another one, waiting for one if needed.',
  group: 'list',
  since: '2.2.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Blocking,
  categories: AclCategory.List,
  keys: MOVE_KEYS,
  deprecated: { since: '6.2.0', replacedBy: '`BLMOVE` with the `RIGHT` and `LEFT` arguments' },
  handler: brpoplpushHandler,
})

function blmoveHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const from = listEnd(args, 3)
  const to = listEnd(args, 4)
  const deadlineMs = deadlineInSeconds(args, 5, ctx.now)
  if (!moveOrBlock(ctx, args, from, to, deadlineMs, reply)) return
  ctx.journal.begin(ctx.db.index, 5)
  ctx.journal.text('LMOVE')
  for (let i = 1; i < 5; i++) ctx.journal.arg(args, i)
}

function brpoplpushHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const deadlineMs = deadlineInSeconds(args, 3, ctx.now)
  if (!moveOrBlock(ctx, args, ListEnd.Tail, ListEnd.Head, deadlineMs, reply)) return
  ctx.journal.begin(ctx.db.index, 3)
  ctx.journal.text('RPOPLPUSH')
  ctx.journal.arg(args, 1)
  ctx.journal.arg(args, 2)
}

/** Returns whether an element was moved. */
function moveOrBlock(
  ctx: CommandContext,
  args: Args,
  from: ListEnd,
  to: ListEnd,
  deadlineMs: number,
  reply: ReplySink,
): boolean {
  const row = findList(ctx, args, 1, ctx.list)
  if (row !== NO_ROW) {
    moveElement(ctx, args, row, from, to, reply)
    return true
  }
  if (ctx.mayBlock) ctx.server.waiting.block(ctx.session, args, 1, 1, BlockedOn.List, deadlineMs, false)
  else reply.nil()
  return false
}
