/**
 * HPERSIST key FIELDS numfields field [field ...]
 *
 * Takes the expire times of fields away.
 *
 * Reply: for each field 1; -1 when it does not expire, -2 when it is missing. Errors: WRONGTYPE; FIELDS; the number of
 * fields.
 * Source: Valkey src/t_hash.c `hpersistCommand` (Redis 7.4).
 */
import { storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { NUMFIELDS_NOT_POSITIVE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { fieldsAt } from './field-arguments.ts'
import { findHash, removeNamedExpired } from './hash-access.ts'

export const hpersist = defineCommand({
  name: 'hpersist',
  summary: 'Takes the expire times of fields of a hash away.',
  group: 'hash',
  since: '7.4.0',
  complexity: 'O(N log M), N being the number of fields that are named and M that of fields that expire.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'update'),
  handler: hpersistHandler,
})

const PERSISTED = 1

function hpersistHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const found = findHash(ctx, args, 1)
  const first = fieldsAt(args, 2, NUMFIELDS_NOT_POSITIVE)
  // Where the command is replayed, a field whose time is over has it on, and would live for ever.
  const row = removeNamedExpired(ctx, args, found, first, args.count, 1)
  const { hash } = ctx
  let persisted = 0
  reply.array(args.count - first)
  for (let i = first; i < args.count; i++) {
    const time = hash.fieldTime(args.buffer, args.start(i), args.length(i))
    if (time < 0) {
      // NO_EXPIRE and NO_FIELD are the numbers to reply.
      reply.integer(time)
      continue
    }
    hash.setTime(args.buffer, args.start(i), args.length(i), NO_EXPIRE)
    persisted++
    reply.integer(PERSISTED)
  }
  if (persisted === 0) return
  storeHash(ctx.db, row, hash)
  ctx.changed(args, 1, Notify.Hash, 'hpersist')
}
