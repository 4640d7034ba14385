/**
 * DEBUG, for tests: only where `enable-debug-command` allows it.
 *
 * CHANGE-REPL-ID | CONFIG-REWRITE-FORCE-ALL | DIGEST | DIGEST-VALUE key ... | ERROR text | HTSTATS db | LOADAOF | LOG text | OBJECT key | PAUSE-CRON 0|1 |
 * POPULATE count [prefix [size]] | PROTOCOL type | QUICKLIST-PACKED-THRESHOLD bytes |
 * RELOAD [MERGE] [NOFLUSH] [NOSAVE] | REPLYBUFFER setting value | SEGFAULT | SET-ACTIVE-EXPIRE 0|1 |
 * SET-DISABLE-DENY-SCRIPTS 0|1 | SET-SKIP-CHECKSUM-VALIDATION 0|1 | SLEEP seconds | HELP
 *
 * Subcommands of Redis that are about parts which this server does not have are unknown.
 * Source: Valkey src/debug.c `debugCommand`.
 */
import { RewriteScope } from '../../config/config.ts'
import { parseMemory } from '../../config/number-text.ts'
import { sleep } from '../../files/sleep.ts'
import type { Args } from '../../resp/args.ts'
import {
  DEBUG_DB_OUT_OF_RANGE,
  DEBUG_LOADAOF_FAILED,
  DEBUG_PACKED_THRESHOLD,
  DEBUG_RELOAD_FAILED,
  DEBUG_RELOAD_OPTIONS,
  LOADING,
  NO_SUCH_KEY,
  OUT_OF_RANGE_POSITIVE,
  ReplyError,
  SAVE_FAILED,
  subcommandSyntax,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Kind } from '../../structures/kind.ts'
import { ListBig } from '../../structures/list.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand, type Handler } from '../define.ts'
import { encodingOf } from '../generic/object.ts'
import { replyHelp } from '../help.ts'
import { scriptRunner } from '../scripting/script-runner.ts'
import { userLines } from './config.ts'
import { replyTestValue } from './debug-protocol.ts'
import { datasetDigest, valueDigest } from './digest.ts'
import { usedBytes } from './memory.ts'

const HELP = [
  'AOF-FLUSH-SLEEP <microseconds>',
  '    Delay each write to the append-only file.',
  'CHANGE-REPL-ID',
  '    Change the replication IDs, as if the data had another history.',
  'CONFIG-REWRITE-FORCE-ALL',
  '    Write all settings into the configuration file, also those that have their defaults.',
  'DIGEST',
  '    Return a digest of all data; equal data have equal digests.',
  'DIGEST-VALUE <key> [<key> ...]',
  '    Return a digest of the value of each key.',
  'ERROR <text>',
  '    Reply <text> as an error.',
  'HTSTATS <dbid>',
  '    Return sizes of the key index of a database.',
  'LOADAOF',
  '    Write what is due to the append-only file, forget all data and load it from there.',
  'LOG <message>',
  '    Write <message> to the log.',
  'OBJECT <key>',
  '    Return how a value is stored.',
  'PAUSE-CRON <0|1>',
  '    Stop and resume periodic work.',
  'POPULATE <count> [<prefix>] [<size>]',
  '    Create string keys named <prefix>:<number>; they are not written to the append-only file.',
  'PROTOCOL <type>',
  '    Return a value of a type: string, integer, double, bignum, null, array, set, map,',
  '    push, verbatim, true or false.',
  'QUICKLIST-PACKED-THRESHOLD <size>',
  '    Set from which size on a list element has a block of its own. 0: the default.',
  'RELOAD [MERGE] [NOFLUSH] [NOSAVE]',
  '    Write the snapshot, forget all data and load it from there. With MERGE keys that are there are replaced,',
  '    with NOFLUSH nothing is forgotten, with NOSAVE the snapshot that is there is loaded.',
  'REPLYBUFFER PEAK-RESET-TIME|RESIZING <value>',
  '    Does nothing: clients have no reply buffers of their own.',
  'SEGFAULT',
  '    End the process by SIGSEGV, with a report in the log.',
  'SET-ACTIVE-EXPIRE <0|1>',
  '    Set whether expired keys are removed before somebody asks for them.',
  'SET-DISABLE-DENY-SCRIPTS <0|1>',
  '    Set whether scripts may call commands that are not for scripts.',
  'SET-SKIP-CHECKSUM-VALIDATION <0|1>',
  '    Set whether RESTORE and RDB files may have a wrong checksum.',
  'SLEEP <seconds>',
  '    Do nothing for <seconds>, decimals allowed.',
]

const PACKED_THRESHOLD_MAX = 4n * 1024n * 1024n * 1024n
const NO_NODES = ''
const WRITE_DELAY_US_MAX = 60_000_000
/** Access times are kept in seconds, in 24 bits. */
const LRU_CLOCK_MASK = 0xffffff

interface Subcommand {
  /** Least and greatest number of arguments, names included. */
  readonly min: number
  readonly max: number
  readonly handler: Handler
}

