/**
 * Library functions called directly, and the same calls in a real redis-server, both as comparable text.
 *
 * A result is dumped with its exact types and bytes, tables sorted by key, several results in order. An error is
 * `error: ` and its text without the script position.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { formatG } from '../../src/scripting/lua/number-format.ts'
import { LuaTable } from '../../src/scripting/lua/table.ts'
import { LuaError, type LuaFunction, LuaUserdata, type LuaValue } from '../../src/scripting/lua/value.ts'

/** Whether redis-server can be started here; the differential suites are skipped without it. */
export const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0

/** Chains of lists longer than this are written as a loop. */
const CONSTRUCTOR_DEPTH_MAX = 50

/** The body of `dump` in Lua; must match `dumpValue`. */
const DUMP_LUA = `local function dump(v)
  local t = type(v)
  if t == 'nil' then return 'z' end
  if t == 'boolean' then return v and 't' or 'f' end
  if t == 'number' then return v ~= v and 'nan' or string.format('n%.17g', v) end
  if t == 'string' then return 's' .. #v .. ':' .. v end
  if t ~= 'table' then return t end
  local parts = {}
  for k, x in pairs(v) do parts[#parts + 1] = dump(k) .. '=' .. dump(x) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end
local function results(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = dump((select(i, ...))) end
  return table.concat(parts, ' ')
end
local function attempt(ok, ...)
  if ok then return results(...) end
  return 'error: ' .. tostring((...))
end
`

/** One redis-server of its own, reached through a socket file. */
export class Oracle {
  private readonly folder = mkdtempSync(join(tmpdir(), 'lua-oracle-'))
  private readonly server: ChildProcess
  private readonly client: Redis

  constructor() {
    const path = join(this.folder, 'redis.sock')
    const options = ['--port', '0', '--unixsocket', path, '--save', '', '--dir', this.folder]
    this.server = spawn('redis-server', options, { stdio: 'ignore' })
    this.client = new Redis({ path, retryStrategy: () => 50, maxRetriesPerRequest: null })
    this.client.on('error', () => undefined) // The socket appears a moment after the start.
  }

  /** The dump of what the expression list `code` evaluates to. */
  async evaluate(code: string): Promise<string> {
    const dump = await this.run(`${DUMP_LUA}return attempt(pcall(function() return ${code} end))`, [])
    return dump.replace(/^error: user_script:\d+: /, 'error: ')
  }

  /** The dumps of the protected calls of `functionName` with each of the inputs. */
  async callEach(functionName: string, inputs: readonly string[]): Promise<string[]> {
    const body = `local out = {}
      for i = 1, #ARGV do out[i] = attempt(pcall(${functionName}, ARGV[i])) end
      return cmsgpack.pack(#out) .. table.concat(out, '\\0\\0|')`
    const joined = await this.run(DUMP_LUA + body, inputs)
    const start = inputs.length < 128 ? 1 : inputs.length < 256 ? 2 : 3
    return joined.slice(start).split('\0\0|')
  }

  async close(): Promise<void> {
    this.client.disconnect()
    this.server.kill()
    await new Promise((resolve) => this.server.once('exit', resolve))
    rmSync(this.folder, { recursive: true, force: true })
  }

  private async run(script: string, inputs: readonly string[]): Promise<string> {
    const bytes = inputs.map((input) => Buffer.from(input, 'latin1'))
    const reply = await this.client.callBuffer('EVAL', [Buffer.from(script, 'latin1'), '0', ...bytes])
    if (!Buffer.isBuffer(reply)) throw new TypeError(`Unexpected reply ${String(reply)}`)
    return reply.toString('latin1')
  }
}

/** Calls a function of a library table and dumps what happens. */
export function callLibrary(library: LuaTable, name: string, ...args: LuaValue[]): string {
  try {
    const result = functionOf(library, name)(...args)
    return Array.isArray(result) ? result.map(dumpValue).join(' ') : dumpValue(result as LuaValue)
  } catch (error) {
    if (!(error instanceof LuaError)) throw error
    return `error: ${String(error.value)}`
  }
}

/** The only result of a library function that is expected to give one. */
export function resultOf(library: LuaTable, name: string, ...args: LuaValue[]): LuaValue {
  const result = functionOf(library, name)(...args)
  if (Array.isArray(result)) throw new TypeError(`${name} gave ${result.length} results`)
  return result as LuaValue
}

function functionOf(library: LuaTable, name: string): LuaFunction {
  const found = library.getString(name)
  if (typeof found !== 'function') throw new TypeError(`No function ${name}`)
  return found
}

export function dumpValue(value: LuaValue): string {
  if (value === undefined) return 'z'
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (typeof value === 'number') return Number.isNaN(value) ? 'nan' : `n${formatG(value, 17)}`
  if (typeof value === 'string') return `s${value.length}:${value}`
  if (value instanceof LuaUserdata) return 'userdata'
  if (!(value instanceof LuaTable)) return 'function'
  const parts = entriesOf(value).map(([key, item]) => `${dumpValue(key)}=${dumpValue(item)}`)
  return `{${parts.sort((a, b) => (a < b ? -1 : 1)).join(',')}}`
}

/** A value as a Lua expression. */
export function literal(value: LuaValue): string {
  if (value === undefined) return 'nil'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return numberLiteral(value)
  if (typeof value === 'string') return `"${value.replace(/[^ !#-[\]-~]/g, escapeByte)}"`
  if (value instanceof LuaUserdata) return 'cjson.null'
  if (!(value instanceof LuaTable)) return 'function() end'
  return tableLiteral(value)
}

function tableLiteral(table: LuaTable): string {
  const inner = innermost(table)
  // The parser would refuse so many brackets.
  if (inner.depth > CONSTRUCTOR_DEPTH_MAX)
    return `(function() local t = ${tableLiteral(inner.table)} for i = 1, ${inner.depth} do t = {t} end return t end)()`
  const fields = entriesOf(table).map(([key, item]) => `[${literal(key)}]=${literal(item)}`)
  return `{${fields.join(',')}}`
}

/** The table inside a chain of lists of one, and how many lists are around it. */
function innermost(table: LuaTable): { table: LuaTable; depth: number } {
  let depth = 0
  for (let inner = table.arr[0]; inner instanceof LuaTable && table.arr.length === 1; inner = table.arr[0]) {
    table = inner
    depth++
  }
  return { table, depth }
}

function numberLiteral(value: number): string {
  if (Number.isNaN(value)) return '(0/0)'
  if (!Number.isFinite(value)) return value > 0 ? '(1/0)' : '(-1/0)'
  // As a constant it would be merged with 0.
  return Object.is(value, -0) ? 'tonumber("-0")' : `(${formatG(value, 17)})`
}

function escapeByte(char: string): string {
  return `\\${String(char.charCodeAt(0)).padStart(3, '0')}`
}

function entriesOf(table: LuaTable): [LuaValue, LuaValue][] {
  const entries: [LuaValue, LuaValue][] = []
  for (const [index, value] of table.arr.entries()) if (value !== undefined) entries.push([index + 1, value])
  return entries.concat([...(table.hash ?? [])])
}

/** A table of the list values and the named ones. */
export function tableOf(list: LuaValue[], named: Readonly<Record<string, LuaValue>> = {}): LuaTable {
  const table = LuaTable.fromList([...list])
  for (const [key, value] of Object.entries(named)) table.setString(key, value)
  return table
}

/** A table of any keys. */
export function tableOfEntries(entries: readonly (readonly [LuaValue, LuaValue])[]): LuaTable {
  const table = new LuaTable()
  for (const [key, value] of entries) table.set(key, value)
  return table
}
