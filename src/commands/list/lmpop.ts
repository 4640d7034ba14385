/**
 * LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]
 *
 * Removes and returns elements from an end of the first list that exists.
 *
 * Reply: array of the key and an array of elements; an array's null when no key exists. Errors: numkeys or count not
 * positive; syntax; WRONGTYPE of a key that is looked at.
 * Source: Valkey 7.2 src/t_list.c `lmpopGenericCommand`, `mpopGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { COUNT_NOT_POSITIVE, NUMKEYS_NOT_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyCountAt } from '../define.ts'
import { findList, listEnd } from './list-access.ts'
import { popRange } from './pop.ts'

const COUNT_NOT_GIVEN = -1

/** Arguments of LMPOP and BLMPOP, parsed. Reused by every call. */
export interface MultiPop {
  /** Argument of the first key. */
  firstKey: number
  keyCount: number
  end: ListEnd
  /** Most elements to pop. */
  count: number
}

export const lmpop = defineCommand({
  name: 'lmpop',
  summary: 'Removes and returns elements of the first list that is not empty.',
  group: 'list',
  since: '7.0.0',
  complexity: 'O(N+M) where N is the number of keys and M the number of elements returned.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.MovableKeys,
  categories: AclCategory.List,
  keys: [keyCountAt(1, 'RW', 'access', 'delete')],
  handler: lmpopHandler,
})

const call: MultiPop = { firstKey: 0, keyCount: 0, end: ListEnd.Head, count: 0 }

function lmpopHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseMultiPop(args, 1, call)
  if (!popFirst(ctx, args, call, reply)) reply.nilArray()
}

/** Parses from the number of keys, in argument `i`, on. @throws NUMKEYS_NOT_POSITIVE, COUNT_NOT_POSITIVE, SYNTAX_ERROR */
export function parseMultiPop(args: Args, i: number, into: MultiPop): void {
  into.firstKey = i + 1
  into.keyCount = args.integerIn(i, 1, Number.POSITIVE_INFINITY, NUMKEYS_NOT_POSITIVE)
  const endAt = i + 1 + into.keyCount
  if (endAt >= args.count) throw SYNTAX_ERROR
  into.end = listEnd(args, endAt)
  into.count = COUNT_NOT_GIVEN
  for (let at = endAt + 1; at < args.count; at += 2) {
    if (into.count !== COUNT_NOT_GIVEN || !args.is(at, 'COUNT') || at + 1 >= args.count) throw SYNTAX_ERROR
    into.count = args.integerIn(at + 1, 1, Number.POSITIVE_INFINITY, COUNT_NOT_POSITIVE)
  }
  if (into.count === COUNT_NOT_GIVEN) into.count = 1
}

/**
 * Pops from the first list that exists, replies and records it as LPOP or RPOP of what there was. Returns false when there
 * is none.
 */
export function popFirst(ctx: CommandContext, args: Args, pop: MultiPop, reply: ReplySink): boolean {
  for (let i = pop.firstKey; i < pop.firstKey + pop.keyCount; i++) {
    const row = findList(ctx, args, i, ctx.list)
    if (row === NO_ROW) continue
    reply.array(2)
    reply.bulk(args.buffer, args.start(i), args.length(i))
    const popped = popRange(ctx, args, i, row, pop.end, pop.count, reply)
    ctx.journal.begin(ctx.db.index, 3)
    ctx.journal.text(pop.end === ListEnd.Head ? 'LPOP' : 'RPOP')
    ctx.journal.arg(args, i)
    ctx.journal.integer(popped)
    return true
  }
  return false
}
