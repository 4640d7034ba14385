/** Glob patterns, beside a reference server. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GlobCase, globMatch, isGlob } from '../../src/bytes/glob.ts'
import { hasReference, ReferenceServer } from './reference-server.ts'

const CASES: readonly [pattern: string, text: string, matches: boolean][] = [
  ['', '', true],
  ['', 'a', false],
  ['*', '', false],
  ['*', 'a', true],
  ['**', 'ab', true],
  ['a*', 'a', true],
  ['a**', 'a', true],
  ['*a', 'b', false],
  ['*a', 'aba', true],
  ['a*c*e', 'abcde', true],
  ['a*c*e', 'abde', false],
  ['*?', 'a', true],
  ['?*', 'a', true],
  ['??', 'a', false],
  ['[abc]x', 'bx', true],
  ['[^abc]', 'b', false],
  ['[^abc]', 'd', true],
  ['[a-c]', 'b', true],
  ['[c-a]', 'b', true],
  ['[a-]', 'b', false],
  ['[a-]', '_', true],
  ['[a', 'a', true],
  ['[', 'a', false],
  ['[', '[', false],
  ['[^', 'a', true],
  ['[]', ']', false],
  ['[^]', ']', true],
  ['[\\]]', ']', true],
  ['[\\', '\\', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['\\', '\\', true],
  ['a\\', 'a\\', true],
  ['h[\\a-z]llo', 'hallo', true],
  ['\xff?', '\xff\x00', true],
  ['[\x7f-\x80]', 'a', true],
  ['[\x80-\xff]', 'a', false],
]

describe('globMatch', () => {
  test.each(CASES)('pattern %j and text %j: %s', (pattern, text, matches) => {
    expect(globMatch(pattern, text, GlobCase.Exact)).toBe(matches)
  })

  test.each<[string, string, boolean]>([
    ['ABC', 'abc', true],
    ['[A-C]', 'b', true],
    ['[Z-a]', 'z', false],
    ['[\\A]', 'a', false],
    ['\\A', 'a', true],
    ['[X]', 'x', true],
    ['\xc0', '\xe0', false],
  ])('ignoring case, pattern %j and text %j: %s', (pattern, text, matches) => {
    expect(globMatch(pattern, text, GlobCase.Ignore)).toBe(matches)
  })

  test('a pattern of a thousand stars does not take exponential time', () => {
    expect(globMatch(`${'*a'.repeat(1000)}b`, 'a'.repeat(5000), GlobCase.Exact)).toBe(false)
  })

  test('isGlob is true for *, ? and [ only', () => {
    expect(['a*', 'a?', '[a', 'a]', 'a\\', 'a'].map(isGlob)).toEqual([true, true, true, false, false, false])
  })
})

describe.skipIf(!hasReference)('globMatch beside the reference server', () => {
  let server: ReferenceServer
  beforeAll(async () => {
    server = await ReferenceServer.start()
  })
  afterAll(() => server.stop())

  // SCAN MATCH has a short cut for `*`, so the pattern is given to KEYS behind a literal byte.
  async function reference(pattern: string, text: string): Promise<boolean> {
    await server.command('flushall')
    await server.command('set', `k${text}`, '')
    return ((await server.command('keys', `k${pattern}`)) as string[]).length === 1
  }

  test('the table cases give the same answer', async () => {
    for (const [pattern, text] of CASES) {
      const ours = globMatch(`k${pattern}`, `k${text}`, GlobCase.Exact)
      expect([pattern, text, ours]).toEqual([pattern, text, await reference(pattern, text)])
    }
  })

  test('random patterns give the same answer', async () => {
    const pattern = fc.string({ unit: fc.constantFrom(...'abA*?[]^-\\\x7f\x80\xff'), maxLength: 12 })
    const text = fc.string({ unit: fc.constantFrom(...'abA]^-\\*[\x80\xff'), maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(pattern, text, async (p, t) => {
        expect(globMatch(`k${p}`, `k${t}`, GlobCase.Exact)).toBe(await reference(p, t))
      }),
      { numRuns: 2000 },
    )
  })

  test('random patterns that ignore case give the same answer', async () => {
    // CONFIG GET ignores case, and its names are known.
    const unit = fc.constantFrom(...'maxMAX*?[]^-\\zZ')
    await fc.assert(
      fc.asyncProperty(fc.string({ unit, maxLength: 8 }), async (p) => {
        const glob = `*${p}*`
        const reply = (await server.command('config', 'get', glob)) as string[]
        const all = (await server.command('config', 'get', '*')) as string[]
        const names = all.filter((_, i) => i % 2 === 0)
        const ours = names.filter((name) => globMatch(glob, name, GlobCase.Ignore))
        expect(ours.sort()).toEqual(reply.filter((_, i) => i % 2 === 0).sort())
      }),
      { numRuns: 300 },
    )
  })
})
