/**
 * Lua scripts of the resource API. Each uses only keys of one hash slot, takes the time from the engine (`TIME`; effects
 * are replicated, not the script), and runs with all rights: routes ask first what the user may do.
 *
 * They must run on Redis 7.0 and on Valkey as well as here.
 */
import { createHash } from 'node:crypto'
import type { Argument, Decode, Engine, EngineScript, ReplyValue } from '../engine.ts'
import { CommandError } from '../engine.ts'

export function defineScript(source: string): EngineScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

/** As `Engine.script`, for replies that are not text. @throws CommandError */
export async function runScript(
  engine: Engine,
  script: EngineScript,
  keys: readonly string[],
  args: readonly Argument[],
  decode: Decode,
): Promise<ReplyValue> {
  const rest = [keys.length, ...keys, ...args]
  try {
    return await engine.call(engine.system, ['EVALSHA', script.sha1, ...rest], { decode })
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'NOSCRIPT') throw error
    return engine.call(engine.system, ['EVAL', script.source, ...rest], { decode })
  }
}

/**
 * Writes scores.
 *
 * KEYS: board. ARGV: mode (`set`, `increment`, `best`, `lowest`), TTL in ms or '', when the TTL is set (`always`, `new`),
 * then member and score, repeated. Reply: for each member 1 (changed) or 0, and its score.
 */
export const SUBMIT_SCORES = defineScript(`
local key, mode, ttl, ttlWhen = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local results = {}
for i = 4, #ARGV, 2 do
  local member, score = ARGV[i], ARGV[i + 1]
  local changed = 1
  if mode == 'increment' then
    redis.call('ZINCRBY', key, score, member)
    if tonumber(score) == 0 then changed = 0 end
  elseif mode == 'best' then
    changed = redis.call('ZADD', key, 'GT', 'CH', score, member)
  elseif mode == 'lowest' then
    changed = redis.call('ZADD', key, 'LT', 'CH', score, member)
  else
    changed = redis.call('ZADD', key, 'CH', score, member)
  end
  results[#results + 1] = changed
  results[#results + 1] = redis.call('ZSCORE', key, member)
end
if ttl ~= '' then
  if ttlWhen == 'new' then redis.call('PEXPIRE', key, ttl, 'NX') else redis.call('PEXPIRE', key, ttl) end
end
return results
`)

/**
 * The neighbours of a member.
 *
 * KEYS: board. ARGV: member, places above, places below, order (`desc`, `asc`). Reply: nil when it is not there, else
 * rank of the first one (from 0), rank of the member, number of members, and members with scores.
 */
export const AROUND_MEMBER = defineScript(`
local key, member, above, below = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local isDescending = ARGV[4] == 'desc'
local rank = redis.call(isDescending and 'ZREVRANK' or 'ZRANK', key, member)
if not rank then return false end
local first = math.max(0, rank - above)
local range = {'ZRANGE', key, first, rank + below, 'WITHSCORES'}
if isDescending then range = {'ZRANGE', key, first, rank + below, 'REV', 'WITHSCORES'} end
return {first, rank, redis.call('ZCARD', key), redis.call(unpack(range))}
`)

/** Deletes a board. KEYS: board. Reply: 1 when it was there. Anything but a sorted set is an error. */
export const DELETE_BOARD = defineScript(`
if redis.call('ZCARD', KEYS[1]) == 0 then return 0 end
return redis.call('UNLINK', KEYS[1])
`)

/**
 * Consumes of a quota, or looks at it.
 *
 * KEYS: state. ARGV: algorithm, limit, window in ms, burst, cost, `consume` or `peek`. Reply: 1 (allowed) or 0, what
 * remains, ms until all of the quota is there again, ms until the same cost would be allowed (0 when it is).
 *
 * The state is a string, \`fixed:<start>:<used>\` or \`gcra:<time>:<debt>:<window>\`, or for the sliding window a sorted set
 * with an entry for each ms in which something was consumed: score = time, member = \`<sum of all costs up to here>:<cost>\`,
 * the sum padded so that members sort like numbers. So what was used in the window is the difference of two entries, found
 * in O(log n) and exact.
 *
 * GCRA is calculated as its equivalent, a bucket that leaks: one request adds \`window\` units of debt, each ms pays
 * \`limit\` units, and the debt is at most \`burst * window\`. All of these are integers, so nothing is lost by rounding.
 *
 * A state that another algorithm left behind is replaced; anything else under the key is an error. When the clock was set
 * back, the last time that was seen holds.
 */
