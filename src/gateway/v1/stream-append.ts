/**
 * Appending to a stream: one entry or many, all or none, once for each idempotency key.
 *
 * One entry without a key is one XADD. Anything else is one script, so that nothing runs in between: it finds out whether
 * every entry can be appended before it appends the first one.
 *
 * An idempotency key is remembered in a key of its own beside the stream (companion-key.ts): a digest of the request, and
 * the IDs. While it is there, the same request has the same answer, and another one with that key is refused.
 */
import { createHash } from 'node:crypto'
import type { User } from '../../access/user.ts'
import type { Argument, Engine, ReplyValue } from '../engine.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { compareEntryIds, ENTRY_ID_MIN, normalEntryId } from '../realtime/entry-id.ts'
import { companionKey } from './companion-key.ts'
import { defineScript } from './scripts.ts'
import { type Encoding, type FieldsJson, fieldWords } from './stream-json.ts'

export interface TrimJson {
  readonly maxLen?: number
  readonly minId?: string
  readonly approximate?: boolean
  readonly limit?: number
}

export interface NewEntry {
  readonly id?: string
  readonly fields: FieldsJson
}

export interface Append {
  readonly entries: readonly NewEntry[]
  readonly encoding: Encoding
  readonly trim: TrimJson | null
  readonly createsStream: boolean
  /** null: none. */
  readonly idempotencyKey: string | null
  /** How long the key is remembered, in ms. */
  readonly windowMs: number
}

export interface Appended {
  readonly ids: readonly string[]
  /** Whether this is the answer of an earlier request with the same idempotency key. */
  readonly isReplay: boolean
}

/** What the script has done. */
const Outcome = { Appended: 0, Replayed: 1, OtherRequest: 2, NoStream: 3 } as const

/**
 * KEYS: stream, and the marker when there is an idempotency key. ARGV: digest of the request ('' without a key), window in
 * ms, 1 to create the stream or 0, lowest new ID ('' when IDs are generated) as ms and sequence of 20 digits each, number
 * of words for trimming, these; then for each entry: ID, number of words, names and values.
 * Reply: outcome, IDs.
 *
 * IDs are compared as padded texts: numbers of Lua are not exact beyond 2^53.
 */
export const APPEND = defineScript(`
local key, marker, digest = KEYS[1], KEYS[2], ARGV[1]
if marker then
  local known = redis.call('GET', marker)
  if known then
    local words = {}
    for word in string.gmatch(known, '%S+') do words[#words + 1] = word end
    if words[1] ~= digest then return {${Outcome.OtherRequest}} end
    words[1] = ${Outcome.Replayed}
    return words
  end
end

local function padded(digits) return string.rep('0', 20 - #digits) .. digits end

local trimCount = tonumber(ARGV[5])
local at = 6 + trimCount
if redis.call('EXISTS', key) == 1 then
  local about = redis.pcall('XINFO', 'STREAM', key)
  if about.err then return about end
  local last = ''
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then last = about[i + 1] end
  end
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  if ARGV[4] ~= '' and ARGV[4] <= padded(ms) .. padded(seq) then
    return redis.error_reply('ERR The ID specified in XADD is equal or smaller than the target stream top item')
  end
  if ARGV[4] == '' and ms == '18446744073709551615' then
    return redis.error_reply('ERR The stream has exhausted the last possible ID, unable to add more items')
  end
elseif ARGV[3] == '0' then
  return {${Outcome.NoStream}}
end

local ids = {${Outcome.Appended}}
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  local isLast = at + 2 + count > #ARGV
  local words = {'XADD', key}
  if isLast then
    for i = 6, 5 + trimCount do words[#words + 1] = ARGV[i] end
  end
  words[#words + 1] = ARGV[at]
  for i = at + 2, at + 1 + count do words[#words + 1] = ARGV[i] end
  local id = redis.pcall(unpack(words))
  if type(id) == 'table' then return id end
  ids[#ids + 1] = id
  at = at + 2 + count
end
if marker then
  redis.call('SET', marker, digest .. ' ' .. table.concat(ids, ' ', 2), 'PX', ARGV[2])
end
return ids
`)

