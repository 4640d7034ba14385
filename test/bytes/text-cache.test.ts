import { expect, test } from 'vitest'
import { TextCache } from '../../src/bytes/text-cache.ts'

let state = 7
function random(): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return (state >>> 8) / 2 ** 23
}

test('a cache gives the text of the bytes, whatever it has seen before', () => {
  const cache = new TextCache()
  const source = Buffer.alloc(4096)
  // Few different bytes: many texts share their ends, and so their slots.
  for (let i = 0; i < source.length; i++) source[i] = random() < 0.8 ? 97 : Math.floor(random() * 256)
  for (let i = 0; i < 50_000; i++) {
    const length = Math.floor(random() * 40)
    const start = Math.floor(random() * (source.length - length))
    expect(cache.text(source, start, length)).toBe(source.latin1Slice(start, start + length))
  }
})

test('a text does not change with the bytes that it was made of', () => {
  const cache = new TextCache()
  const source = Buffer.from('key:one')
  const text = cache.text(source, 0, 7)
  source.write('key:two')
  expect(cache.text(source, 0, 7)).toBe('key:two')
  expect(text).toBe('key:one')
})
