/**
 * The `redis` table that scripts see. Hot path: `redis.call` and `redis.pcall`.
 *
 * Calls go to a `ScriptHost`: arguments are written into its scratch buffer, then it runs the command and returns the
 * Lua value of the reply. Where the command's name is a constant in the script, it is looked up when the script is
 * compiled, not at each call (`describeBuiltin` … `specialize`). Source: Redis 7.2 src/script_lua.c.
 */
import { createHash } from 'node:crypto'
import { formatDouble } from '../bytes/double.ts'
import { REDIS_VERSION } from '../config/version.ts'
import type { ArgsBuilder } from '../resp/args.ts'
import { describeBuiltin } from './lua/builtins.ts'
import { numberToString } from './lua/number-format.ts'
import { positionPrefix } from './lua/position.ts'
import { LuaTable } from './lua/table.ts'
import { LuaError, type LuaFunction, type LuaValue, NO_RESULTS } from './lua/value.ts'

/** What scripts need of the server. */
export interface ScriptHost {
  /** Arguments of the next call are written here, the command's name first. */
  readonly args: ArgsBuilder
  /** How a number becomes an argument that is no integer in few digits. */
  readonly numberText: (n: number) => string
  /** A handle for calls of a command by this name, to be given to `call`; null when there is no such command. */
  resolve(name: string): object | null
  /** Runs the command in `args` and returns its reply as a Lua value. `handle` is null when the name is not constant. */
  call(handle: object | null, use: ReplyUse): LuaValue
  /** Whether the last `call` replied an error. */
  readonly hasFailed: boolean
  /** `redis.setresp`: the RESP version of the replies from now on. */
  setResp(version: number): void
  /** `redis.set_repl`: bits of REPL_AOF (1) and REPL_REPLICA (2). */
  setReplication(flags: number): void
  log(level: number, text: string): void
  /** Whether the caller may run the command in `args`; null when there is no such command. */
  isAllowed(): boolean | null
}

/** What becomes of a reply. Of one that is ignored only an error is returned. */
export const ReplyUse = { Kept: 0, Ignored: 1 } as const
export type ReplyUse = (typeof ReplyUse)[keyof typeof ReplyUse]

/** Where `redis.log` writes to. */
export type Logger = Pick<ScriptHost, 'log'>

export const LogLevel = { Debug: 0, Verbose: 1, Notice: 2, Warning: 3 } as const
const REPL_AOF = 1
const REPL_REPLICA = 2
const EXACT_INTEGER_MAX = 2 ** 62

const NOT_A_STRING = 'ERR Lua redis lib command arguments must be strings or integers'

/** A new table of a raised or returned error. */
export function errorTable(text: string): LuaTable {
  return new LuaTable().init('err', text)
}

/** Raises an error as `redis.call` does: the table as it is, without a position in its text. */
export function raise(value: LuaValue): never {
  throw new LuaError(value, positionPrefix().line)
}

/** A number as a command argument as in Redis 7.2.5 and later: integers up to 2^62 in digits, all else in the shortest form. */
export function numberArgument(n: number): string {
  if (Math.floor(n) === n && n <= EXACT_INTEGER_MAX && n >= -EXACT_INTEGER_MAX) {
    return Number.isSafeInteger(n) ? `${n === 0 ? 0 : n}` : BigInt(n).toString()
  }
  return formatDouble(n)
}

/** Writes call arguments; false when one is neither a string nor a number. */
function writeArguments(host: ScriptHost, values: readonly LuaValue[]): boolean {
  for (let i = 0; i < values.length; i++) if (!writeArgument(host, host.args.args.count, values[i])) return false
  return true
}

/** Writes argument `place` of a call; false when it is neither a string nor a number. */
function writeArgument({ args, numberText }: ScriptHost, place: number, value: LuaValue): boolean {
  if (typeof value === 'string') args.textAt(place, value)
  else if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) args.integerAt(place, value)
    else args.textAt(place, numberText(value))
  } else return false
  return true
}

function createCaller(host: ScriptHost, fail: (error: LuaValue) => LuaValue): LuaFunction {
  const caller: LuaFunction = (...values) => {
    if (values.length === 0) return fail(errorTable('ERR Please specify at least one argument for this redis lib call'))
    const { args } = host
    args.clear()
    if (!writeArguments(host, values)) return fail(errorTable(NOT_A_STRING))
    const result = host.call(null, ReplyUse.Kept)
    return host.hasFailed ? fail(result) : result
  }
  const byName = new Map<string, LuaFunction>()
  describeBuiltin(caller, {
    isSingle: true,
    specialize: ({ first, rest, isStatement }) => {
      const handle = host.resolve(first)
      if (handle === null) return null
      const use = isStatement ? ReplyUse.Ignored : ReplyUse.Kept
      let fn = rest === null ? byName.get(first) : createSiteCaller(host, { handle, name: first, rest, use }, fail)
      if (fn === undefined) {
        fn = createNameCaller(host, first, handle, fail)
        byName.set(first, fn)
      }
      describeBuiltin(fn, { isSingle: true })
      return fn
    },
  })
  return caller
}

