import { expect, test } from 'vitest'
import { isAscii, SHORT_TEXT_MAX, shortText } from '../../src/bytes/short-text.ts'

test('a short text is that of its bytes, whatever they are', () => {
  const bytes = Buffer.from(Array.from({ length: 256 + SHORT_TEXT_MAX }, (_, i) => (i * 7) & 255))
  for (let length = 0; length <= SHORT_TEXT_MAX; length++) {
    for (let start = 0; start < 256; start++) {
      expect(shortText(bytes, start, length)).toBe(bytes.latin1Slice(start, start + length))
    }
  }
})

test('bytes up to 127 are ASCII', () => {
  const bytes = Buffer.from([200, 0, 127, 65, 128])
  expect(isAscii(bytes, 1, 3)).toBe(true)
  expect(isAscii(bytes, 1, 4)).toBe(false)
  expect(isAscii(bytes, 0, 2)).toBe(false)
  expect(isAscii(bytes, 0, 0)).toBe(true)
})
