/**
 * A script's return value as a reply. Source: Redis src/script_lua.c luaReplyToRedisReply. Metamethods are not used.
 *
 * Nesting is walked with an explicit stack, as a script may return tables nested deeper than JavaScript can recurse.
 */
import type { ReplySink } from '../resp/reply.ts'
import { chargeQuietly, NO_MEMORY } from './lua/memory.ts'
import { LuaTable } from './lua/table.ts'
import { LuaError, type LuaValue, ScriptAborted } from './lua/value.ts'

/** Levels of nesting that Redis can reply before Lua's C stack is used up; deeper values become an error. */
const NESTING_MAX = 7995
const TOO_DEEP = 'ERR reached lua stack limit'
/** Values in one reply that are too deep: a table that is in itself twice has more of them than anybody could read. */
const TOO_DEEP_MAX = 1000
/** What an element of a reply takes, roughly. */
const ELEMENT_BYTES = 8
const INT64_MIN_VALUE = -(2n ** 63n)

interface Level {
  readonly values: readonly LuaValue[]
  readonly count: number
  next: number
}

/** What a reply depends on, and whom errors in it are told. */
export interface ReplyHost {
  /** The RESP version that the script chose. */
  readonly respVersion: number
  /** An error is replied. `isCounted`: it is that of a command, which has entered the statistics. */
  errorReplied(text: string, isCounted: boolean): void
}

/**
 * Replies a Lua value. A small value may make a reply without end, as a table may be in it any number of times: returns
 * what ends the script then, or null.
 */
export function replyLuaValue(value: LuaValue, reply: ReplySink, host: ReplyHost): ScriptAborted | null {
  const mark = reply.position()
  try {
    writeLuaValue(value, reply, host)
    return null
  } catch (error) {
    if (!(error instanceof ScriptAborted)) throw error
    reply.takeBack(mark)
    return error
  }
}

function writeLuaValue(value: LuaValue, reply: ReplySink, host: ReplyHost): void {
  const levels: Level[] = []
  let deepCount = 0
  open(value, reply, host, levels)
  while (levels.length > 0) {
    const level = levels[levels.length - 1]!
    if (level.next === level.count) {
      levels.pop()
      continue
    }
    const element = level.values[level.next++]
    if (levels.length >= NESTING_MAX) {
      if (++deepCount > TOO_DEEP_MAX) throw new ScriptAborted(`ERR ${NO_MEMORY}`)
      replyError(TOO_DEEP, reply, host, false)
    } else open(element, reply, host, levels)
  }
}

/** Writes a plain value, or the head of an aggregate and pushes its elements. */
function open(value: LuaValue, reply: ReplySink, host: ReplyHost, levels: Level[]): void {
  switch (typeof value) {
    case 'string':
      chargeQuietly(value.length)
      reply.bulkText(value)
      return
    case 'number':
      replyNumber(value, reply)
      return
    case 'boolean':
      if (host.respVersion >= 3) reply.bool(value)
      else if (value) reply.integer(1)
      else reply.nil()
      return
    default:
      if (value instanceof LuaTable) openTable(value, reply, host, levels)
      else reply.nil()
  }
}

function replyNumber(value: number, reply: ReplySink): void {
  const whole = Math.trunc(value)
  if (Number.isSafeInteger(whole)) reply.integer(whole === 0 ? 0 : whole)
  else if (whole >= -(2 ** 63) && whole < 2 ** 63) reply.bigInteger(BigInt(whole))
  else reply.bigInteger(INT64_MIN_VALUE)
}

function openTable(table: LuaTable, reply: ReplySink, host: ReplyHost, levels: Level[]): void {
  if (table.hash !== null && openTagged(table, reply, host, levels)) return
  const { arr } = table
  const gap = arr.indexOf(undefined)
  const count = gap < 0 ? arr.length : gap
  chargeQuietly((count + 1) * ELEMENT_BYTES)
  reply.array(count)
  levels.push({ values: arr, count, next: 0 })
}

function openTagged(table: LuaTable, reply: ReplySink, host: ReplyHost, levels: Level[]): boolean {
  const err = table.getString('err')
  if (typeof err === 'string') {
    replyError(errorLine(untilZero(err)), reply, host, isCounted(table))
    return true
  }
  const ok = table.getString('ok')
  if (typeof ok === 'string') {
    reply.status(withoutBreaks(untilZero(ok)))
    return true
  }
  const double = table.getString('double')
  if (typeof double === 'number') {
    reply.double(double)
    return true
  }
  const bigNumber = table.getString('big_number')
  if (typeof bigNumber === 'string') {
    reply.bigNumber(withoutBreaks(bigNumber))
    return true
  }
  return openVerbatim(table, reply) || openMapOrSet(table, reply, levels)
}

function openVerbatim(table: LuaTable, reply: ReplySink): boolean {
  const verbatim = table.getString('verbatim_string')
  if (!(verbatim instanceof LuaTable)) return false
  const text = verbatim.getString('string')
  const format = verbatim.getString('format')
  if (typeof text !== 'string' || typeof format !== 'string') return false
  reply.verbatim(text, `${format}   `.slice(0, 3))
  return true
}

function openMapOrSet(table: LuaTable, reply: ReplySink, levels: Level[]): boolean {
  const map = table.getString('map')
  if (map instanceof LuaTable) {
    const values: LuaValue[] = []
    for (let entry = map.next(undefined); entry !== null; entry = map.next(entry[0])) values.push(entry[0], entry[1])
    reply.map(values.length / 2)
    levels.push({ values, count: values.length, next: 0 })
    return true
  }
  const set = table.getString('set')
  if (!(set instanceof LuaTable)) return false
  const values: LuaValue[] = []
  for (let entry = set.next(undefined); entry !== null; entry = set.next(entry[0])) values.push(entry[0])
  reply.set(values.length)
  levels.push({ values, count: values.length, next: 0 })
  return true
}

function replyError(text: string, reply: ReplySink, host: ReplyHost, isCounted: boolean): void {
  host.errorReplied(text, isCounted)
  reply.error(text)
}

/** Whether an error table is that of a command, which was counted when it failed. */
function isCounted(table: LuaTable): boolean {
  return table.getString('ignore_error_stats_update') === true
}

/** Statuses and errors of scripts are C strings in Redis. */
export function untilZero(text: string): string {
  const zero = text.indexOf('\0')
  return zero < 0 ? text : text.slice(0, zero)
}

/** Line breaks at the end of an error are left out. */
function errorLine(text: string): string {
  return withoutBreaks(text.replace(/[\r\n]+$/, ''))
}

function withoutBreaks(text: string): string {
  return text.replace(/[\r\n]/g, ' ')
}

/** Replies why a script ended early: `text`, made of what it raised. */
export function replyFailure(error: unknown, text: string, reply: ReplySink, host: ReplyHost): void {
  const value = error instanceof LuaError ? error.value : undefined
  replyError(errorLine(text), reply, host, value instanceof LuaTable && isCounted(value))
}

/** The text of an error whose value is an error table, such as a failed `redis.call` raises; else null. */
export function errorTableText(error: LuaError): string | null {
  if (!(error.value instanceof LuaTable)) return null
  const text = error.value.getString('err')
  return typeof text === 'string' ? text : null
}
