/**
 * Cache tags: values are set with tags, and all values of a tag are deleted at once.
 *
 * A tag holds for the value it was set with. Whoever writes the key again, by whatever door, takes its tags away, unless
 * the new value has some of its own. Three kinds of keys see to it:
 *
 *     <key>                     the value
 *     millrace:cache-note:…     its note: generation (of this one write), digest of the value, its tags
 *     cache-tag:<tag>           the index of a tag: `<generation>:<key>` by expire time
 *
 * Value and note share a hash slot and are changed together by one script. An index lies in a slot of its own, so it is
 * changed in steps, in an order that can be broken off and repeated anywhere: an entry is there before its value is (and
 * put in again behind it, for an invalidation may have come between), and goes after it. An entry without a value of its generation means nothing: such are left behind when a value is
 * overwritten or deleted by another door, and go when the value would have expired or the tag is invalidated.
 */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { User } from '../../access/user.ts'
import { CommandError, Decode, type Engine, type ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { companionKey } from './companion-key.ts'
import { answer, NEXT_CURSOR, params, query } from './schemas.ts'
import { EVICT_VALUE, INDEX_TAG } from './scripts.ts'

/** Tags of one value. */
export const TAGS_MAX = 32
const TAG_LENGTH_MAX = 256
/** Entries outlive their values by this time, in ms: they are written before the value, and its time counts from then. */
const SLACK_MS = 60_000
/** Expired entries that are removed when one is added. */
const TRIM_MAX = 100
/** Entries that are looked at in one step, and steps in one request. */
const SLICE_COUNT = 500
const SLICES_MAX = 20
/** Arguments of one ZREM. */
const REMOVE_MAX = 500

export const CACHE_TAG = { type: 'string', minLength: 1, maxLength: TAG_LENGTH_MAX } as const

/** What the note of a value says. */
export interface Note {
  readonly generation: string
  readonly tags: readonly string[]
}

/** When an entry of an index expires. */
export type EntryExpiry =
  | { readonly kind: 'never' }
  /** `ms` from now on. */
  | { readonly kind: 'in'; readonly ms: number }
  /** Unix time. */
  | { readonly kind: 'at'; readonly ms: number }

export function newGeneration(): string {
  return randomBytes(12).toString('base64url')
}

/** The key of the index of a tag. */
export function tagKey(tag: string): string {
  return `cache-tag:${tag}`
}

/** The key of the note of a key's value, in the same hash slot. */
export function noteKey(key: string): string {
  return companionKey('cache-note', key, [])
}

/** @throws Error when the reply is no note */
export function noteOf(generation: ReplyValue, tags: ReplyValue): Note | null {
  if (generation === null || tags === null) return null
  return { generation: String(generation), tags: JSON.parse(String(tags)) as readonly string[] }
}

/** Puts a value into the indexes of its tags, or changes when it expires there. */
export async function index(
  engine: Engine,
  key: string,
  { generation, tags }: Note,
  expiry: EntryExpiry,
): Promise<void> {
  const ms = expiry.kind === 'never' ? '' : expiry.ms
  const args = [`${generation}:${key}`, expiry.kind, ms, SLACK_MS, TRIM_MAX]
  await Promise.all(tags.map((tag) => engine.script(INDEX_TAG, [tagKey(tag)], args)))
}

/** Takes a value out of the indexes of its tags. */
export async function unindex(engine: Engine, key: string, { generation, tags }: Note): Promise<void> {
  await remove(engine, new Map(tags.map((tag) => [tag, [`${generation}:${key}`]])))
}

export async function cacheTagRoutes(app: FastifyInstance, { engine }: GatewayContext): Promise<void> {
  app.post<{ Params: { tag: string }; Querystring: { cursor: string } }>(
    '/cache-tags/:tag/invalidate',
    { schema: INVALIDATE_SCHEMA },
    async (request) => {
      const { tag } = request.params
      const user = userOf(request)
      requireCommands(engine, user, [
        ['ZSCAN', tagKey(tag), '0'],
        ['ZREM', tagKey(tag), 'entry'],
      ])
      return new Invalidation(engine, user, tag).run(request.query.cursor)
    },
  )
}

interface InvalidationResult {
  readonly tag: string
  readonly deleted: number
  readonly stale: number
  readonly forbidden: number
  /** Null: all were seen. */
  readonly cursor: string | null
}

/** Deletes the values of a tag, in slices. */
class Invalidation {
  private readonly engine: Engine
  private readonly user: User
  private readonly tag: string
  private deleted = 0
  private stale = 0
  private forbidden = 0

  constructor(engine: Engine, user: User, tag: string) {
    this.engine = engine
    this.user = user
    this.tag = tag
  }

  async run(start: string): Promise<InvalidationResult> {
    let cursor = start
    for (let i = 0; i < SLICES_MAX; i++) {
      const reply = await this.engine.call(this.engine.system, [
        'ZSCAN',
        tagKey(this.tag),
        cursor,
        'COUNT',
        SLICE_COUNT,
      ])
      const [next, pairs] = reply as [string, readonly string[]]
      // Members and scores take turns.
      const entries = pairs.filter((_text, at) => at % 2 === 0)
      for (let at = 0; at < entries.length; at += SLICE_COUNT) await this.evict(entries.slice(at, at + SLICE_COUNT))
      cursor = next
      if (cursor === '0') break
    }
    return {
      tag: this.tag,
      deleted: this.deleted,
      stale: this.stale,
      forbidden: this.forbidden,
      cursor: cursor === '0' ? null : cursor,
    }
  }

  private async evict(entries: readonly string[]): Promise<void> {
    const gone = new Map<string, string[]>([[this.tag, []]])
    await Promise.all(
      entries.map(async (entry) => {
        const colon = entry.indexOf(':')
        const generation = entry.slice(0, colon)
        const key = entry.slice(colon + 1)
        if (!this.mayDelete(key)) {
          this.forbidden++
          return
        }
        const reply = await this.engine.script(EVICT_VALUE, [key, noteKey(key)], [generation])
        const [deleted, tags] = reply as [number, string | null]
        if (deleted === 1) this.deleted++
        else this.stale++
        for (const tag of new Set([this.tag, ...(noteOf(generation, tags)?.tags ?? [])])) {
          const list = gone.get(tag)
          if (list === undefined) gone.set(tag, [entry])
          else list.push(entry)
        }
      }),
    )
    await remove(this.engine, gone)
  }

  private mayDelete(key: string): boolean {
    try {
      requireCommands(this.engine, this.user, [['DEL', key]])
      return true
    } catch (error) {
      if (error instanceof CommandError) return false
      throw error
    }
  }
}

/** Removes entries from the indexes of tags. Generations are never used again, so nobody can have put the same one in. */
async function remove(engine: Engine, entriesOfTags: ReadonlyMap<string, readonly string[]>): Promise<void> {
  const commands: string[][] = []
  for (const [tag, entries] of entriesOfTags) {
    for (let at = 0; at < entries.length; at += REMOVE_MAX) {
      commands.push(['ZREM', tagKey(tag), ...entries.slice(at, at + REMOVE_MAX)])
    }
  }
  if (commands.length === 0) return
  for (const reply of await engine.pipeline(engine.system, commands, Decode.Text)) {
    if (reply instanceof CommandError) throw reply
  }
}

const INVALIDATE_SCHEMA = {
  tags: ['Keys'],
  summary: 'Delete all values of a tag',
  operationId: 'invalidateCacheTag',
  description: `Looks at about ${SLICE_COUNT * SLICES_MAX} values; ask again with the cursor until it is null. Needs ZSCAN and ZREM of \`cache-tag:<tag>\`, and deletes the keys for which the user may run DEL.`,
  params: params({ tag: CACHE_TAG }),
  querystring: query({
    cursor: { type: 'string', pattern: '^\\d{1,20}$', default: '0', description: 'The `cursor` of the answer before.' },
  }),
  response: {
    200: answer('What was done.', {
      tag: { type: 'string' },
      deleted: { type: 'integer' },
      stale: { type: 'integer', description: 'Keys that were deleted or written again since: left alone.' },
      forbidden: { type: 'integer', description: 'Keys that the user may not delete: left alone.' },
      cursor: NEXT_CURSOR,
    }),
  },
} as const