/** @throws CommandError; Problem 400, 404 and 422 */
export async function append(engine: Engine, user: User, stream: string, request: Append): Promise<Appended> {
  const { entries, encoding, idempotencyKey, createsStream } = request
  const trimming = request.trim === null ? [] : trimWords(request.trim)
  const first = entries[0]
  if (entries.length === 1 && first !== undefined && idempotencyKey === null) {
    const words: Argument[] = ['XADD', stream]
    if (!createsStream) words.push('NOMKSTREAM')
    words.push(...trimming, first.id ?? '*', ...fieldWords(first.fields, encoding))
    return answerOf([Outcome.Appended, await engine.call(user, words)])
  }
  const lowestId = entries.length === 1 ? singleId(first?.id) : checkedIds(entries)
  requireCommands(engine, user, [['XADD', stream, '*', 'name', 'value']])
  const args: Argument[] = ['', request.windowMs, createsStream ? 1 : 0, lowestId, trimming.length, ...trimming]
  for (const { id, fields } of entries) {
    const words = fieldWords(fields, encoding)
    args.push(id ?? '*', words.length)
    for (const word of words) args.push(word)
  }
  const keys = [stream]
  if (idempotencyKey !== null) {
    keys.push(companionKey('idempotency', stream, [idempotencyKey]))
    // Without the window: the same request may be repeated with another one.
    args[0] = digestOf([createsStream ? 1 : 0, ...args.slice(4)])
  }
  return answerOf((await engine.script(APPEND, keys, args)) as readonly ReplyValue[])
}

function answerOf([outcome, ...ids]: readonly ReplyValue[]): Appended {
  if (outcome === Outcome.OtherRequest) {
    throw new Problem(422, 'This Idempotency-Key was used with another request')
  }
  // XADD with NOMKSTREAM replies nil.
  if (outcome === Outcome.NoStream || ids[0] === null) throw new Problem(404, 'There is no such stream')
  return { ids: ids.map(String), isReplay: outcome === Outcome.Replayed }
}

/** Options of XADD and XTRIM. @throws Problem 400 */
export function trimWords({ maxLen, minId, approximate = false, limit }: TrimJson): Argument[] {
  if ((maxLen === undefined) === (minId === undefined)) {
    throw new Problem(400, 'Trimming needs one of maxLen and minId')
  }
  if (limit !== undefined && !approximate) throw new Problem(400, 'limit is only for approximate trimming')
  const words: Argument[] = maxLen === undefined ? ['MINID'] : ['MAXLEN']
  words.push(approximate ? '~' : '=', maxLen ?? minId ?? '')
  if (limit !== undefined) words.push('LIMIT', limit)
  return words
}

/** What XADD itself checks needs no look before: there is nothing to take back. */
function singleId(id: string | undefined): string {
  const normal = id === undefined ? null : normalEntryId(id)
  return normal === null ? '' : padded(normal)
}

/**
 * The IDs of several entries: none is given, or all are, each above the one before, so that it is enough to compare the
 * first one with the stream.
 *
 * @returns the first one, padded; '' when none is given
 */
function checkedIds(entries: readonly NewEntry[]): string {
  let last = ENTRY_ID_MIN
  let first = ''
  for (const [index, { id }] of entries.entries()) {
    if (index > 0 && (id === undefined) !== (first === '')) {
      throw new Problem(400, 'Either all entries have an ID or none has')
    }
    if (id === undefined) continue
    const normal = normalEntryId(id)
    if (normal === null) throw new Problem(400, `ID of entry ${index} must be complete, below 2^64 each`)
    if (compareEntryIds(normal, last) <= 0) {
      throw new Problem(400, `ID of entry ${index} must be above the one before it, and above 0-0`)
    }
    if (index === 0) first = padded(normal)
    last = normal
  }
  return first
}

function padded(id: string): string {
  return id
    .split('-')
    .map((digits) => digits.padStart(20, '0'))
    .join('')
}

function digestOf(words: readonly Argument[]): string {
  const hash = createHash('sha256')
  for (const word of words) {
    const bytes = word instanceof Uint8Array ? word : Buffer.from(String(word))
    hash.update(`${bytes.length}:`).update(bytes)
  }
  return hash.digest('base64url')
}