/** A function for all calls of a command, with all arguments but its name. */
function createNameCaller(
  host: ScriptHost,
  name: string,
  handle: object,
  fail: (error: LuaValue) => LuaValue,
): LuaFunction {
  return (...values) => {
    const { args } = host
    args.clear()
    args.text(name)
    if (!writeArguments(host, values)) return fail(errorTable(NOT_A_STRING))
    const result = host.call(handle, ReplyUse.Kept)
    return host.hasFailed ? fail(result) : result
  }
}

/** One call in a script: its command, and the arguments that are known. */
interface CallSite {
  readonly handle: object
  readonly name: string
  readonly rest: readonly (string | number | null)[]
  readonly use: ReplyUse
}

/**
 * A function for one call in a script, with the arguments only that are not known; what is known was encoded when the
 * script was compiled. For few of them no array is made.
 */
function createSiteCaller(host: ScriptHost, site: CallSite, fail: (error: LuaValue) => LuaValue): LuaFunction {
  const { handle, use } = site
  const texts = [site.name, ...site.rest.map((value) => (typeof value === 'number' ? host.numberText(value) : value))]
  const form = host.args.keepForm(texts)
  const run = (isWritten: boolean): LuaValue => {
    if (!isWritten) return fail(errorTable(NOT_A_STRING))
    const result = host.call(handle, use)
    return host.hasFailed ? fail(result) : result
  }
  if (form === null) return (...values) => run(writeAll(host, texts, values))
  const places = [...texts.keys()].filter((place) => texts[place] === null)
  const [a = 0, b = 0, c = 0, d = 0] = places
  switch (places.length) {
    case 0:
      return () => {
        host.args.begin(form)
        return run(true)
      }
    case 1:
      return (first) => {
        host.args.begin(form)
        return run(writeArgument(host, a, first))
      }
    case 2:
      return (first, second) => {
        host.args.begin(form)
        return run(writeArgument(host, a, first) && writeArgument(host, b, second))
      }
    case 3:
      return (first, second, third) => {
        host.args.begin(form)
        const isWritten = writeArgument(host, a, first) && writeArgument(host, b, second)
        return run(isWritten && writeArgument(host, c, third))
      }
    case 4:
      return (first, second, third, fourth) => {
        host.args.begin(form)
        const isWritten = writeArgument(host, a, first) && writeArgument(host, b, second)
        return run(isWritten && writeArgument(host, c, third) && writeArgument(host, d, fourth))
      }
    default:
      return (...values) => {
        host.args.begin(form)
        let isWritten = true
        for (let i = 0; i < values.length && isWritten; i++) isWritten = writeArgument(host, places[i]!, values[i])
        return run(isWritten)
      }
  }
}

/** Writes the arguments of a call that are known, and those that are not (null) from `values`. */
function writeAll(host: ScriptHost, texts: readonly (string | null)[], values: readonly LuaValue[]): boolean {
  host.args.clear()
  let next = 0
  return texts.every((text, place) => writeArgument(host, place, text ?? values[next++]))
}

/** The text of an error that a script makes: a code is kept, else `ERR` is put in front (luaPushErrorBuff). */
function normalError(text: string): string {
  // A C string.
  const line = text.split('\0', 1)[0]!
  const body = line.startsWith('-') ? line.slice(1) : line
  const space = body.indexOf(' ')
  const code = space < 0 ? 'ERR' : body.slice(0, space)
  const message = space < 0 ? body : body.slice(space + 1)
  return `${code} ${message.replace(/^[\r\n]+|[\r\n]+$/g, '')}`
}

function singleField(field: string, convert: (text: string) => string): LuaFunction {
  return (...args) => {
    const text = args[0]
    if (args.length !== 1 || typeof text !== 'string') return errorTable('ERR wrong number or type of arguments')
    return new LuaTable().init(field, convert(text))
  }
}

/** A string, or a number as text; null for anything else. */
export function textOf(value: LuaValue): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? numberToString(value) : null
}

