/**
 * HGET key field
 * HMGET key field [field ...]
 * HSTRLEN key field
 * HEXISTS key field
 *
 * Read single fields of a hash.
 *
 * Reply: HGET the value or null, HMGET an array of these, HSTRLEN the length of the value, HEXISTS 1 or 0. A missing
 * key is an empty hash. Errors: WRONGTYPE.
 * Source: Valkey src/t_hash.c `hgetCommand`, `hmgetCommand`, `hstrlenCommand`, `hexistsCommand`. Hot path.
 */
import { integerLength } from '../../bytes/integer.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { HashView } from '../../structures/hash-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { readFields } from './hash-access.ts'

export const hget = defineCommand({
  name: 'hget',
  summary: 'Returns the value of a field of a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  handler: hgetHandler,
})

export const hmget = defineCommand({
  name: 'hmget',
  summary: 'Returns the values of several fields of a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(N) where N is the number of fields that are asked for.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  handler: hmgetHandler,
})

export const hstrlen = defineCommand({
  name: 'hstrlen',
  summary: 'Returns the length of the value of a field of a hash, in bytes.',
  group: 'hash',
  since: '3.2.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO'),
  handler: hstrlenHandler,
})

export const hexists = defineCommand({
  name: 'hexists',
  summary: 'Tells whether a field exists in a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO'),
  handler: hexistsHandler,
})

const value = new Element()

function hgetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  replyField(readFields(ctx, args, 1, 2, 3), args, 2, reply)
}

function hmgetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hash = readFields(ctx, args, 1, 2, args.count)
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) replyField(hash, args, i, reply)
}

function hstrlenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hash = readFields(ctx, args, 1, 2, 3)
  if (!hash.get(args.buffer, args.start(2), args.length(2), value)) reply.integer(0)
  else reply.integer(value.isInteger ? integerLength(value.integer) : value.length)
}

function hexistsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hash = readFields(ctx, args, 1, 2, 3)
  reply.integer(hash.has(args.buffer, args.start(2), args.length(2)) ? 1 : 0)
}

function replyField(hash: HashView, args: Args, i: number, reply: ReplySink): void {
  if (hash.get(args.buffer, args.start(i), args.length(i), value)) replyElement(reply, value)
  else reply.nil()
}
