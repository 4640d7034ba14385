/**
 * MEMORY USAGE key [SAMPLES count], MEMORY HELP
 *
 * The size is counted, not sampled: blocks of the arena with their slack, objects and arrays of big collections, and the
 * key's place in the index.
 *
 * Reply: integer, bytes; null when the key is missing. Errors: syntax, a negative count.
 * Source: Valkey src/object.c `memoryCommand`.
 */

import type { Database } from '../../keyspace/database.ts'
import type { Keyspace } from '../../keyspace/keyspace.ts'
import type { Args } from '../../resp/args.ts'
import { NOT_AN_INTEGER, SYNTAX_ERROR, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { DictStride, NO_ROW } from '../../storage/dict.ts'
import { isObjectKind, Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyHelp } from '../help.ts'

const HELP = [
  'USAGE <key> [SAMPLES <count>]',
  '    Return how many bytes a key and its value take. All of it is counted, so <count> changes nothing.',
]

const WORD_BYTES = 4
/** A row of the index, and its share of a hash table that is half full. */
const ROW_BYTES = DictStride.Keys * WORD_BYTES + 2 * WORD_BYTES
/** Time and row in the order of expire times. */
const EXPIRE_BYTES = 12

export const memory = defineCommand({
  name: 'memory',
  summary: 'A container for commands about memory.',
  group: 'server',
  since: '4.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    defineCommand({
      name: 'help',
      summary: 'Returns a description of the subcommands.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1)',
      arity: 2,
      flags: CommandFlag.Loading | CommandFlag.Stale,
      categories: 0,
      handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
    }),
    defineCommand({
      name: 'usage',
      summary: 'Returns how many bytes a key and its value take.',
      group: 'server',
      since: '4.0.0',
      complexity: 'O(1) for most values; at worst O(N), N being the number of blocks of the value.',
      arity: -3,
      flags: CommandFlag.ReadOnly,
      categories: 0,
      keys: keyAt(2, 'RO'),
      handler: usageHandler,
    }),
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function usageHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  for (let i = 3; i < args.count; i += 2) {
    if (!args.is(i, 'SAMPLES') || i + 1 >= args.count) throw SYNTAX_ERROR
    if (args.integer(i + 1, NOT_AN_INTEGER) < 0) throw SYNTAX_ERROR
  }
  const row = ctx.db.find(args, 2)
  if (row === NO_ROW) reply.nil()
  else reply.integer(usedBytes(ctx.db, row))
}

/** Bytes that a key and its value take. */
export function usedBytes(db: Database, row: number): number {
  const bytes = keyBytes(db.arena.capacity(db.keys.keyRef(row)), db.expireTime(row))
  return bytes + valueBytes(db.keyspace, db.kind(row), db.keys.value(row))
}

/** Bytes that a key takes, from the capacity of its block and its expire time (-1: none), without its value. */
export function keyBytes(capacity: number, expireMs: number): number {
  return ROW_BYTES + capacity + (expireMs >= 0 ? EXPIRE_BYTES : 0)
}

/** Bytes that a value takes, of a kind and as it stands in the key index, beside its place there. */
export function valueBytes(keyspace: Keyspace, kind: number, value: number): number {
  if (kind === Kind.StringInteger) return 0
  if (!isObjectKind(kind)) return keyspace.arena.capacity(value)
  const object = keyspace.object(value)
  return object.arenaBytes() + object.overheadBytes()
}