function createLog(logger: Logger): LuaFunction {
  return (...args) => {
    if (args.length < 2) raise(errorTable('ERR redis.log() requires two arguments or more.'))
    const level = Number(textOf(args[0]) ?? Number.NaN)
    if (Number.isNaN(level)) raise(errorTable('ERR First argument must be a number (log level).'))
    if (level < LogLevel.Debug || level > LogLevel.Warning) raise(errorTable('ERR Invalid debug level.'))
    const words: string[] = []
    for (const value of args.slice(1)) {
      const text = textOf(value)
      if (text !== null) words.push(text)
    }
    logger.log(Math.trunc(level), words.join(' '))
    return NO_RESULTS
  }
}

function createSetResp(host: ScriptHost): LuaFunction {
  return (...args) => {
    if (args.length !== 1) raise(errorTable('ERR redis.setresp() requires one argument.'))
    const version = Math.trunc(Number(textOf(args[0]) ?? 0))
    if (version !== 2 && version !== 3) raise(errorTable('ERR RESP version must be 2 or 3.'))
    host.setResp(version)
    return NO_RESULTS
  }
}

function createSetRepl(host: ScriptHost): LuaFunction {
  return (...args) => {
    if (args.length !== 1) raise(errorTable('ERR redis.set_repl() requires one argument.'))
    const flags = Math.trunc(Number(textOf(args[0]) ?? 0))
    if ((flags & ~(REPL_AOF | REPL_REPLICA)) !== 0) {
      raise(errorTable('ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.'))
    }
    host.setReplication(flags)
    return NO_RESULTS
  }
}

function createAclCheck(host: ScriptHost): LuaFunction {
  return (...args) => {
    if (args.length === 0)
      raise(errorTable('ERR Please specify at least one argument for this redis.acl_check_cmd() call'))
    host.args.clear()
    if (!writeArguments(host, args))
      raise(errorTable('ERR redis.acl_check_cmd() command arguments must be strings or integers'))
    const isAllowed = host.isAllowed()
    if (isAllowed === null) raise(errorTable('ERR Invalid command passed to redis.acl_check_cmd()'))
    return isAllowed
  }
}

const sha1hex: LuaFunction = (...args) => {
  if (args.length !== 1) raise(errorTable('ERR wrong number of arguments'))
  return sha1(textOf(args[0]) ?? '')
}

/** The SHA1 of a byte string, in lower-case hex. */
export function sha1(text: string): string {
  return createHash('sha1').update(text, 'latin1').digest('hex')
}

function versionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  return (major << 16) | (minor << 8) | patch
}

/** The `redis` table of EVAL scripts, over a host. */
export function createRedisLibrary(host: ScriptHost): LuaTable {
  return createFunctionLibrary(host, host)
    .init('replicate_commands', () => true)
    .init('breakpoint', () => false)
    .init('debug', () => NO_RESULTS)
}

/** The `redis` table of functions that are called. Source: Redis src/script_lua.c luaRegisterRedisAPI. */
export function createFunctionLibrary(host: ScriptHost, logger: Logger): LuaTable {
  describeBuiltin(sha1hex, { isSingle: true, type: 's' })
  const table = new LuaTable()
    .init('call', createCaller(host, raise))
    .init(
      'pcall',
      createCaller(host, (error) => error),
    )
    .init('error_reply', singleField('err', normalError))
    .init(
      'status_reply',
      singleField('ok', (text) => text),
    )
    .init('sha1hex', sha1hex)
    .init('setresp', createSetResp(host))
    .init('set_repl', createSetRepl(host))
    .init('REPL_NONE', 0)
    .init('REPL_AOF', REPL_AOF)
    .init('REPL_SLAVE', REPL_REPLICA)
    .init('REPL_REPLICA', REPL_REPLICA)
    .init('REPL_ALL', REPL_AOF | REPL_REPLICA)
    .init('acl_check_cmd', createAclCheck(host))
  return initCommon(table, logger)
}

/** The `redis` table of libraries that are loaded. Source: Redis src/function_lua.c luaEngineInitEngine. */
export function createLoadLibrary(logger: Logger, registerFunction: LuaFunction): LuaTable {
  return initCommon(new LuaTable().init('register_function', registerFunction), logger)
}

function initCommon(table: LuaTable, logger: Logger): LuaTable {
  return table
    .init('log', createLog(logger))
    .init('LOG_DEBUG', LogLevel.Debug)
    .init('LOG_VERBOSE', LogLevel.Verbose)
    .init('LOG_NOTICE', LogLevel.Notice)
    .init('LOG_WARNING', LogLevel.Warning)
    .init('REDIS_VERSION', REDIS_VERSION)
    .init('REDIS_VERSION_NUM', versionNumber(REDIS_VERSION))
}
