/** Byte strings that sit on the borders of the encodings, for model tests of hashes and sets. */
import fc from 'fast-check'

/** Few distinct values, so that random operations meet the same ones again. */
export const smallTexts: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -40, max: 200 }).map(String) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 99 }).map((n) => `m${n}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '007', '-0', '+1', '1e3', ' 1', '\x00\xff', 'a'.repeat(64), 'b'.repeat(300)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('32767', '32768', '-32769', '2147483648', '-2147483649', '9007199254740991'),
  },
  { weight: 1, arbitrary: fc.constantFrom('9007199254740992', '-9007199254740993', '9223372036854775807') },
)

export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
