/**
 * LPUSH key element [element ...]
 * RPUSH key element [element ...]
 * LPUSHX key element [element ...]
 * RPUSHX key element [element ...]
 *
 * Add elements at an end of a list, one after the other; the X variants only when the list exists.
 *
 * Reply: integer, the length of the list; 0 when an X variant finds no list. Errors: WRONGTYPE.
 * Source: Valkey 7.2 src/t_list.c `pushGenericCommand`. Hot path.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { addList, findList, storeList } from './list-access.ts'

export const lpush = defineCommand({
  name: 'lpush',
  summary: 'Adds elements before the first one of a list, creating the list if needed.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(1) for each element.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'insert'),
  handler: (ctx, args, reply) => pushElements(ctx, args, reply, ListEnd.Head),
})

export const rpush = defineCommand({
  name: 'rpush',
  summary: 'Adds elements behind the last one of a list, creating the list if needed.',
  group: 'list',
  since: '1.0.0',
  complexity: 'O(1) for each element.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'insert'),
  handler: (ctx, args, reply) => pushElements(ctx, args, reply, ListEnd.Tail),
})

export const lpushx = defineCommand({
  name: 'lpushx',
  summary: 'Adds elements before the first one of a list that exists.',
  group: 'list',
  since: '2.2.0',
  complexity: 'O(1) for each element.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'insert'),
  handler: (ctx, args, reply) => pushIfPresent(ctx, args, reply, ListEnd.Head),
})

export const rpushx = defineCommand({
  name: 'rpushx',
  summary: 'Adds elements behind the last one of a list that exists.',
  group: 'list',
  since: '2.2.0',
  complexity: 'O(1) for each element.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.List,
  keys: keyAt(1, 'RW', 'insert'),
  handler: (ctx, args, reply) => pushIfPresent(ctx, args, reply, ListEnd.Tail),
})

function pushElements(ctx: CommandContext, args: Args, reply: ReplySink, end: ListEnd): void {
  pushAt(ctx, args, reply, end, findList(ctx, args, 1, ctx.list))
}

function pushIfPresent(ctx: CommandContext, args: Args, reply: ReplySink, end: ListEnd): void {
  const row = findList(ctx, args, 1, ctx.list)
  if (row === NO_ROW) reply.integer(0)
  else pushAt(ctx, args, reply, end, row)
}

/** Pushes all elements to the list at `row`, which is open, or to a new one. */
function pushAt(ctx: CommandContext, args: Args, reply: ReplySink, end: ListEnd, row: number): void {
  const list = ctx.list
  const count = args.count
  if (row === NO_ROW) list.create()
  let bytes = 0
  for (let i = 2; i < count; i++) bytes += args.length(i)
  list.expect(count - 2, bytes)
  for (let i = 2; i < count; i++) list.push(end, args.buffer, args.start(i), args.length(i))
  if (row === NO_ROW) addList(ctx, args, 1, list)
  else storeList(ctx.db, row, list)
  ctx.changed(args, 1, Notify.List, end === ListEnd.Head ? 'lpush' : 'rpush')
  if (count > 3) ctx.markDirty(count - 3)
  reply.integer(list.length())
}
