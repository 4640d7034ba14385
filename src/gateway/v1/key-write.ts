/** Writes of strings: SET with its options, and tags. */
import type { User } from '../../access/user.ts'
import { type Argument, CommandError, type CommandWords, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import {
  CACHE_TAG,
  type EntryExpiry,
  index,
  type Note,
  newGeneration,
  noteKey,
  noteOf,
  TAGS_MAX,
  tagKey,
  unindex,
} from './cache-tags.ts'
import { JSON_BYTES_MAX } from './key-value.ts'
import { DELETE_VALUE, EXPIRE_VALUE, runScript, SET_VALUE } from './scripts.ts'

/** When a key expires; at most one of them. */
export interface Lifetime {
  readonly ttlMs?: number
  readonly ttlSeconds?: number
  readonly expiresAtMs?: number
}

export interface WriteOptions extends Lifetime {
  readonly keepTtl?: boolean
  readonly condition?: 'nx' | 'xx'
  readonly returnOld?: boolean
  readonly tags?: readonly string[]
}

export interface WriteResult {
  readonly isSet: boolean
  /** The value before; null when there was none, or it was not asked for. */
  readonly old: Buffer | null
}

export interface Write {
  readonly key: string
  readonly bytes: Buffer
  readonly options: WriteOptions
}

/** Refuses what the user may not do, or nobody can, before anything is done. @throws Problem 400; CommandError NOPERM */
export function checkWrite(engine: Engine, user: User, { key, options }: Write): void {
  const rights: CommandWords[] = [
    ['SET', key, 'value', ...setWords(options), ...(options.returnOld === true ? ['GET'] : [])],
  ]
  for (const tag of options.tags ?? []) rights.push(['ZADD', tagKey(tag), '1', 'entry'])
  requireCommands(engine, user, rights)
}

/** Sets a value; `checkWrite` was asked. */
export async function writeValue(engine: Engine, { key, bytes, options }: Write): Promise<WriteResult> {
  const tags = [...new Set(options.tags ?? [])]
  const note = tags.length === 0 ? null : { generation: newGeneration(), tags }
  if (note !== null) await index(engine, key, note, entryExpiry(options))
  const reply = await setValue(engine, { key, bytes, options }, note)
  const [done, old, expires, ...before] = reply as [number, Buffer | null, number, ReplyValue, ReplyValue]
  const gone = noteOf(before[0], before[1])
  if (gone !== null) await unindex(engine, key, gone)
  if (note !== null) {
    if (done === 0 || expires === -2) await unindex(engine, key, note)
    // Once more: an invalidation that saw the entry before the value was there has removed it.
    else await index(engine, key, note, expires === -1 ? { kind: 'never' } : { kind: 'at', ms: expires })
  }
  return { isSet: done === 1, old }
}

async function setValue(engine: Engine, { key, bytes, options }: Write, note: Note | null): Promise<ReplyValue> {
  const args = [
    bytes,
    options.returnOld === true ? JSON_BYTES_MAX : '',
    note?.generation ?? '',
    note === null ? '' : JSON.stringify(note.tags),
    ...setWords(options),
  ]
  try {
    return await runScript(engine, SET_VALUE, [key, noteKey(key)], args, Decode.Bytes)
  } catch (error) {
    // When the connection was lost instead, nobody knows whether it was set: an entry too many does no harm.
    if (note !== null && error instanceof CommandError) await unindex(engine, key, note)
    throw error
  }
}

/** Deletes a key with its tags; false when it was not there. */
export async function deleteKey(engine: Engine, key: string): Promise<boolean> {
  const reply = await engine.script(DELETE_VALUE, [key, noteKey(key)], [])
  const [deleted, generation, tags] = reply as [number, ReplyValue, ReplyValue]
  const note = noteOf(generation, tags)
  if (note !== null) await unindex(engine, key, note)
  return deleted === 1
}

/** Runs a command that changes when a key expires. `words` are those behind the key. Tells whether it changed anything. */
export async function changeExpiry(
  engine: Engine,
  user: User,
  command: string,
  key: string,
  words: readonly Argument[],
): Promise<boolean> {
  requireCommands(engine, user, [[command, key, ...words]])
  const reply = await engine.script(EXPIRE_VALUE, [key, noteKey(key)], [command, ...words])
  const [changed, expires = null, generation = null, tags = null] = reply as readonly ReplyValue[]
  const note = noteOf(generation, tags)
  if (note !== null && changed === 1) {
    if (expires === -2) await unindex(engine, key, note)
    else await index(engine, key, note, expires === -1 ? { kind: 'never' } : { kind: 'at', ms: Number(expires) })
  }
  return changed === 1
}

/** How many ways of saying when a key expires were used. */
export function countLifetimes({ ttlMs, ttlSeconds, expiresAtMs }: Lifetime): number {
  return [ttlMs, ttlSeconds, expiresAtMs].filter((given) => given !== undefined).length
}

/** The options of SET behind key and value. @throws Problem 400 */
function setWords(options: WriteOptions): Argument[] {
  const { ttlMs, ttlSeconds, expiresAtMs, keepTtl, condition } = options
  if (countLifetimes(options) + (keepTtl === true ? 1 : 0) > 1) {
    throw new Problem(400, 'Only one of ttlMs, ttlSeconds, expiresAtMs and keepTtl can be given')
  }
  const words: Argument[] = []
  if (condition !== undefined) words.push(condition.toUpperCase())
  if (ttlMs !== undefined) words.push('PX', ttlMs)
  if (ttlSeconds !== undefined) words.push('EX', ttlSeconds)
  if (expiresAtMs !== undefined) words.push('PXAT', expiresAtMs)
  if (keepTtl === true) words.push('KEEPTTL')
  return words
}

function entryExpiry({ ttlMs, ttlSeconds, expiresAtMs }: WriteOptions): EntryExpiry {
  if (ttlMs !== undefined) return { kind: 'in', ms: ttlMs }
  if (ttlSeconds !== undefined) return { kind: 'in', ms: ttlSeconds * 1000 }
  return expiresAtMs === undefined ? { kind: 'never' } : { kind: 'at', ms: expiresAtMs }
}

// ---- Schemas ----

/** A hundred years. */
const TTL_SECONDS_MAX = 100 * 366 * 86_400
/** The year 3000. */
const EXPIRES_AT_MS_MAX = 32_503_680_000_000

export const LIFETIME = {
  ttlMs: { type: 'integer', minimum: 1, maximum: TTL_SECONDS_MAX * 1000, description: 'Expires after milliseconds.' },
  ttlSeconds: { type: 'integer', minimum: 1, maximum: TTL_SECONDS_MAX, description: 'Expires after seconds.' },
  expiresAtMs: {
    type: 'integer',
    minimum: 1,
    maximum: EXPIRES_AT_MS_MAX,
    description: 'Expires at a Unix time in milliseconds; one that is past deletes the key.',
  },
} as const

export const WRITE_OPTIONS = {
  ...LIFETIME,
  keepTtl: { type: 'boolean', description: 'Expires when the value before would have.' },
  condition: {
    type: 'string',
    enum: ['nx', 'xx'],
    description: '`nx`: only a key that is not there; `xx`: only one that is.',
  },
  tags: {
    type: 'array',
    maxItems: TAGS_MAX,
    items: CACHE_TAG,
    description: 'Invalidating one of them deletes the key.',
  },
} as const
