/** The `bit` library. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBitLib } from '../../src/scripting/lua/lib-bit.ts'
import type { LuaValue } from '../../src/scripting/lua/value.ts'
import { callLibrary, resultOf } from './lib-oracle.ts'

const bit = createBitLib()

describe('bit', () => {
  const cases: [name: string, args: LuaValue[], result: LuaValue][] = [
    ['tobit', [1.5], 2],
    ['tobit', [2.5], 2],
    ['tobit', [-2.5], -2],
    ['tobit', [2 ** 31], -(2 ** 31)],
    ['tobit', [2 ** 40 + 5], 5],
    ['tobit', [' 0x10 '], 16],
    ['bnot', [0xffffffff], 0],
    ['band', ['7', 3], 3],
    ['bor', [1, 2, 4], 7],
    ['bxor', [1, 2, 3], 0],
    ['lshift', [1, 33], 2],
    ['lshift', [1, -1], -(2 ** 31)],
    ['rshift', [-1, 1], 2147483647],
    ['arshift', [-8, 1], -4],
    ['rol', [0x12345678, 12], 1164411171],
    ['ror', [0x12345678, 12], 1736516421],
    ['bswap', [0x12345678], 2018915346],
    ['tohex', [255], '000000ff'],
    ['tohex', [-1, -3], 'FFF'],
    ['tohex', [255, 0], ''],
    ['tohex', [255, 100], '000000ff'],
  ]
  it.each(cases)('%s(%j) is %j', (name, args, result) => {
    expect(resultOf(bit, name, ...args)).toBe(result)
  })

  it('reports a missing argument and, of several wrong ones, the last', () => {
    expect(callLibrary(bit, 'band')).toBe("error: bad argument #1 to 'band' (number expected, got no value)")
    expect(callLibrary(bit, 'band', 1, 'x', 'y')).toBe("error: bad argument #3 to 'band' (number expected, got string)")
    expect(callLibrary(bit, 'tohex', 1, undefined)).toBe("error: bad argument #2 to 'tohex' (number expected, got nil)")
  })

  it('rotates back what it rotated, and swaps bytes back', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (bits, count) => {
        expect(resultOf(bit, 'ror', resultOf(bit, 'rol', bits, count), count)).toBe(bits)
        expect(resultOf(bit, 'bswap', resultOf(bit, 'bswap', bits))).toBe(bits)
      }),
    )
  })
})
