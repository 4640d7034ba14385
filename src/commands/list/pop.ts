/**
 * LPOP key [count]
 * RPOP key [count]
 *
 * Remove and return elements from an end of a list.
 *
 * Reply: bulk string; with a count an array of up to that many. Null (an array's null with a count) when the key is missing.
 * Errors: wrong arity; a count that is no integer or negative; WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `popGenericCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import { OUT_OF_RANGE_POSITIVE, type ReplyError, wrongArity } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { dropElements, findList } from './list-access.ts'

const WRONG_ARITY_LPOP = wrongArity('lpop')
const WRONG_ARITY_RPOP = wrongArity('rpop')

export const lpop = defineCommand({
  name: 'lpop',
  summary: 'Removes and returns the first elements of a list. The key goes with the last element.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of elements returned.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: (ctx, args, reply) => popElements(ctx, args, reply, ListEnd.Head, WRONG_ARITY_LPOP),
})

export const rpop = defineCommand({
  name: 'rpop',
  summary: 'Removes and returns the last elements of a list. The key goes with the last element.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of elements returned.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: (ctx, args, reply) => popElements(ctx, args, reply, ListEnd.Tail, WRONG_ARITY_RPOP),
})

function popElements(ctx: CommandContext, args: Args, reply: ReplySink, end: ListEnd, arityError: ReplyError): void {
  if (args.count === 2) {
    const row = findList(ctx, args, 1, ctx.list)
    if (row === NO_ROW) {
      reply.nil()
      return
    }
    reply.bulkEntry(ctx.list.peek(end))
    dropElements(ctx, args, 1, row, end, 1)
    return
  }
  // The arity of the definition has no upper bound; Redis answers here.
  if (args.count > 3) throw arityError
  const count = args.integerIn(2, 0, Number.POSITIVE_INFINITY, OUT_OF_RANGE_POSITIVE)
  const row = findList(ctx, args, 1, ctx.list)
  if (row === NO_ROW) reply.nilArray()
  else if (count === 0) reply.array(0)
  else popRange(ctx, args, 1, row, end, count, reply)
}

/**
 * Replies up to `count` (at least 1) elements from one end of the list of `ctx.list`, which is that of argument `i`, in the
 * order of popping, and removes them. Returns how many.
 */
export function popRange(
  ctx: CommandContext,
  args: Args,
  i: number,
  row: number,
  end: ListEnd,
  count: number,
  reply: ReplySink,
): number {
  const list = ctx.list
  const popped = Math.min(count, list.length())
  const cursor = list.rewind()
  reply.array(popped)
  if (end === ListEnd.Tail) cursor.toEnd()
  for (let n = 0; n < popped; n++) {
    if (end === ListEnd.Head) cursor.advance()
    else cursor.retreat()
    reply.bulkEntry(cursor.entry)
  }
  dropElements(ctx, args, i, row, end, popped)
  return popped
}
