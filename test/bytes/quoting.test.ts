/** Quoted words of inline requests and configuration lines, beside a reference server. */
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { quote, splitQuoted } from '../../src/bytes/quoting.ts'
import { hasReference, ReferenceServer } from './reference-server.ts'

describe('splitQuoted', () => {
  test.each<[string, string[] | null]>([
    ['', []],
    [' \t ', []],
    ['save 900 1', ['save', '900', '1']],
    ['  a\tb\r', ['a', 'b']],
    ['a ""', ['a', '']],
    ["a ''", ['a', '']],
    ['"a b" c', ['a b', 'c']],
    ['"a\\"b\\\\"', ['a"b\\']],
    ['"\\x41\\xfF\\n\\r\\t\\a\\b\\q"', ['A\xff\n\r\t\x07\bq']],
    ['"\\x4"', ['x4']],
    ["'it\\'s \\n'", ["it's \\n"]],
    ['pre"fix ed"', ['prefix ed']],
    ['"a"\vb', ['a', 'b']],
    ['a\vb', ['a\vb']],
    ['a\0b', ['a']],
    ['"a"b', null],
    ["'a'b", null],
    ['"a', null],
    ["'a", null],
    ['"a\\', null],
    ['a"', null],
  ])('%j gives %j', (line, words) => {
    expect(splitQuoted(line)).toEqual(words)
  })

  test('what quote writes is read back', () => {
    const bytes = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)) })
    fc.assert(fc.property(bytes, (text) => splitQuoted(quote(text))?.[0] === text))
  })
})

describe('quote', () => {
  test.each([
    ['', '""'],
    ['a b', '"a b"'],
    ['"\\', '"\\"\\\\"'],
    ['\n\r\t\x07\b', '"\\n\\r\\t\\a\\b"'],
    ['\0\x7f\xff', '"\\x00\\x7f\\xff"'],
  ])('%j is written %s', (text, quoted) => {
    expect(quote(text)).toBe(quoted)
  })
})

describe.skipIf(!hasReference)('splitQuoted beside the reference server', () => {
  let server: ReferenceServer
  beforeAll(async () => {
    server = await ReferenceServer.start()
  })
  afterAll(() => server.stop())

  /** Lets the server split a line: an inline command pushes its words to a list. */
  async function reference(line: string): Promise<unknown> {
    await server.command('del', 'l')
    const socket = createConnection(join(server.directory, 'redis.sock'))
    socket.write(Buffer.from(`rpush l first ${line}\r\n`, 'latin1'))
    const [reply] = await once(socket, 'data')
    socket.destroy()
    if (String(reply).startsWith('-')) return null
    return ((await server.command('lrange', 'l', '0', '-1')) as string[]).slice(1)
  }

  test('random lines are split alike', async () => {
    const line = fc.string({ unit: fc.constantFrom(...'ab"\'\\x4fn \t\v\xff'), maxLength: 14 })
    await fc.assert(
      fc.asyncProperty(line, async (text) => {
        expect(splitQuoted(text)).toEqual(await reference(text))
      }),
      { numRuns: 1500 },
    )
  })
})
