/**
 * HGETALL key
 * HKEYS key
 * HVALS key
 * HLEN key
 *
 * Read a whole hash, or count its fields.
 *
 * Reply: HGETALL a map, HKEYS and HVALS arrays, HLEN an integer; empty or 0 for a missing key. HLEN counts fields whose
 * time is over as long as they are there, as Redis does. Errors: WRONGTYPE.
 * Source: Valkey src/t_hash.c `genericHgetallCommand`, `hlenCommand`. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { readHash } from './hash-access.ts'

export const hgetall = defineCommand({
  name: 'hgetall',
  summary: 'Returns all fields of a hash with their values.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(N), N being the number of fields.',
  arity: 2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output_order'],
  handler: hgetallHandler,
})

export const hkeys = defineCommand({
  name: 'hkeys',
  summary: 'Returns all fields of a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(N), N being the number of fields.',
  arity: 2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output_order'],
  handler: hkeysHandler,
})

export const hvals = defineCommand({
  name: 'hvals',
  summary: 'Returns all values of a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(N), N being the number of fields.',
  arity: 2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output_order'],
  handler: hvalsHandler,
})

export const hlen = defineCommand({
  name: 'hlen',
  summary: 'Returns the number of fields of a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO'),
  handler: hlenHandler,
})

const field = new Element()
const value = new Element()

function hgetallHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hash = readHash(ctx, args, 1)
  reply.map(hash.visibleSize())
  const cursor = hash.walk()
  while (cursor.advance(field, value)) {
    replyElement(reply, field)
    replyElement(reply, value)
  }
}

function hkeysHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hash = readHash(ctx, args, 1)
  reply.array(hash.visibleSize())
  const cursor = hash.walk()
  while (cursor.advance(field, value)) replyElement(reply, field)
}

function hvalsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const hash = readHash(ctx, args, 1)
  reply.array(hash.visibleSize())
  const cursor = hash.walk()
  while (cursor.advance(field, value)) replyElement(reply, value)
}

function hlenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.integer(readHash(ctx, args, 1).size())
}
