/**
 * The `cmsgpack` library: MessagePack (lua-cmsgpack 0.4.0). `lib-cmsgpack-pack.ts` writes, `lib-cmsgpack-unpack.ts` reads.
 * Source: Redis deps/lua/src/lua_cmsgpack.c.
 */
import { checkInteger, checkString, optionalInteger, STACK_SLOTS_MAX } from './lib-arguments.ts'
import { packAll } from './lib-cmsgpack-pack.ts'
import { TOO_MANY_RESULTS, Unpacker } from './lib-cmsgpack-unpack.ts'
import { LuaTable } from './table.ts'
import { argumentError, type LuaResult, type LuaValue, libError, NO_RESULTS } from './value.ts'

/** Stands for "all values" in C, too. */
const NO_LIMIT = 2 ** 31 - 1

/** Makes the library table; the caller makes it read-only. */
export function createCmsgpackLib(): LuaTable {
  const lib = new LuaTable()
  const unpacker = new Unpacker()
  lib.setString('pack', (...args) => pack(args))
  lib.setString('unpack', (...args) => unpackAll(unpacker, args))
  lib.setString('unpack_one', (...args) => {
    const offset = optionalInteger(args, 2, 'unpack_one', 0)
    return unpackSome(unpacker, checkString(args.slice(0, 1), 1, 'unpack_one'), 1, offset)
  })
  lib.setString('unpack_limit', (...args) => {
    const limit = checkInteger(args, 2, 'unpack_limit')
    const offset = optionalInteger(args, 3, 'unpack_limit', 0)
    const text = checkString(args, 1, 'unpack_limit')
    return limit === 0 && offset === 0 ? unpackAll(unpacker, [text]) : unpackSome(unpacker, text, limit, offset)
  })
  lib.setString('_NAME', 'cmsgpack')
  lib.setString('_VERSION', 'lua-cmsgpack 0.4.0')
  lib.setString('_COPYRIGHT', 'Copyright (C) 2012, Salvatore Sanfilippo')
  lib.setString('_DESCRIPTION', 'MessagePack C implementation for Lua')
  return lib
}

function pack(args: readonly LuaValue[]): string {
  if (args.length === 0) throw argumentError(0, 'pack', 'MessagePack pack needs input.')
  return packAll(args)
}

function unpackAll(unpacker: Unpacker, args: readonly LuaValue[]): LuaResult {
  const text = checkString(args, 1, 'unpack')
  if (text.length === 0) return NO_RESULTS
  unpacker.start(text, 0)
  const first = unpacker.value()
  return unpacker.atEnd() ? unpacker.finish(first) : unpacker.finish(collect(unpacker, [first], NO_LIMIT))
}

/** At most `limit` values from `offset`, behind the offset of the rest (-1: nothing left). */
function unpackSome(unpacker: Unpacker, text: string, limit: number, offset: number): LuaResult {
  // The second number is the input length in the original, too.
  if (offset < 0 || limit < 0)
    throw libError(`Invalid request to unpack with offset of ${offset | 0} and limit of ${text.length}.`)
  if (offset > text.length) throw libError(`Start offset ${offset | 0} greater than input length ${text.length}.`)
  unpacker.start(text, offset)
  const results = collect(unpacker, [0], limit + 1)
  results[0] = unpacker.atEnd() ? -1 : unpacker.position()
  return unpacker.finish(results)
}

/** Reads values until `results` has `limit` entries or the input ends. */
function collect(unpacker: Unpacker, results: LuaValue[], limit: number): LuaValue[] {
  while (results.length < limit && !unpacker.atEnd()) {
    // The input takes a slot, too.
    if (results.length + 1 >= STACK_SLOTS_MAX) throw libError(TOO_MANY_RESULTS)
    results.push(unpacker.value())
  }
  return results
}
