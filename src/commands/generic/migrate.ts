/**
 * MIGRATE host port key db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password]
 * MIGRATE host port "" db timeout … KEYS key [key ...]
 *
 * Moves keys to another server: RESTORE there, then DEL here of what was taken, which is what is recorded. COPY leaves the
 * keys here, REPLACE overwrites those there.
 *
 * The client waits, nobody else does, so a key may change meanwhile: then it stays here, and the reply says so. A client that
 * is gone, or unblocked, gives up: what was not answered for, and what was taken, stays here too.
 *
 * Reply: OK; NOKEY when there is none of the keys here. Errors: options; timeout, db; IOERR when the target cannot be
 * reached or says nothing for `timeout` ms; what the target replies; within MULTI and scripts, which cannot wait.
 * Source: Valkey 7.2 src/cluster.c `migrateCommand`, src/db.c `migrateGetKeys`.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Watcher } from '../../keyspace/keyspace.ts'
import type { Args } from '../../resp/args.ts'
import { MIGRATE_CANNOT_WAIT, MIGRATE_KEY_CHANGED, MIGRATE_KEY_NOT_EMPTY, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { NO_EXPIRE } from '../../storage/expires.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt, keysAfter } from '../define.ts'
import { deleteKey } from '../delete-key.ts'
import { ClientFlag, type Session } from '../session.ts'
import { dumpRow } from './dump.ts'
import { Migration, type MigrationPlan } from './migration.ts'

const DEFAULT_TIMEOUT_MS = 1000
/** setTimeout takes no more. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1
const FIRST_OPTION = 6
const NO_ARGUMENT = 0

export const migrate = defineCommand({
  name: 'migrate',
  summary: 'Moves keys to another server.',
  group: 'generic',
  since: '2.6.0',
  complexity: 'That of DUMP and DEL here and of RESTORE there, and O(N) for sending N bytes.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.MovableKeys,
  categories: AclCategory.Keyspace | AclCategory.Dangerous,
  tips: ['nondeterministic_output'],
  keys: [
    ...keyAt(3, 'RW', 'access', 'delete'),
    keysAfter('KEYS', -2, -1, 1, 0, 'RW', 'access', 'delete', 'incomplete'),
  ],
  extractKeys: migrateKeys,
  keyFlags: () => ['RW', 'access', 'delete'],
  sensitiveArguments: (args) => readOptions(args).secrets,
  handler: migrateHandler,
})

/** What the options of a call say. */
interface MigrateOptions {
  copies: boolean
  replaces: boolean
  /** Arguments with the name of the user and the password; NO_ARGUMENT without one. */
  user: number
  password: number
  secrets: number[]
  /** The argument KEYS, NO_ARGUMENT without it. */
  keysWord: number
  isWellFormed: boolean
}

/** A key that is under way. `watchDirty` tells that it was changed since. */
interface TravellingKey extends Watcher {
  /** Its argument. */
  readonly index: number
  readonly text: string
}

/** What the command of a session is about. */
interface Journey {
  readonly migration: Migration
  readonly db: Database
  readonly keys: readonly TravellingKey[]
  readonly copies: boolean
}

const journeys = new WeakMap<Session, Journey>()

function migrateHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { session } = ctx
  const journey = journeys.get(session)
  const goesOn = journey !== undefined && (session.flags & ClientFlag.Reexecuting) !== 0
  // One that the session has given up: it was unblocked with an error.
  if (journey !== undefined && !goesOn) endJourney(session, journey)
  if (!goesOn) begin(ctx, args, reply)
  else if (!journey.migration.isDone && ctx.mayBlock) wait(ctx, args)
  else {
    endJourney(session, journey)
    arrive(ctx, args, reply, journey)
  }
}

function begin(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const options = readOptions(args)
  if (options.keysWord !== NO_ARGUMENT && args.length(3) !== 0) throw MIGRATE_KEY_NOT_EMPTY
  if (!options.isWellFormed) throw SYNTAX_ERROR
  const timeoutMs = args.integer(5)
  const database = args.integer(4)
  const present = presentKeys(ctx, args, options)
  if (present.length === 0) {
    reply.status('NOKEY')
    return
  }
  if (!ctx.mayBlock) throw MIGRATE_CANNOT_WAIT
  const restores = present.map(({ index, row }) => restoreRequest(ctx, args, index, row, options.replaces))
  const keys = present.map(({ index }) => ({ index, text: args.text(index), watchDirty: false }))
  if (!options.copies) for (const key of keys) watch(ctx.db, key)
  const plan: MigrationPlan = {
    host: args.text(1),
    port: Number.parseInt(args.text(2), 10),
    database,
    timeoutMs: timeoutMs <= 0 ? DEFAULT_TIMEOUT_MS : Math.min(timeoutMs, TIMEOUT_MAX_MS),
    login: loginRequest(args, options),
    select: request(['SELECT', String(database)]),
    restores,
  }
  const { session, server, db } = ctx
  const migration = new Migration(server, plan, () => {
    server.waiting.mayGoOn()
    // Behind the turn, in which the command runs again: nobody does who is gone, or was unblocked.
    setImmediate(() => {
      const journey = journeys.get(session)
      if (journey?.migration === migration) endJourney(session, journey)
    })
  })
  journeys.set(session, { migration, db, keys, copies: options.copies })
  wait(ctx, args)
}

