/**
 * The `cjson` library (lua-cjson 2.1.0): `lib-cjson-encode.ts` writes, `lib-cjson-decode.ts` reads, this file holds the
 * table and the functions that change settings. Settings belong to the library table and stay from script to script, as
 * in Redis. Source: Redis deps/lua/src/lua_cjson.c.
 */
import { checkInteger, checkString } from './lib-arguments.ts'
import { JsonDecoder } from './lib-cjson-decode.ts'
import { CJSON_NULL, InvalidNumbers, JsonEncoder } from './lib-cjson-encode.ts'
import { LuaTable } from './table.ts'
import { argumentError, type LuaValue } from './value.ts'

export { CJSON_NULL } from './lib-cjson-encode.ts'

const INT_MAX = 2 ** 31 - 1
/** Most significant digits that `encode_number_precision` allows. */
const PRECISION_MAX = 14

const SWITCH_OPTIONS: readonly string[] = ['off', 'on']
const INVALID_NUMBER_OPTIONS: readonly string[] = ['off', 'on', 'null']
/** The settings at the places of `INVALID_NUMBER_OPTIONS`. */
const INVALID_NUMBER_SETTINGS = [InvalidNumbers.Refuse, InvalidNumbers.Write, InvalidNumbers.WriteNull] as const

/** Makes a library table with settings of its own; the caller makes it read-only. */
export function createCjsonLib(): LuaTable {
  const lib = new LuaTable()
  const encoder = new JsonEncoder()
  const decoder = new JsonDecoder()
  lib.setString('encode', (...args) => {
    if (args.length !== 1) throw argumentError(1, 'encode', 'expected 1 argument')
    return encoder.encode(args[0])
  })
  lib.setString('decode', (...args) => {
    if (args.length !== 1) throw argumentError(1, 'decode', 'expected 1 argument')
    return decoder.decode(checkString(args, 1, 'decode'))
  })
  addSettings(lib, encoder, decoder)
  lib.setString('new', () => createCjsonLib())
  lib.setString('null', CJSON_NULL)
  lib.setString('_NAME', 'cjson')
  lib.setString('_VERSION', '2.1.0')
  return lib
}

function addSettings(lib: LuaTable, encoder: JsonEncoder, decoder: JsonDecoder): void {
  // Only the memory use of the original depends on this one; its value is kept for the script that asks.
  let keepsBuffer = true
  lib.setString('encode_sparse_array', (...args) => {
    const name = 'encode_sparse_array'
    checkCount(args, 3, name)
    encoder.sparseConvert = optionalChoice(args, name, SWITCH_OPTIONS, Number(encoder.sparseConvert)) === 1
    encoder.sparseRatio = optionalNumber(args, 2, name, 0, INT_MAX, encoder.sparseRatio)
    encoder.sparseSafe = optionalNumber(args, 3, name, 0, INT_MAX, encoder.sparseSafe)
    return [encoder.sparseConvert, encoder.sparseRatio, encoder.sparseSafe]
  })
  lib.setString('encode_max_depth', (...args) => {
    checkCount(args, 1, 'encode_max_depth')
    return (encoder.maxDepth = optionalNumber(args, 1, 'encode_max_depth', 1, INT_MAX, encoder.maxDepth))
  })
  lib.setString('decode_max_depth', (...args) => {
    checkCount(args, 1, 'decode_max_depth')
    return (decoder.maxDepth = optionalNumber(args, 1, 'decode_max_depth', 1, INT_MAX, decoder.maxDepth))
  })
  lib.setString('encode_number_precision', (...args) => {
    const name = 'encode_number_precision'
    checkCount(args, 1, name)
    return (encoder.precision = optionalNumber(args, 1, name, 1, PRECISION_MAX, encoder.precision))
  })
  lib.setString('encode_keep_buffer', (...args) => {
    checkCount(args, 1, 'encode_keep_buffer')
    keepsBuffer = optionalChoice(args, 'encode_keep_buffer', SWITCH_OPTIONS, Number(keepsBuffer)) === 1
    return keepsBuffer
  })
  lib.setString('encode_invalid_numbers', (...args) => {
    const name = 'encode_invalid_numbers'
    checkCount(args, 1, name)
    const chosen = optionalChoice(args, name, INVALID_NUMBER_OPTIONS, encoder.invalidNumbers)
    encoder.invalidNumbers = INVALID_NUMBER_SETTINGS[chosen] ?? InvalidNumbers.Refuse
    return chosen < SWITCH_OPTIONS.length ? chosen === 1 : INVALID_NUMBER_OPTIONS[chosen]
  })
  lib.setString('decode_invalid_numbers', (...args) => {
    const name = 'decode_invalid_numbers'
    checkCount(args, 1, name)
    decoder.acceptsInvalidNumbers =
      optionalChoice(args, name, SWITCH_OPTIONS, Number(decoder.acceptsInvalidNumbers)) === 1
    return decoder.acceptsInvalidNumbers
  })
}

function checkCount(args: readonly LuaValue[], countMax: number, functionName: string): void {
  if (args.length > countMax) throw argumentError(countMax + 1, functionName, 'found too many arguments')
}

/** The number at `index`, or `current` for nil. The range error always names the first argument, as in the original. */
function optionalNumber(
  args: readonly LuaValue[],
  index: number,
  functionName: string,
  min: number,
  max: number,
  current: number,
): number {
  if (args[index - 1] === undefined) return current
  // C keeps the low 32 bits of the integer.
  const value = checkInteger(args, index, functionName) | 0
  if (value < min || value > max) throw argumentError(1, functionName, `expected integer between ${min} and ${max}`)
  return value
}

/** The place in `options` of the first argument (a name or a boolean), or `current` for nil. */
function optionalChoice(
  args: readonly LuaValue[],
  functionName: string,
  options: readonly string[],
  current: number,
): number {
  const value = args[0]
  if (value === undefined) return current
  if (typeof value === 'boolean') return Number(value)
  const name = checkString(args, 1, functionName)
  const place = options.indexOf(name)
  if (place === -1) throw argumentError(1, functionName, `invalid option '${name}'`)
  return place
}
