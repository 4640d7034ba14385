/** Replies as JavaScript values. */
import { describe, expect, test } from 'vitest'
import { CommandError, Decode, ValueSink } from '../../src/resp/value-sink.ts'
import { Arena } from '../../src/storage/arena.ts'

function reply(write: (sink: ValueSink) => void, decode: Decode = Decode.Text): unknown {
  const sink = new ValueSink(new Arena())
  sink.decode = decode
  write(sink)
  return sink.take()
}

const bytes = Buffer.from('xxhé\xffyy', 'latin1')

describe('a reply becomes', () => {
  test('a number while it is a safe integer, then a bigint', () => {
    expect(reply((sink) => sink.integer(-5))).toBe(-5)
    expect(reply((sink) => sink.bigInteger(2n ** 53n - 1n))).toBe(2 ** 53 - 1)
    expect(reply((sink) => sink.bigInteger(-(2n ** 63n)))).toBe(-(2n ** 63n))
    expect(reply((sink) => sink.bigNumber('123456789012345678901234567890'))).toBe(123456789012345678901234567890n)
  })

  test('text from UTF-8, or bytes as they are', () => {
    const utf8 = Buffer.from('…é…')
    expect(reply((sink) => sink.bulk(utf8, 3, 2))).toBe('é')
    expect(reply((sink) => sink.bulkText('\xc3\xa9'))).toBe('é')
    expect(reply((sink) => sink.bulk(bytes, 2, 3), Decode.Bytes)).toEqual(Buffer.from([104, 0xe9, 0xff]))
    expect(reply((sink) => sink.bulkText('\xff'), Decode.Bytes)).toEqual(Buffer.from([0xff]))
    expect(reply((sink) => sink.verbatim('text', 'txt'))).toBe('text')
    expect(reply((sink) => sink.ok())).toBe('OK')
    expect(reply((sink) => sink.bulkInteger(7))).toBe('7')
  })

  test('bytes of its own, which the store may overwrite', () => {
    const stored = Buffer.from('abc')
    const taken = reply((sink) => sink.bulk(stored, 0, 3), Decode.Bytes)
    stored.fill(0)
    expect(taken).toEqual(Buffer.from('abc'))
  })

  test('the bytes of an arena block', () => {
    const arena = new Arena()
    const sink = new ValueSink(arena)
    const ref = arena.alloc(3)
    arena.segment(ref).write('xyz', arena.offset(ref))
    sink.bulkRef(ref)
    expect(sink.take()).toBe('xyz')
  })

  test('null, true, a double', () => {
    expect(reply((sink) => sink.nil())).toBe(null)
    expect(reply((sink) => sink.nilArray())).toBe(null)
    expect(reply((sink) => sink.bool(true))).toBe(true)
    expect(reply((sink) => sink.double(1.5))).toBe(1.5)
  })

  test('null when nothing was written', () => {
    expect(reply(() => {})).toBe(null)
  })

  test('an error with its code and text', () => {
    const error = reply((sink) => sink.error('WRONGTYPE Op\xc3\xa9ration'))
    expect(error).toBeInstanceOf(CommandError)
    expect(error).toMatchObject({ code: 'WRONGTYPE', message: 'WRONGTYPE Opération', name: 'CommandError' })
  })

  test('nested arrays, of known and unknown size, with errors inside', () => {
    const value = reply((sink) => {
      const outer = sink.begin()
      sink.array(2)
      sink.integer(1)
      sink.array(0)
      const inner = sink.begin()
      sink.status('a')
      sink.nil()
      sink.closeSet(inner, 2)
      sink.error('ERR no')
      sink.closeArray(outer, 3)
    })
    expect(value).toEqual([[1, []], ['a', null], new CommandError('ERR no')])
  })

  test('an object without prototype, or a Map when strings are bytes', () => {
    const write = (sink: ValueSink): void => {
      sink.map(2)
      sink.bulkText('__proto__')
      sink.integer(1)
      sink.bulkText('b')
      const mark = sink.begin()
      sink.bulkText('c')
      sink.integer(3)
      sink.closeMap(mark, 1)
    }
    const object = reply(write) as Record<string, unknown>
    expect(Object.getPrototypeOf(object)).toBe(null)
    expect(Object.entries(object)).toEqual([
      ['__proto__', 1],
      ['b', { c: 3 }],
    ])
    expect(reply(write, Decode.Bytes)).toEqual(
      new Map<unknown, unknown>([
        [Buffer.from('__proto__'), 1],
        [Buffer.from('b'), new Map([[Buffer.from('c'), 3]])],
      ]),
    )
  })
})

test('taking back drops what was written since the position, aggregates included', () => {
  const value = reply((sink) => {
    sink.array(2)
    sink.integer(1)
    const mark = sink.position()
    sink.array(3)
    sink.integer(2)
    sink.takeBack(mark)
    sink.error('ERR failed')
  })
  expect(value).toEqual([1, new CommandError('ERR failed')])
})

test('a sink is empty after its reply was taken', () => {
  const sink = new ValueSink(new Arena())
  sink.integer(1)
  expect(sink.take()).toBe(1)
  sink.integer(2)
  expect(sink.take()).toBe(2)
})

describe('a limit', () => {
  function limited(strings: readonly string[]): unknown {
    const sink = new ValueSink(new Arena(), 100)
    const take = (): unknown => {
      sink.array(strings.length)
      for (const text of strings) sink.bulk(Buffer.from(text), 0, text.length)
      return sink.take()
    }
    take()
    // Each reply counts anew.
    return take()
  }

  test('is that of one reply, and makes an error of a larger one', () => {
    expect(limited(['a', 'b', 'c'])).toEqual(['a', 'b', 'c'])
    expect(limited(['a', 'b'.repeat(100), 'c'])).toEqual(new CommandError('ERR The reply is larger than 100 bytes'))
  })

  test('is none for a single string', () => {
    const sink = new ValueSink(new Arena(), 100)
    sink.bulk(Buffer.alloc(1000, 'x'), 0, 1000)
    expect(sink.take()).toBe('x'.repeat(1000))
  })
})

test('a string that is too long for JavaScript is an error where text is wanted', () => {
  const longest = Buffer.alloc(2 ** 29)
  const error = new CommandError(`ERR A string of ${2 ** 29} bytes cannot be text`)
  expect(reply((sink) => sink.bulk(longest, 0, longest.length))).toEqual(error)
  expect(reply((sink) => sink.bulk(longest, 0, longest.length), Decode.Base64)).toEqual(error)
})
