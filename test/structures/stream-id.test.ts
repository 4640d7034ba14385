/** Stream IDs: text, order, arithmetic. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdSyntax, ParsedId, parseStreamId, STREAM_ID_TEXT_BYTES, StreamId } from '../../src/structures/stream-id.ts'

function parse(text: string, syntax: number = IdSyntax.Strict, missingSeqWord = 0): string | null {
  const id = new StreamId()
  const bytes = Buffer.from(`xx${text}yy`, 'latin1')
  const found = parseStreamId(bytes, 2, text.length, id, syntax, missingSeqWord)
  if (found === ParsedId.Invalid) return null
  return found === ParsedId.AutoSequence ? `${id.text()} auto` : id.text()
}

function idOf(ms: bigint, seq: bigint): StreamId {
  const id = new StreamId()
  id.msHigh = Number(ms >> 32n) | 0
  id.msLow = Number(ms & 0xffffffffn) | 0
  id.seqHigh = Number(seq >> 32n) | 0
  id.seqLow = Number(seq & 0xffffffffn) | 0
  return id
}

const uint64 = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.bigInt(0n, 20n),
  fc.bigInt(2n ** 53n - 3n, 2n ** 53n + 3n),
  fc.bigInt(2n ** 64n - 3n, 2n ** 64n - 1n),
  fc.bigInt(2n ** 32n - 2n, 2n ** 32n + 2n),
)

describe('StreamId', () => {
  it('is exact to the last bit as text, in comparisons and in steps', () => {
    fc.assert(
      fc.property(uint64, uint64, uint64, uint64, (ms, seq, otherMs, otherSeq) => {
        const id = idOf(ms, seq)
        expect(id.text()).toBe(`${ms}-${seq}`)
        const bytes = Buffer.alloc(STREAM_ID_TEXT_BYTES)
        expect(bytes.latin1Slice(0, id.write(bytes, 0))).toBe(`${ms}-${seq}`)
        expect(parse(`${ms}-${seq}`)).toBe(`${ms}-${seq}`)
        const other = idOf(otherMs, otherSeq)
        const a = (ms << 64n) | seq
        const b = (otherMs << 64n) | otherSeq
        expect(Math.sign(id.compare(other))).toBe(a < b ? -1 : a > b ? 1 : 0)
        expect(id.equals(other)).toBe(a === b)
        const all = 2n ** 128n
        const next = idOf(ms, seq)
        expect(next.increment()).toBe(a !== all - 1n)
        const after = (a + 1n) % all
        expect(next.text()).toBe(`${after >> 64n}-${after & (2n ** 64n - 1n)}`)
        const previous = idOf(ms, seq)
        expect(previous.decrement()).toBe(a !== 0n)
        const before = (a + all - 1n) % all
        expect(previous.text()).toBe(`${before >> 64n}-${before & (2n ** 64n - 1n)}`)
        if (otherMs < 2n ** 53n) {
          expect(Math.sign(id.compareMs(Number(otherMs)))).toBe(ms < otherMs ? -1 : ms > otherMs ? 1 : 0)
        }
      }),
    )
  })

  it('reads complete and incomplete IDs', () => {
    expect(parse('5-3')).toBe('5-3')
    expect(parse('5')).toBe('5-0')
    expect(parse('5', IdSyntax.Range, -1)).toBe('5-18446744073709551615')
    expect(parse('0-0')).toBe('0-0')
    expect(parse('18446744073709551615-18446744073709551615')).toBe('18446744073709551615-18446744073709551615')
  })

  it('reads the special forms only where they are allowed', () => {
    expect(parse('-')).toBe(null)
    expect(parse('+')).toBe(null)
    expect(parse('-', IdSyntax.Range)).toBe('0-0')
    expect(parse('+', IdSyntax.Range)).toBe('18446744073709551615-18446744073709551615')
    expect(parse('7-*')).toBe(null)
    expect(parse('7-*', IdSyntax.Add)).toBe('7-0 auto')
    expect(parse('*', IdSyntax.Add)).toBe(null)
    expect(parse('7-**', IdSyntax.Add)).toBe(null)
  })

  it('refuses what is no ID', () => {
    for (const text of [
      '',
      'a',
      '5-',
      '-5',
      '5-a',
      '5-3-1',
      '18446744073709551616',
      '1-18446744073709551616',
      '5 ',
      '5-3 ',
    ]) {
      expect(parse(text), text).toBe(null)
    }
    expect(parse(`${'0'.repeat(127)}1`)).toBe(null)
  })

  it('reads what C reads: leading spaces, signs and zeros, wrapping negatives, and nothing behind a zero byte', () => {
    expect(parse('0005-0003')).toBe('5-3')
    expect(parse(' \t5-+3')).toBe('5-3')
    expect(parse('5--3')).toBe(null)
    expect(parse('5--03')).toBe('5-18446744073709551613')
    expect(parse('5--0')).toBe('5-0')
    expect(parse('5--9223372036854775808')).toBe(null)
    expect(parse('5--9223372036854775809')).toBe('5-9223372036854775807')
    expect(parse('5-3\x00abc')).toBe('5-3')
  })
})
