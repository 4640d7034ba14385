/**
 * The globals that scripts see: Lua's libraries as far as Redis offers them, all read-only. The embedder adds `redis`.
 */
import { builtinInfo, describeBuiltin } from './builtins.ts'
import { coroutineYield, createCoroutineLib } from './coroutine.ts'
import { type ChunkLoader, installBaseLib, toText } from './lib-base.ts'
import { createBitLib } from './lib-bit.ts'
import { createCjsonLib } from './lib-cjson.ts'
import { createCmsgpackLib } from './lib-cmsgpack.ts'
import { createMathLib } from './lib-math.ts'
import { createStringLib } from './lib-string.ts'
import { createStructLib } from './lib-struct.ts'
import { createTableLib } from './lib-table.ts'
import { LuaTable } from './table.ts'
import { libError } from './value.ts'

/** Functions of the data libraries that give exactly one value. */
const SINGLE_RESULT = [
  ['cjson', 'encode'],
  ['cjson', 'decode'],
  ['cmsgpack', 'pack'],
  ['struct', 'pack'],
  ['struct', 'size'],
] as const
const NUMBER_RESULT = ['tobit', 'band', 'bor', 'bxor', 'bnot', 'lshift', 'rshift', 'arshift', 'rol', 'ror', 'bswap']

/** A new global table with all libraries; still writable, so that the embedder can add its own. */
export function createGlobals(load: ChunkLoader): LuaTable {
  const globals = new LuaTable()
  installBaseLib(globals, load)
  const coroutine = createCoroutineLib()
  describeBuiltin(coroutineYield, { inline: 'yield' })
  globals
    .init('bit', createBitLib())
    .init('cjson', createCjsonLib())
    .init('cmsgpack', createCmsgpackLib())
    .init('coroutine', coroutine)
    .init('math', createMathLib())
    .init('string', createStringLib())
    .init('struct', createStructLib())
    .init('table', createTableLib())
    .init('_G', globals)
  for (const [library, name] of SINGLE_RESULT) describeMember(globals, library, name, '')
  for (const name of NUMBER_RESULT) describeMember(globals, 'bit', name, 'n')
  return globals
}

function describeMember(globals: LuaTable, library: string, name: string, type: '' | 'n'): void {
  const table = globals.getString(library)
  const fn = table instanceof LuaTable ? table.getString(name) : undefined
  if (typeof fn === 'function') describeBuiltin(fn, { ...builtinInfo(fn), isSingle: true, type })
}

/** Makes the globals and all libraries in them read-only, which lets the compiler bind them as constants. */
export function sealGlobals(globals: LuaTable): void {
  for (const value of globals.hash?.values() ?? []) if (value instanceof LuaTable) value.readonly = true
  // `_G` used as a value: reading a missing name raises, as for a plain global.
  sealStrictly(globals)
}

/** Makes a table read-only, and reading what is not in it an error. */
export function sealStrictly(table: LuaTable): void {
  table.meta = new LuaTable().init('__index', (_table, name) => {
    throw libError(`Script attempted to access nonexistent global variable '${toText(name)}'`)
  })
  table.meta.readonly = true
  table.readonly = true
}
