/**
 * BLPOP key [key ...] timeout
 * BRPOP key [key ...] timeout
 * BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]
 *
 * Pop from the first list that exists, as LPOP, RPOP and LMPOP do, or wait until there is one. A waiting command is run
 * again when one of its keys is ready (keyspace/blocked.ts). Recorded as LPOP or RPOP.
 *
 * Reply: array of key and element (BLMPOP: and an array of elements); an array's null when the time is over. Errors: those
 * of the timeout; WRONGTYPE of a key that is looked at; those of LMPOP.
 * Source: Valkey 7.2 src/t_list.c `blockingPopGenericCommand`.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import { blockOrReply, deadlineInSeconds } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt, keyRange } from '../define.ts'
import { dropElements, findList } from './list-access.ts'
import { type MultiPop, parseMultiPop, popFirst } from './lmpop.ts'

export const blpop = defineCommand({
  name: 'blpop',
  summary: 'Removes and returns the first element of the first list that is not empty, waiting for one if needed.',
  group: 'list',
  since: '2.0.0',
  complexity: 'O(N) where N is the number of keys.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Blocking,
  categories: AclCategory.List,
  keys: [keyRange(1, -2, 1, 'RW', 'access', 'delete')],
  handler: (ctx, args, reply) => popOrBlock(ctx, args, reply, ListEnd.Head),
})

export const brpop = defineCommand({
  name: 'brpop',
  summary: 'Removes and returns the last element of the first list that is not empty, waiting for one if needed.',
  group: 'list',
  since: '2.0.0',
  complexity: 'O(N) where N is the number of keys.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Blocking,
  categories: AclCategory.List,
  keys: [keyRange(1, -2, 1, 'RW', 'access', 'delete')],
  handler: (ctx, args, reply) => popOrBlock(ctx, args, reply, ListEnd.Tail),
})

export const blmpop = defineCommand({
  name: 'blmpop',
  summary: 'Removes and returns elements of the first list that is not empty, waiting for one if needed.',
  group: 'list',
  since: '7.0.0',
  complexity: 'O(N+M) where N is the number of keys and M the number of elements returned.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.Blocking | CommandFlag.MovableKeys,
  categories: AclCategory.List,
  keys: [keyCountAt(2, 'RW', 'access', 'delete')],
  handler: blmpopHandler,
})

const call: MultiPop = { firstKey: 0, keyCount: 0, end: ListEnd.Head, count: 0 }

function popOrBlock(ctx: CommandContext, args: Args, reply: ReplySink, end: ListEnd): void {
  const last = args.count - 1
  const deadlineMs = deadlineInSeconds(args, last, ctx.now)
  for (let i = 1; i < last; i++) {
    const row = findList(ctx, args, i, ctx.list)
    if (row === NO_ROW) continue
    reply.array(2)
    reply.bulk(args.buffer, args.start(i), args.length(i))
    reply.bulkEntry(ctx.list.peek(end))
    dropElements(ctx, args, i, row, end, 1)
    ctx.journal.begin(ctx.db.index, 2)
    ctx.journal.text(end === ListEnd.Head ? 'LPOP' : 'RPOP')
    ctx.journal.arg(args, i)
    return
  }
  blockOrReply(ctx, args, reply, 1, last - 1, BlockedOn.List, deadlineMs)
}

function blmpopHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  // The timeout comes first but is looked at last.
  parseMultiPop(args, 2, call)
  const deadlineMs = deadlineInSeconds(args, 1, ctx.now)
  if (!popFirst(ctx, args, call, reply))
    blockOrReply(ctx, args, reply, call.firstKey, call.keyCount, BlockedOn.List, deadlineMs)
}
