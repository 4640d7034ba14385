/**
 * HSET key field value [field value ...]
 * HMSET key field value [field value ...]
 * HSETNX key field value
 *
 * Give fields of a hash their values; HSETNX only a field that does not exist.
 *
 * Reply: HSET how many fields are new, HMSET OK, HSETNX 1 or 0. Errors: wrong arity for an odd rest; WRONGTYPE.
 * Source: Valkey src/t_hash.c `hsetCommand`, `hsetnxCommand`. Hot path.
 */
import { storeHash } from '../../keyspace/hash-rows.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { type ReplyError, wrongArity } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { addHash, findFields, findHash } from './hash-access.ts'

const WRONG_ARITY_HSET = wrongArity('hset')
const WRONG_ARITY_HMSET = wrongArity('hmset')

export const hset = defineCommand({
  name: 'hset',
  summary: 'Sets the values of one or more fields of a hash, creating the hash if needed.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(1) for each pair of field and value.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'update'),
  handler: hsetHandler,
})

export const hmset = defineCommand({
  name: 'hmset',
  summary: 'Sets the values of several fields of a hash.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(N) where N is the number of fields that are set.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'update'),
  deprecated: { since: '4.0.0', replacedBy: '`HSET` with multiple field-value pairs' },
  handler: hmsetHandler,
})

export const hsetnx = defineCommand({
  name: 'hsetnx',
  summary: 'Sets the value of a field of a hash only when the field does not exist.',
  group: 'hash',
  since: '2.0.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RW', 'insert'),
  handler: hsetnxHandler,
})

function hsetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.integer(setFields(ctx, args, WRONG_ARITY_HSET))
}

function hmsetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  setFields(ctx, args, WRONG_ARITY_HMSET)
  reply.ok()
}

function hsetnxHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findFields(ctx, args, 1, 2, 3, 1)
  if (row !== NO_ROW && ctx.hash.has(args.buffer, args.start(2), args.length(2))) {
    reply.integer(0)
    return
  }
  storeFields(ctx, args, row)
  reply.integer(1)
}

/** Checks the number of arguments and sets all pairs. Returns how many fields are new. */
function setFields(ctx: CommandContext, args: Args, arityError: ReplyError): number {
  if ((args.count & 1) !== 0) throw arityError
  return storeFields(ctx, args, findHash(ctx, args, 1))
}

/** Sets the pairs from argument 2 on in the hash at `row`, which is open. Returns how many fields are new. */
function storeFields(ctx: CommandContext, args: Args, row: number): number {
  const hash = ctx.hash
  const limits = ctx.keyspace.limits
  const buffer = args.buffer
  if (row === NO_ROW) {
    const pairs = { source: buffer, starts: args.offsets, lengths: args.lengths, first: 2, end: args.count }
    if (hash.createOf(pairs, limits)) {
      addHash(ctx, args, 1, hash)
      ctx.changed(args, 1, Notify.Hash, 'hset')
      return (args.count - 2) >>> 1
    }
    hash.create()
  }
  if (args.count > 4) hash.expect((args.count - 2) >>> 1, pairBytes(args), limits)
  let created = 0
  for (let i = 2; i < args.count; i += 2) {
    const isNew = hash.set(buffer, args.start(i), args.length(i), buffer, args.start(i + 1), args.length(i + 1), limits)
    if (isNew) created++
  }
  if (row === NO_ROW) addHash(ctx, args, 1, hash)
  else storeHash(ctx.db, row, hash)
  ctx.changed(args, 1, Notify.Hash, 'hset')
  return created
}

function pairBytes(args: Args): number {
  let bytes = 0
  for (let i = 2; i < args.count; i++) bytes += args.length(i)
  return bytes
}
