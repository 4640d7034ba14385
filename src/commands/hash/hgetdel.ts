/**
 * HGETDEL key FIELDS numfields field [field ...]
 *
 * Returns the values of fields and removes them, and the hash with its last field. Recorded as HDEL.
 *
 * Reply: for each field its value, or null. Errors: WRONGTYPE; FIELDS; the number of fields.
 * Source: redis.io/commands/hgetdel (Redis 8.0).
 */
import type { Args } from '../../resp/args.ts'
import { NUMFIELDS_NOT_POSITIVE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { fieldsAt } from './field-arguments.ts'
import { findHash, removeNamedExpired, storeAfterRemoval } from './hash-access.ts'

export const hgetdel = defineCommand({
  name: 'hgetdel',
  summary: 'Returns the values of fields of a hash and removes the fields.',
  group: 'hash',
  since: '8.0.0',
  complexity: 'O(N) where N is the number of fields that are named.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: hgetdelHandler,
})

const value = new Element()

function hgetdelHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const found = findHash(ctx, args, 1)
  const first = fieldsAt(args, 2, NUMFIELDS_NOT_POSITIVE)
  const row = removeNamedExpired(ctx, args, found, first, args.count, 1)
  const { hash } = ctx
  let deleted = 0
  reply.array(args.count - first)
  for (let i = first; i < args.count; i++) {
    if (!hash.get(args.buffer, args.start(i), args.length(i), value)) {
      reply.nil()
      continue
    }
    replyElement(reply, value)
    hash.remove(args.buffer, args.start(i), args.length(i))
    deleted++
  }
  if (deleted === 0) return
  storeAfterRemoval(ctx, args, 1, row, 'hdel')
  ctx.markDirty(deleted - 1)
  ctx.journal.begin(ctx.db.index, 2 + args.count - first)
  ctx.journal.text('HDEL')
  ctx.journal.arg(args, 1)
  for (let i = first; i < args.count; i++) ctx.journal.arg(args, i)
}