export const RATE_LIMIT = defineScript(`
local key, algorithm = KEYS[1], ARGV[1]
local limit, window, burst, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local consumes = ARGV[6] == 'consume'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local kind = redis.call('TYPE', key)
kind = kind.ok or kind
local text, isOurs = '', kind == 'none'
if kind == 'string' then
  text = redis.call('GET', key)
  isOurs = string.find(text, '^fixed:%d+:%d+$') ~= nil or string.find(text, '^gcra:%d+:%d+:%d+$') ~= nil
elseif kind == 'zset' then
  isOurs = string.find(redis.call('ZRANGE', key, 0, 0)[1], '^%d+:%d+$') ~= nil
end
if not isOurs then
  return redis.error_reply('WRONGTYPE The key of the rate limit holds something else')
end

if algorithm == 'fixed-window' then
  local start, used = string.match(text, '^fixed:(%d+):(%d+)$')
  start, used = tonumber(start or now), tonumber(used or 0)
  if now < start then now = start end
  if now >= start + window then start, used = now, 0 end
  local allowed = used + cost <= limit
  if consumes and allowed then
    used = used + cost
    redis.call('SET', key, string.format('fixed:%.0f:%.0f', start, used), 'PX', string.format('%.0f', start + window - now))
  end
  local rest = start + window - now
  return {allowed and 1 or 0, math.max(0, limit - used), used > 0 and rest or 0, allowed and 0 or rest}
end

if algorithm == 'gcra' then
  local since, debt, unit = string.match(text, '^gcra:(%d+):(%d+):(%d+)$')
  since, debt, unit = tonumber(since or now), tonumber(debt or 0), tonumber(unit or window)
  if now < since then now = since end
  if unit ~= window then debt = math.ceil(debt / unit * window) end
  debt = math.max(0, debt - (now - since) * limit)
  local capacity = burst * window
  local over = debt + cost * window - capacity
  local allowed = over <= 0
  if consumes and allowed then
    debt = debt + cost * window
    local state = string.format('gcra:%.0f:%.0f:%.0f', now, debt, window)
    redis.call('SET', key, state, 'PX', string.format('%.0f', math.ceil(debt / limit)))
  end
  local remaining = math.max(0, math.floor((capacity - debt) / window))
  return {allowed and 1 or 0, remaining, math.ceil(debt / limit), allowed and 0 or math.ceil(over / limit)}
end

local function entryAt(index)
  local found = redis.call('ZRANGE', key, index, index, 'WITHSCORES')
  if not found[1] then return nil end
  local sum, own = string.match(found[1], '^(%d+):(%d+)$')
  return {member = found[1], sum = tonumber(sum), own = tonumber(own), time = tonumber(found[2])}
end

if kind == 'string' then
  if consumes then redis.call('DEL', key) end
  kind = 'none'
end
local last = kind == 'zset' and entryAt(-1) or nil
if last and last.time > now then now = last.time end
local horizon = string.format('%.0f', now - window)
local first, used, sum = 0, 0, 0
if last and last.time > now - window then
  first = redis.call('ZCOUNT', key, '-inf', horizon)
  local oldest = entryAt(first)
  sum = last.sum
  used = sum - oldest.sum + oldest.own
else
  last = nil
end
local allowed = used + cost <= limit
local wait = 0
if not allowed then
  local low, high = first, redis.call('ZCARD', key) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if entryAt(middle).sum >= sum + cost - limit then high = middle else low = middle + 1 end
  end
  wait = entryAt(low).time + window - now
elseif consumes then
  if kind == 'zset' then redis.call('ZREMRANGEBYSCORE', key, '-inf', horizon) end
  local own = cost
  if last and last.time == now then
    own = own + last.own
    redis.call('ZREM', key, last.member)
  end
  used, sum = used + cost, sum + cost
  redis.call('ZADD', key, string.format('%.0f', now), string.format('%016.0f:%.0f', sum, own))
  redis.call('PEXPIRE', key, string.format('%.0f', window))
  last = {time = now}
end
return {allowed and 1 or 0, math.max(0, limit - used), last and last.time + window - now or 0, wait}
`)