const SUBCOMMANDS: ReadonlyMap<string, Subcommand> = new Map<string, Subcommand>([
  ['aof-flush-sleep', { min: 3, max: 3, handler: aofFlushSleepHandler }],
  ['change-repl-id', { min: 2, max: 2, handler: changeHistoryHandler }],
  ['config-rewrite-force-all', { min: 2, max: 2, handler: rewriteConfigHandler }],
  ['help', { min: 2, max: 2, handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP) }],
  ['digest', { min: 2, max: 2, handler: (ctx, _args, reply) => reply.status(datasetDigest(ctx)) }],
  ['digest-value', { min: 2, max: Number.POSITIVE_INFINITY, handler: digestValueHandler }],
  ['error', { min: 3, max: 3, handler: errorHandler }],
  ['htstats', { min: 3, max: 4, handler: htstatsHandler }],
  ['loadaof', { min: 2, max: 2, handler: loadaofHandler }],
  ['log', { min: 3, max: 3, handler: logHandler }],
  ['object', { min: 3, max: 3, handler: objectHandler }],
  ['pause-cron', { min: 3, max: 3, handler: pauseCronHandler }],
  ['populate', { min: 3, max: 5, handler: populateHandler }],
  ['protocol', { min: 3, max: 3, handler: (_ctx, args, reply) => replyTestValue(reply, args.text(2).toLowerCase()) }],
  ['quicklist-packed-threshold', { min: 3, max: 3, handler: packedThresholdHandler }],
  ['reload', { min: 2, max: Number.POSITIVE_INFINITY, handler: reloadHandler }],
  ['replybuffer', { min: 4, max: 4, handler: replyBufferHandler }],
  ['segfault', { min: 2, max: 2, handler: segfaultHandler }],
  ['set-active-expire', { min: 3, max: 3, handler: setActiveExpireHandler }],
  ['set-disable-deny-scripts', { min: 3, max: 3, handler: disableDenyScriptsHandler }],
  ['set-skip-checksum-validation', { min: 3, max: 3, handler: skipChecksumsHandler }],
  ['sleep', { min: 3, max: 3, handler: sleepHandler }],
])

export const debug = defineCommand({
  name: 'debug',
  summary: 'A container for commands that help to test the server.',
  group: 'server',
  since: '1.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Protected,
  categories: 0,
  handler: debugHandler,
})

function rewriteConfigHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const refusal = ctx.config.rewrite(userLines(ctx), RewriteScope.All)
  if (refusal !== null) throw new ReplyError(refusal)
  reply.ok()
}

function debugHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const subcommand = SUBCOMMANDS.get(args.text(1).toLowerCase())
  if (subcommand === undefined || args.count < subcommand.min || args.count > subcommand.max) {
    throw subcommandSyntax(args.text(1), args.text(0))
  }
  subcommand.handler(ctx, args, reply)
}

function changeHistoryHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  ctx.server.log.notice('Changing replication IDs after receiving change-repl-id')
  ctx.server.replication.changeHistory()
  reply.ok()
}

function digestValueHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.array(args.count - 2)
  for (let i = 2; i < args.count; i++) {
    const row = ctx.db.find(args, i)
    reply.status(row === NO_ROW ? '0'.repeat(40) : valueDigest(ctx, ctx.db, row))
  }
}

/** Clients test with it what they make of errors; it is none for the statistics. */
function errorHandler(_ctx: CommandContext, args: Args, reply: ReplySink): void {
  reply.error(args.text(2).replaceAll(/[\r\n]/g, ' '))
}

/** How a client's own reply buffer shrinks: there is none here, replies of all clients gather in one. */
function replyBufferHandler(_ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (!args.is(2, 'PEAK-RESET-TIME') && !args.is(2, 'RESIZING')) throw subcommandSyntax(args.text(1), args.text(0))
  reply.ok()
}

function htstatsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const db = ctx.keyspace.databases[args.integer(2)]
  if (db === undefined) throw DEBUG_DB_OUT_OF_RANGE
  const lines = [
    '[Dictionary HT]',
    ` keys: ${db.keys.size}`,
    ` bytes: ${db.keys.overheadBytes()}`,
    ` rehashing: ${db.keys.isRehashing ? 'yes' : 'no'}`,
    '[Expires HT]',
    ` keys: ${db.expires.size}`,
    ` bytes: ${db.expires.overheadBytes()}`,
  ]
  reply.verbatim(`${lines.join('\n')}\n`, 'txt')
}

function loadaofHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  refuseWhileLoading(ctx)
  if (!ctx.server.reloadLog()) throw DEBUG_LOADAOF_FAILED
  reply.ok()
}

function reloadHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  refuseWhileLoading(ctx)
  let merges = false
  let clears = true
  let saves = true
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'MERGE')) merges = true
    else if (args.is(i, 'NOFLUSH')) clears = false
    else if (args.is(i, 'NOSAVE')) saves = false
    else throw DEBUG_RELOAD_OPTIONS
  }
  if (saves && !ctx.server.saving.saveNow()) throw SAVE_FAILED
  if (!ctx.server.reloadDump({ merges, clears })) throw DEBUG_RELOAD_FAILED
  ctx.server.log.warning('DB reloaded by DEBUG RELOAD')
  reply.ok()
}

/** Within somebody's program there is nothing to crash: that is not ours. */
function segfaultHandler(ctx: CommandContext, args: Args): void {
  const { onCrash } = ctx.server
  if (onCrash === null) throw subcommandSyntax(args.text(1), args.text(0))
  onCrash(new Error('DEBUG SEGFAULT').stack ?? '')
}

/** DEBUG itself is allowed while data are loaded; what would put others in their place is not. */
function refuseWhileLoading(ctx: CommandContext): void {
  if (ctx.server.loading.isActive) throw LOADING
}

function logHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  ctx.server.log.warning(`DEBUG LOG: ${args.text(2)}`)
  reply.ok()
}

/** The length that a snapshot would have is not known; the bytes in memory stand in its place. */
function objectHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { db } = ctx
  // A key whose time is over is shown as long as it is there.
  const row = db.keys.find(args.buffer, args.start(2), args.length(2))
  if (row === NO_ROW) throw NO_SUCH_KEY
  // An integer lies in the row itself.
  const at = `0x${(db.kind(row) === Kind.StringInteger ? row + 1 : db.value(row)).toString(16)}`
  const encoding = encodingOf(ctx, row)
  const idle = db.idleSeconds(row)
  const lru = (Math.floor(ctx.now / 1000) - idle) & LRU_CLOCK_MASK
  reply.status(
    `Value at:${at} refcount:1 encoding:${encoding} serializedlength:${usedBytes(db, row)} lru:${lru} lru_seconds_idle:${idle}${nodesText(ctx, row)}`,
  )
}

/** What is told of a list of several nodes. */
function nodesText(ctx: CommandContext, row: number): string {
  const { db } = ctx
  if (db.kind(row) !== Kind.ListBig) return NO_NODES
  const list = db.object(row)
  if (!(list instanceof ListBig)) return NO_NODES
  const nodes = list.nodes.count
  const average = (list.length / nodes).toFixed(2)
  const setting = ctx.config.number('list-max-listpack-size')
  return ` ql_nodes:${nodes} ql_avg_node:${average} ql_listpack_max:${setting} ql_compressed:0 ql_uncompressed_size:${list.arenaBytes()}`
}

function pauseCronHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  ctx.server.isCronPaused = isOn(args, 2)
  reply.ok()
}

function populateHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  refuseWhileLoading(ctx)
  const { db, arena } = ctx
  const count = args.integerIn(2, 0, Number.MAX_SAFE_INTEGER, OUT_OF_RANGE_POSITIVE)
  const prefix = args.count > 3 ? args.text(3) : 'key'
  const size = args.count > 4 ? args.integerIn(4, 0, ctx.keyspace.limits.protoMaxBulkLen, OUT_OF_RANGE_POSITIVE) : 0
  for (let n = 0; n < count; n++) {
    const key = `${prefix}:${n}`
    if (db.findText(key) !== NO_ROW) continue
    const text = `value:${n}`
    const bytes = size === 0 ? Buffer.from(text, 'latin1') : Buffer.alloc(size)
    if (size > 0) bytes.latin1Write(text, 0, Math.min(size, text.length))
    db.addText(key, Kind.StringBytes, arena.store(bytes, 0, bytes.length))
    ctx.keyspace.touchedText(db, key)
  }
  reply.ok()
}

function packedThresholdHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const bytes = parseMemory(args.text(2))
  if (bytes === null || bytes >= PACKED_THRESHOLD_MAX) throw DEBUG_PACKED_THRESHOLD
  ctx.keyspace.limits.quicklistPackedThreshold = Number(bytes)
  reply.ok()
}

function aofFlushSleepHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  ctx.server.appendOnly.delayWrites(args.integerIn(2, 0, WRITE_DELAY_US_MAX) / 1000)
  reply.ok()
}

function setActiveExpireHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  ctx.keyspace.activeExpire = isOn(args, 2)
  reply.ok()
}

function disableDenyScriptsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  scriptRunner(ctx).allowsDenied = isOn(args, 2)
  reply.ok()
}

function skipChecksumsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  ctx.keyspace.skipsChecksums = isOn(args, 2)
  reply.ok()
}

/** Holds up the whole server, as it is meant to. In a transaction time goes on standing still. */
function sleepHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const seconds = Number.parseFloat(args.text(2))
  if (seconds > 0) sleep(seconds * 1000)
  if (ctx.mayBlock) ctx.server.readClock()
  reply.ok()
}

/** A number other than 0, as atoi reads it. */
function isOn(args: Args, i: number): boolean {
  const value = Number.parseInt(args.text(i), 10)
  return !Number.isNaN(value) && value !== 0
}
