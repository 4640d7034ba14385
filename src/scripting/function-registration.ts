/**
 * `redis.register_function`, which a library calls while it is loaded:
 *
 *     redis.register_function('name', callback)
 *     redis.register_function{function_name='name', callback=…, flags={'no-writes'}, description='…'}
 *
 * Source: Redis src/function_lua.c `luaRegisterFunction`.
 */
import { checkName, FunctionError, type LibraryFunction } from './function-library.ts'
import { LuaTable } from './lua/table.ts'
import { type LuaFunction, type LuaValue, NO_RESULTS } from './lua/value.ts'
import { errorTable, raise, textOf } from './redis-library.ts'
import { SCRIPT_FLAG_BITS } from './shebang.ts'

/** Functions of the library that is being loaded, by their names. */
export type Registry = Map<string, LibraryFunction>

/** The function `redis.register_function`; `current` says which library is being loaded, null when none is. */
export function createRegisterFunction(current: () => Registry | null): LuaFunction {
  return (...args) => {
    try {
      const registry = current()
      if (registry === null) {
        throw new FunctionError('redis.register_function can only be called on FUNCTION LOAD command')
      }
      register(registry, args)
    } catch (error) {
      if (error instanceof FunctionError) raise(errorTable(`ERR ${error.message}`))
      throw error
    }
    return NO_RESULTS
  }
}

function register(registry: Registry, args: readonly LuaValue[]): void {
  if (args.length !== 1 && args.length !== 2) {
    throw new FunctionError('wrong number of arguments to redis.register_function')
  }
  const fn = args.length === 1 ? readNamed(args[0]) : readPositional(args[0], args[1])
  checkName(fn.name)
  if (registry.has(fn.name)) throw new FunctionError('Function already exists in the library')
  registry.set(fn.name, fn)
}

function readPositional(first: LuaValue, callback: LuaValue): LibraryFunction {
  const name = textOf(first)
  if (name === null) throw new FunctionError('first argument to redis.register_function must be a string')
  if (typeof callback !== 'function') {
    throw new FunctionError('second argument to redis.register_function must be a function')
  }
  return { name, description: null, flags: 0, callback }
}

function readNamed(table: LuaValue): LibraryFunction {
  if (!(table instanceof LuaTable)) {
    throw new FunctionError(
      'calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).',
    )
  }
  let name: string | null = null
  let description: string | null = null
  let callback: LuaFunction | null = null
  let flags = 0
  for (let entry = table.next(undefined); entry !== null; entry = table.next(entry[0])) {
    const [key, value] = entry
    const word = textOf(key)
    if (word === null) throw new FunctionError('named argument key given to redis.register_function is not a string')
    switch (word.toLowerCase()) {
      case 'function_name':
        name = stringArgument('function_name', value)
        break
      case 'description':
        description = stringArgument('description', value)
        break
      case 'callback':
        if (typeof value !== 'function') {
          throw new FunctionError('callback argument given to redis.register_function must be a function')
        }
        callback = value
        break
      case 'flags':
        flags = readFlags(value)
        break
      default:
        throw new FunctionError('unknown argument given to redis.register_function')
    }
  }
  if (name === null) throw new FunctionError('redis.register_function must get a function name argument')
  if (callback === null) throw new FunctionError('redis.register_function must get a callback argument')
  return { name, description, flags, callback }
}

function stringArgument(argument: string, value: LuaValue): string {
  const text = textOf(value)
  if (text === null) {
    throw new FunctionError(`${argument} argument given to redis.register_function must be a string`)
  }
  return text
}

/** The bits of a list of flags, which ends at the first nil. */
function readFlags(list: LuaValue): number {
  if (!(list instanceof LuaTable)) {
    throw new FunctionError('flags argument to redis.register_function must be a table representing function flags')
  }
  let flags = 0
  for (let i = 1; ; i++) {
    const value = list.getNumber(i)
    if (value === undefined) return flags
    const bit = SCRIPT_FLAG_BITS.get((textOf(value) ?? '').toLowerCase())
    if (bit === undefined) throw new FunctionError('unknown flag given')
    flags |= bit
  }
}