function wait(ctx: CommandContext, args: Args): void {
  ctx.server.waiting.block(ctx.session, args, 0, 0, BlockedOn.Sync, 0, false)
}

/** Deletes what the target has taken, and replies what became of the rest. */
function arrive(ctx: CommandContext, args: Args, reply: ReplySink, { migration, keys, copies }: Journey): void {
  const deleted: number[] = []
  let isChanged = false
  for (let n = 0; n < keys.length && !copies; n++) {
    const { index, watchDirty } = keys[n]!
    if (migration.taken[n] !== true) continue
    if (watchDirty) isChanged = true
    const row = watchDirty ? NO_ROW : ctx.db.find(args, index)
    if (row === NO_ROW) continue
    deleteKey(ctx, args, index, row)
    deleted.push(index)
  }
  if (deleted.length > 0) {
    ctx.journal.begin(ctx.db.index, deleted.length + 1)
    ctx.journal.text('DEL')
    for (const index of deleted) ctx.journal.arg(args, index)
  }
  if (migration.error !== null) throw migration.error
  if (isChanged) throw MIGRATE_KEY_CHANGED
  reply.ok()
}

function endJourney(session: Session, { migration, db, keys, copies }: Journey): void {
  journeys.delete(session)
  migration.cancel()
  if (!copies) for (const key of keys) unwatch(db, key)
}

function watch(db: Database, key: TravellingKey): void {
  const watchers = db.watchers.get(key.text)
  if (watchers === undefined) db.watchers.set(key.text, new Set([key]))
  else watchers.add(key)
}

function unwatch(db: Database, key: TravellingKey): void {
  const watchers = db.watchers.get(key.text)
  watchers?.delete(key)
  if (watchers?.size === 0) db.watchers.delete(key.text)
}

/** Reads options up to the first that is none, or KEYS. */
function readOptions(args: Args): MigrateOptions {
  const options: MigrateOptions = {
    copies: false,
    replaces: false,
    user: NO_ARGUMENT,
    password: NO_ARGUMENT,
    secrets: [],
    keysWord: NO_ARGUMENT,
    isWellFormed: true,
  }
  for (let i = FIRST_OPTION; i < args.count; i++) {
    const left = args.count - 1 - i
    if (args.is(i, 'COPY')) options.copies = true
    else if (args.is(i, 'REPLACE')) options.replaces = true
    else if (args.is(i, 'AUTH') && left >= 1) {
      options.password = ++i
      options.secrets.push(i)
    } else if (args.is(i, 'AUTH2') && left >= 2) {
      options.user = ++i
      options.password = ++i
      options.secrets.push(options.user, options.password)
    } else {
      if (args.is(i, 'KEYS')) options.keysWord = i
      else options.isWellFormed = false
      break
    }
  }
  return options
}

/** The keys of a call. */
function migrateKeys(args: Args): number[] {
  const { keysWord } = readOptions(args)
  if (keysWord === NO_ARGUMENT) return [3]
  // The handler refuses such a call.
  if (args.length(3) > 0) return []
  return Array.from({ length: args.count - keysWord - 1 }, (_, n) => keysWord + 1 + n)
}

/** Keys of the call that are there. Rows stay valid, as nothing is removed before the requests are made. */
function presentKeys(
  ctx: CommandContext,
  args: Args,
  { keysWord }: MigrateOptions,
): { readonly index: number; readonly row: number }[] {
  const first = keysWord === NO_ARGUMENT ? 3 : keysWord + 1
  const end = keysWord === NO_ARGUMENT ? 4 : args.count
  const present: { index: number; row: number }[] = []
  for (let index = first; index < end; index++) {
    const row = ctx.db.read(args, index)
    if (row !== NO_ROW) present.push({ index, row })
  }
  return present
}

function restoreRequest(ctx: CommandContext, args: Args, index: number, row: number, replaces: boolean): Buffer {
  const expireMs = ctx.db.expireTime(row)
  const ttl = expireMs === NO_EXPIRE ? 0 : Math.max(1, expireMs - ctx.now)
  const writer = dumpRow(ctx, row)
  const words = ['RESTORE', args.text(index), String(ttl), writer.bytes.subarray(0, writer.length)]
  const bytes = request(replaces ? [...words, 'REPLACE'] : words)
  writer.release()
  return bytes
}

function loginRequest(args: Args, { user, password }: MigrateOptions): Buffer | null {
  if (password === NO_ARGUMENT) return null
  return request(user === NO_ARGUMENT ? ['AUTH', args.text(password)] : ['AUTH', args.text(user), args.text(password)])
}

/** A request of byte strings and bytes. */
function request(words: readonly (string | Buffer)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)]
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word, 'latin1') : word
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF)
  }
  return Buffer.concat(parts)
}

const CRLF = Buffer.from('\r\n')