/**
 * Sets a string, and notes what it was set with.
 *
 * KEYS: key, its note. ARGV: value, how long the value before may be that is replied, or '' for none, generation or '', tags
 * as JSON or '', then options of SET. Reply: 1 when it was set, else 0; the value before or nil; expire time in ms of the key (-1: never,
 * -2: it is gone); and generation and tags of the note that was replaced, nil when there was none.
 *
 * The note of a tagged value is a hash: \`g\` generation (of this one write), \`d\` digest of the value, \`t\` its tags. It
 * lives as long as the value. A value whose digest is another was written by somebody else since: it has no tags.
 */
export const SET_VALUE = defineScript(`
local key, note = KEYS[1], KEYS[2]
local words = {'SET', key, ARGV[1]}
for i = 5, #ARGV do words[#words + 1] = ARGV[i] end
local before = false
if ARGV[2] ~= '' then
  if redis.call('STRLEN', key) > tonumber(ARGV[2]) then
    return redis.error_reply('ERR The value before is too long for the answer')
  end
  before = redis.call('GET', key)
end
local done = redis.call(unpack(words))
if not done then return {0, before, -1, false, false} end
local old = redis.call('HMGET', note, 'g', 't')
redis.call('DEL', note)
local expires = redis.call('PEXPIRETIME', key)
if ARGV[3] ~= '' and redis.call('EXISTS', key) == 1 then
  redis.call('HSET', note, 'g', ARGV[3], 'd', redis.sha1hex(ARGV[1]), 't', ARGV[4])
  if expires >= 0 then redis.call('PEXPIREAT', note, string.format('%.0f', expires)) end
end
return {1, before, expires, old[1], old[2]}
`)

/** Deletes a key and its note. KEYS: key, note. Reply: 1 or 0, generation and tags of the note. */
export const DELETE_VALUE = defineScript(`
local old = redis.call('HMGET', KEYS[2], 'g', 't')
redis.call('DEL', KEYS[2])
return {redis.call('DEL', KEYS[1]), old[1], old[2]}
`)

/**
 * Changes when a key expires; its note follows.
 *
 * KEYS: key, note. ARGV: command and its arguments behind the key. Reply: 1 or 0; and when it has a note: expire time of
 * the key in ms (-1: never, -2: it is gone), generation and tags.
 */
export const EXPIRE_VALUE = defineScript(`
local key, note = KEYS[1], KEYS[2]
local words = {ARGV[1], key}
for i = 2, #ARGV do words[#words + 1] = ARGV[i] end
local changed = redis.call(unpack(words))
local held = redis.call('HMGET', note, 'g', 't')
if not held[1] then return {changed} end
local expires = redis.call('PEXPIRETIME', key)
if expires == -2 then
  redis.call('DEL', note)
elseif expires == -1 then
  redis.call('PERSIST', note)
else
  redis.call('PEXPIREAT', note, string.format('%.0f', expires))
end
return {changed, expires, held[1], held[2]}
`)

/**
 * Puts an entry into the index of a tag, or changes its expire time.
 *
 * KEYS: index. ARGV: entry, \`in\` or \`at\`, ms (in: from now on; at: absolute; '': never), slack in ms, entries that have
 * expired and are removed at most.
 *
 * The index is a sorted set of \`<generation>:<key>\` by expire time. It lives as long as its last entry.
 */
export const INDEX_TAG = defineScript(`
local index, slack = KEYS[1], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local score = '+inf'
if ARGV[3] ~= '' then
  local base = ARGV[2] == 'in' and now or 0
  score = string.format('%.0f', base + tonumber(ARGV[3]) + slack)
end
local expired = redis.call('ZRANGE', index, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, ARGV[5])
if #expired > 0 then redis.call('ZREM', index, unpack(expired)) end
redis.call('ZADD', index, score, ARGV[1])
local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
if last == 'inf' then
  redis.call('PERSIST', index)
else
  redis.call('PEXPIREAT', index, string.format('%.0f', tonumber(last)))
end
return 1
`)

/**
 * Deletes a value if it is still the one that an entry of an index is about.
 *
 * KEYS: key, note. ARGV: generation. Reply: 1 (deleted) or 0, and the tags of the note, which is gone then; nil when the
 * note is of another generation.
 */
export const EVICT_VALUE = defineScript(`
local key, note = KEYS[1], KEYS[2]
local held = redis.call('HMGET', note, 'g', 'd', 't')
if held[1] ~= ARGV[1] then return {0, false} end
redis.call('DEL', note)
local kind = redis.call('TYPE', key)
if (kind.ok or kind) ~= 'string' or redis.sha1hex(redis.call('GET', key)) ~= held[2] then return {0, held[3]} end
return {redis.call('DEL', key), held[3]}
`)
