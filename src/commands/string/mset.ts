/**
 * MSET key value [key value ...]
 * MSETNX key value [key value ...]
 *
 * Sets several keys at one moment, whatever they held; MSETNX only when none of them exists.
 *
 * Reply: OK; for MSETNX 1, or 0 when nothing was set. Errors: arity, when a value is missing.
 * Source: Valkey src/t_string.c `msetGenericCommand`. Hot path.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { wrongArity } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { storeString } from './string-value.ts'

export const mset = defineCommand({
  name: 'mset',
  summary: 'Sets the values of several keys at one moment.',
  group: 'string',
  since: '1.0.1',
  complexity: 'O(N), N being the number of keys.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: [keyRange(1, -1, 2, 'OW', 'update')],
  tips: ['request_policy:multi_shard', 'response_policy:all_succeeded'],
  handler: msetHandler,
})

export const msetnx = defineCommand({
  name: 'msetnx',
  summary: 'Sets the values of several keys at one moment, when none of them exists.',
  group: 'string',
  since: '1.0.1',
  complexity: 'O(N), N being the number of keys.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.String,
  keys: [keyRange(1, -1, 2, 'OW', 'insert')],
  handler: msetnxHandler,
})

const MSET_ARITY = wrongArity('mset')
const MSETNX_ARITY = wrongArity('msetnx')

function msetHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count % 2 === 0) throw MSET_ARITY
  setAll(ctx, args)
  reply.ok()
}

function msetnxHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count % 2 === 0) throw MSETNX_ARITY
  for (let i = 1; i < args.count; i += 2) {
    if (ctx.db.find(args, i) !== NO_ROW) {
      reply.integer(0)
      return
    }
  }
  setAll(ctx, args)
  reply.integer(1)
}

function setAll(ctx: CommandContext, args: Args): void {
  const db = ctx.db
  for (let i = 1; i < args.count; i += 2) {
    const row = db.find(args, i)
    if (row !== NO_ROW) db.clearExpire(row)
    storeString(db, row, args, i, i + 1)
    ctx.changed(args, i, Notify.String, 'set')
  }
}
