/**
 * OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT key, OBJECT HELP
 *
 * Tells how a value is stored, and how its key was used: IDLETIME under all eviction policies but those by frequency, FREQ
 * under those.
 *
 * Reply: encoding as bulk string, others as integer; null when the key is missing.
 * Source: Valkey src/object.c `objectCommand`, `strEncoding`.
 */
import { parseInt64 } from '../../bytes/integer.ts'
import { AccessKind } from '../../keyspace/access.ts'
import type { Args } from '../../resp/args.ts'
import { LFU_POLICY_NOT_SELECTED, LFU_POLICY_SELECTED } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { Arena, Ref } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ENCODING_OF_KIND, ENCODING_OF_KIND_7_0, Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, type CommandDefinition, CommandFlag, defineCommand, type Handler, keyAt } from '../define.ts'
import { helpSubcommand } from '../help.ts'

/** Longest string that Redis keeps in one allocation with its object, in bytes. */
const EMBSTR_BYTES_MAX = 44
/** Redis shares the objects of the integers from 0 up to this one, and reports the greatest C int for them. */
const SHARED_INTEGERS_END = 10000
const SHARED_REFCOUNT = 2 ** 31 - 1

const HELP_LINES: readonly string[] = [
  'ENCODING <key>',
  '    Tell how the value of a key is stored.',
  'FREQ <key>',
  '    Tell how often a key is used, as a logarithmic counter (LFU policies only).',
  'IDLETIME <key>',
  '    Tell for how many seconds a key has not been used.',
  'REFCOUNT <key>',
  '    Tell how many references there are to the value of a key.',
]

const encoding = keySubcommand('encoding', '2.2.3', 'Returns how the value of a key is stored.', encodingHandler)
const freq = keySubcommand('freq', '4.0.0', 'Returns how often a key is used, as a logarithmic counter.', freqHandler)
const idletime = keySubcommand(
  'idletime',
  '2.2.3',
  'Returns for how many seconds a key has not been used.',
  idletimeHandler,
)
const refcount = keySubcommand(
  'refcount',
  '2.2.3',
  'Returns how many references there are to the value of a key.',
  refcountHandler,
)
const help = helpSubcommand({ group: 'generic', since: '6.2.0', categories: AclCategory.Keyspace, lines: HELP_LINES })

export const object = defineCommand({
  name: 'object',
  summary: 'Container of commands that tell how values are stored.',
  group: 'generic',
  since: '2.2.3',
  complexity: 'Depends on the subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [encoding, freq, help, idletime, refcount],
  handler: () => {
    throw new Error('A container is not called without a subcommand')
  },
})

function keySubcommand(name: string, since: string, summary: string, handler: Handler): CommandDefinition {
  return defineCommand({
    name,
    summary,
    group: 'generic',
    since,
    complexity: 'O(1)',
    arity: 3,
    flags: CommandFlag.ReadOnly,
    categories: AclCategory.Keyspace,
    keys: keyAt(2, 'RO'),
    tips: ['nondeterministic_output'],
    handler,
  })
}

function encodingHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = look(ctx, args)
  if (row === NO_ROW) reply.nil()
  else reply.bulkText(encodingOf(ctx, row))
}

function freqHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = look(ctx, args)
  const { access, now } = ctx.keyspace
  if (row === NO_ROW) reply.nil()
  else if (access.kind !== AccessKind.Frequency) throw LFU_POLICY_NOT_SELECTED
  else reply.integer(access.frequency(ctx.db.access(row), now))
}

function idletimeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = look(ctx, args)
  if (row === NO_ROW) reply.nil()
  else if (ctx.keyspace.access.kind === AccessKind.Frequency) throw LFU_POLICY_SELECTED
  else reply.integer(ctx.db.idleSeconds(row))
}

function refcountHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.db
  const row = look(ctx, args)
  if (row === NO_ROW) {
    reply.nil()
    return
  }
  const value = db.value(row)
  // Where each key has to remember its own use, Redis shares no objects.
  const mayShare = ctx.config.number('maxmemory') === 0 || !ctx.keyspace.access.isKept
  const isShared = mayShare && db.kind(row) === Kind.StringInteger && value >= 0 && value < SHARED_INTEGERS_END
  reply.integer(isShared ? SHARED_REFCOUNT : 1)
}

/** Finds the key without renewing its access time or telling of a miss; it counts in the statistics. */
function look(ctx: CommandContext, args: Args): number {
  const row = ctx.db.find(args, 2)
  if (row === NO_ROW) ctx.keyspace.stats.misses++
  else ctx.keyspace.stats.hits++
  return row
}

/** What OBJECT ENCODING says of the value of a row. */
export function encodingOf({ db, release }: CommandContext, row: number): string {
  const kind = db.kind(row)
  if (kind !== Kind.StringBytes) {
    const names = release === '7.0' ? ENCODING_OF_KIND_7_0 : ENCODING_OF_KIND
    return names[kind]!
  }
  return db.isRaw(row) ? 'raw' : stringEncoding(db.arena, db.ref(row))
}

/** What OBJECT ENCODING says of a string in an arena block that no command has changed in place. */
export function stringEncoding(arena: Arena, ref: Ref): string {
  const length = arena.length(ref)
  // Integers beyond ±2^53 are kept as text here; Redis keeps all of 64 bits as integers.
  if (parseInt64(arena.segment(ref), arena.offset(ref), length) !== null) return 'int'
  return length <= EMBSTR_BYTES_MAX ? 'embstr' : 'raw'
}
