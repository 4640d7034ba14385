/**
 * DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]
 * DELIFEQ key value
 *
 * Deletes a key, of any type without a condition; with one a string whose value compares so. Recorded as DEL.
 *
 * Reply: 1 when the key was deleted, else 0. Errors: arity; no string; condition; digest; none but arity unless the key
 * exists. DELIFEQ: WRONGTYPE.
 * Source: redis.io/commands/delex (Redis 8.4); valkey.io/commands/delifeq (Valkey 9.0).
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { CONDITION_NEEDS_STRING, DELEX_CONDITION, wrongArity } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { deleteKeyAsEffect } from '../delete-key.ts'
import { ValueCondition, valueConditionAt, valueConditionHolds } from './value-condition.ts'

export const delex = defineCommand({
  name: 'delex',
  summary: 'Deletes a key when its value compares as wanted.',
  group: 'string',
  since: '8.4.0',
  complexity: 'O(1) for a comparison of values, O(N) for one of digests, N being the length of the string.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: delexHandler,
})

export const delifeq = defineCommand({
  name: 'delifeq',
  summary: 'Deletes a string key when it has the value.',
  group: 'string',
  since: '9.0.0',
  complexity: 'O(1)',
  arity: 3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.String,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  handler: delifeqHandler,
})

const DELEX_ARITY = wrongArity('delex')

function delexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count !== 2 && args.count !== 4) throw DELEX_ARITY
  const { db } = ctx
  const row = db.find(args, 1)
  if (row === NO_ROW) {
    reply.integer(0)
    return
  }
  if (args.count === 4) {
    if ((KindMask.String & (1 << db.kind(row))) === 0) throw CONDITION_NEEDS_STRING
    const condition = valueConditionAt(args, 2)
    if (condition === ValueCondition.None) throw DELEX_CONDITION
    if (!valueConditionHolds(db, row, args, condition, 3)) {
      reply.integer(0)
      return
    }
  }
  deleteKeyAsEffect(ctx, args, 1, row)
  reply.integer(1)
}

function delifeqHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.findKind(args, 1, KindMask.String)
  if (row === NO_ROW || !valueConditionHolds(ctx.db, row, args, ValueCondition.Equal, 2)) {
    reply.integer(0)
    return
  }
  deleteKeyAsEffect(ctx, args, 1, row)
  reply.integer(1)
}
