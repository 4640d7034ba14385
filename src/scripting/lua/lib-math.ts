/** The `math` library. Source: lmathlib.c; the random generator: Redis rand.c. */
import { intArg, numberArg } from './args.ts'
import { describeBuiltin } from './builtins.ts'
import { $pn } from './runtime.ts'
import { LuaTable } from './table.ts'
import { argumentError, type LuaFunction, type LuaValue, libError } from './value.ts'

// The 48-bit linear congruential generator of drand48, so that seeded sequences are those of Redis.
const MULTIPLIER = 0x5deece66dn
const INCREMENT = 0xbn
const MASK_48 = (1n << 48n) - 1n
const LOW_SEED = 0x330en
const RANDOM_MAX = 0x7fffffff

let randomState = LOW_SEED

function seed(value: number): void {
  randomState = (BigInt(value >>> 0) << 16n) | LOW_SEED
}

/** A number in 0 … 2^31-1. */
function nextRandom(): number {
  randomState = (randomState * MULTIPLIER + INCREMENT) & MASK_48
  return Number(randomState >> 17n)
}

const random: LuaFunction = (...args) => {
  const r = (nextRandom() % RANDOM_MAX) / RANDOM_MAX
  switch (args.length) {
    case 0:
      return r
    case 1: {
      const high = intArg(args, 0, 'random')
      if (high < 1) throw argumentError(1, 'random', 'interval is empty')
      return Math.floor(r * high) + 1
    }
    case 2: {
      const low = intArg(args, 0, 'random')
      const high = intArg(args, 1, 'random')
      if (low > high) throw argumentError(2, 'random', 'interval is empty')
      return Math.floor(r * (high - low + 1)) + low
    }
    default:
      throw libError('wrong number of arguments')
  }
}

const randomseed: LuaFunction = (...args) => {
  seed(intArg(args, 0, 'randomseed'))
  return []
}

function unary(name: string, compute: (x: number) => number): LuaFunction {
  return (...args) => compute(numberArg(args, 0, name))
}

function binary(name: string, compute: (x: number, y: number) => number): LuaFunction {
  return (...args) => {
    // The C compiler has the second argument checked first.
    const y = numberArg(args, 1, name)
    return compute(numberArg(args, 0, name), y)
  }
}

/** C's fmod: the sign of the dividend. */
const fmod = binary('fmod', (x, y) => x % y)

const frexp: LuaFunction = (...args) => {
  const x = numberArg(args, 0, 'frexp')
  if (x === 0 || !Number.isFinite(x)) return [x, 0]
  let exponent = Math.max(-1023, Math.floor(Math.log2(Math.abs(x))) + 1)
  let fraction = x * 2 ** -exponent
  while (Math.abs(fraction) < 0.5) {
    fraction *= 2
    exponent--
  }
  while (Math.abs(fraction) >= 1) {
    fraction /= 2
    exponent++
  }
  return [fraction, exponent]
}

const ldexp: LuaFunction = (...args) => {
  const exponent = intArg(args, 1, 'ldexp')
  const x = numberArg(args, 0, 'ldexp')
  if (x === 0) return x
  // In two steps, so that the power itself neither overflows nor vanishes.
  const half = Math.trunc(Math.max(-2200, Math.min(2200, exponent)) / 2)
  return x * 2 ** half * 2 ** (Math.max(-2200, Math.min(2200, exponent)) - half)
}

const modf: LuaFunction = (...args) => {
  const x = numberArg(args, 0, 'modf')
  const whole = Math.trunc(x)
  if (Number.isNaN(x)) return [x, x]
  // What is left of a whole number has its sign.
  const rest = x === whole ? 0 : x - whole
  return [whole, x < 0 || Object.is(x, -0) ? -Math.abs(rest) : rest]
}

function extreme(name: string, isBetter: (x: number, best: number) => boolean): LuaFunction {
  return (...args: LuaValue[]) => {
    let best = numberArg(args, 0, name)
    for (let i = 1; i < args.length; i++) {
      const x = numberArg(args, i, name)
      if (isBetter(x, best)) best = x
    }
    return best
  }
}

export function createMathLib(): LuaTable {
  const floor = unary('floor', Math.floor)
  const functions: [string, LuaFunction][] = [
    ['abs', unary('abs', Math.abs)],
    ['acos', unary('acos', Math.acos)],
    ['asin', unary('asin', Math.asin)],
    ['atan', unary('atan', Math.atan)],
    ['atan2', binary('atan2', Math.atan2)],
    ['ceil', unary('ceil', Math.ceil)],
    ['cos', unary('cos', Math.cos)],
    ['cosh', unary('cosh', Math.cosh)],
    ['deg', unary('deg', (x) => x / (Math.PI / 180))],
    ['exp', unary('exp', Math.exp)],
    ['floor', floor],
    ['fmod', fmod],
    ['mod', binary('mod', (x, y) => x % y)],
    ['ldexp', ldexp],
    ['log', unary('log', Math.log)],
    ['log10', unary('log10', Math.log10)],
    ['max', extreme('max', (x, best) => x > best)],
    ['min', extreme('min', (x, best) => x < best)],
    ['pow', binary('pow', $pn)],
    ['rad', unary('rad', (x) => x * (Math.PI / 180))],
    ['random', random],
    ['sin', unary('sin', Math.sin)],
    ['sinh', unary('sinh', Math.sinh)],
    ['sqrt', unary('sqrt', Math.sqrt)],
    ['tan', unary('tan', Math.tan)],
    ['tanh', unary('tanh', Math.tanh)],
  ]
  const table = new LuaTable()
  for (const [name, fn] of functions) {
    table.init(name, fn)
    describeBuiltin(fn, { isSingle: true, type: 'n' })
  }
  describeBuiltin(floor, { isSingle: true, type: 'n', inline: 'floor' })
  return table
    .init('frexp', frexp)
    .init('modf', modf)
    .init('randomseed', randomseed)
    .init('pi', Math.PI)
    .init('huge', Number.POSITIVE_INFINITY)
}
