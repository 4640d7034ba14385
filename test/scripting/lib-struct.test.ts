/** The `struct` library. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createStructLib } from '../../src/scripting/lua/lib-struct.ts'
import type { LuaValue } from '../../src/scripting/lua/value.ts'
import { callLibrary, resultOf } from './lib-oracle.ts'

const struct = createStructLib()

describe('struct', () => {
  const packed: [format: string, values: LuaValue[], bytes: string][] = [
    ['b', [-1], '\xff'],
    ['>h', [258], '\x01\x02'],
    ['<h', [258], '\x02\x01'],
    ['>i3', [1], '\0\0\x01'],
    ['>i16', [-1], `${'\0'.repeat(8)}${'\xff'.repeat(8)}`],
    ['>d', [1], '\x3f\xf0\0\0\0\0\0\0'],
    ['>f', [1], '\x3f\x80\0\0'],
    ['!4bi', [1, 2], '\x01\0\0\0\x02\0\0\0'],
    ['bxb', [1, 2], '\x01\0\x02'],
    ['c2s', ['abc', 'de'], 'abde\0'],
    ['c0', ['abc'], 'abc'],
    [' b\0q', [7], '\x07'],
  ]
  it.each(packed)('pack %j of %j', (format, values, bytes) => {
    expect(resultOf(struct, 'pack', format, ...values)).toBe(bytes)
  })

  const unpacked: [format: string, bytes: string, dump: string][] = [
    ['>HbB', '\x01\x02\xff\xff', 'n258 n-1 n255 n5'],
    ['>L', '\xff'.repeat(8), 'n1.8446744073709552e+19 n9'],
    ['bc0', '\x02abc', 's2:ab n4'],
    ['sc0', '3\0abc', 's3:abc n6'],
    ['', 'abc', 'n1'],
  ]
  it.each(unpacked)('unpack %j of %j gives %s', (format, bytes, dump) => {
    expect(callLibrary(struct, 'unpack', format, bytes)).toBe(dump)
  })

  const errors: [name: string, args: LuaValue[], message: string][] = [
    ['pack', ['q'], "bad argument #1 to 'pack' (invalid format option 'q')"],
    ['pack', ['i'], "bad argument #2 to 'pack' (number expected, got nil)"],
    ['pack', ['c3', 'ab'], "bad argument #3 to 'pack' (string too short)"],
    ['pack', ['i33', 1], 'integral size 33 is larger than limit of 32'],
    ['pack', ['i99999999999', 1], 'integral size overflow'],
    ['pack', ['!3'], 'alignment 3 is not a power of 2'],
    ['unpack', ['i', 'abc'], "bad argument #2 to 'unpack' (data string too short)"],
    ['unpack', ['i', 'abcd', 0], "bad argument #3 to 'unpack' (offset must be 1 or greater)"],
    ['unpack', ['s', 'abc'], 'unfinished string in data'],
    ['unpack', ['c0', 'abc'], "format 'c0' needs a previous size"],
    ['unpack', ['b'.repeat(8000), 'a'.repeat(8000)], 'stack overflow (too many results)'],
    ['size', ['s'], "bad argument #1 to 'size' (option 's' has no fixed size)"],
    ['size', ['c0'], "bad argument #1 to 'size' (option 'c0' has no fixed size)"],
  ]
  it.each(errors)('%s(%j) fails with %s', (name, args, message) => {
    expect(callLibrary(struct, name, ...args)).toBe(`error: ${message}`)
  })

  it('unpacks what it packed, in either byte order', () => {
    const order = fc.constantFrom('<', '>', '<!', '>!4')
    const double = fc.double({ noNaN: true })
    fc.assert(
      fc.property(order, fc.integer(), double, fc.nat(255), fc.string(), (prefix, integer, number, byte, text) => {
        const string = Buffer.from(text).toString('latin1').replaceAll('\0', '')
        const bytes = resultOf(struct, 'pack', `${prefix}idBls`, integer, number, byte, integer, string)
        const result = struct.getString('unpack')
        if (typeof result !== 'function') throw new TypeError('No unpack')
        const values = result(`${prefix}idBls`, bytes)
        expect(values).toEqual([integer, number, byte, integer, string, String(bytes).length + 1])
      }),
    )
  })
})
