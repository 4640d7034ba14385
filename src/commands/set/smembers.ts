/**
 * SMEMBERS key
 * SCARD key
 * SISMEMBER key member
 * SMISMEMBER key member [member ...]
 *
 * Read one set.
 *
 * Reply: SMEMBERS a set, SCARD and SISMEMBER an integer, SMISMEMBER an array of 1 and 0. A missing key is an empty set.
 * Errors: WRONGTYPE.
 * Source: Valkey src/t_set.c `sinterCommand` (of one set), `scardCommand`, `sismemberCommand`, `smismemberCommand`.
 * Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { readSet } from './set-access.ts'

export const smembers = defineCommand({
  name: 'smembers',
  summary: 'Returns all members of a set.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(N) where N is the number of members.',
  arity: 2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output_order'],
  handler: smembersHandler,
})

export const scard = defineCommand({
  name: 'scard',
  summary: 'Returns the number of members of a set.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RO'),
  handler: scardHandler,
})

export const sismember = defineCommand({
  name: 'sismember',
  summary: 'Tells whether a member belongs to a set.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RO'),
  handler: sismemberHandler,
})

export const smismember = defineCommand({
  name: 'smismember',
  summary: 'Tells which of several members belong to a set.',
  group: 'set',
  since: '6.2.0',
  complexity: 'O(N) where N is the number of members that are asked for.',
  arity: -3,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RO', 'access'),
  handler: smismemberHandler,
})

const member = new Element()

function smembersHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const set = readSet(ctx, args, 1)
  reply.set(set.size())
  const cursor = set.walk()
  while (cursor.advance(member)) replyElement(reply, member)
}

function scardHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.integer(readSet(ctx, args, 1).size())
}

function sismemberHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const set = readSet(ctx, args, 1)
  reply.integer(set.has(args.buffer, args.start(2), args.length(2)) ? 1 : 0)
}

function smismemberHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const set = readSet(ctx, args, 1)
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) {
    reply.integer(set.has(args.buffer, args.start(i), args.length(i)) ? 1 : 0)
  }
}
