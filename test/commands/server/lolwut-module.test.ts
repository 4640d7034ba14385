/** LOLWUT, and MODULE, which has nothing to load. */
import { beforeEach, expect, test } from 'vitest'
import { serverCommands } from '../../../src/commands/server/index.ts'
import { REDIS_VERSION } from '../../../src/config/version.ts'
import { CommandBench } from '../command-bench.ts'

const NOT_ALLOWED = /^-ERR MODULE command not allowed\. If the enable-module-command option is set to "local"/

let bench: CommandBench
beforeEach(() => {
  bench = new CommandBench([serverCommands])
})

test('LOLWUT shows the version, as verbatim text', () => {
  expect(bench.call('LOLWUT')).toBe(`Redis ver. ${REDIS_VERSION}\n`)
  expect(bench.call('LOLWUT', 'VERSION', '7')).toBe(`Redis ver. ${REDIS_VERSION}\n`)
  expect(bench.call('LOLWUT', 'VERSION', 'x')).toBe('-ERR value is not an integer or out of range')
  bench.speak(3)
  expect(bench.wire('LOLWUT')).toMatch(/^=\d+\r\ntxt:Redis ver\. /)
})

test('LOLWUT VERSION 5 draws squares, of a size that is cut to its limits', () => {
  bench.ctx.random = () => 0.5
  const lines = (...sizes: string[]): string[] =>
    Buffer.from(String(bench.call('LOLWUT', 'VERSION', '5', ...sizes)), 'latin1')
      .toString()
      .split('\n')
  const art = lines('10', '1', '1')
  // One square of 16 dots in a frame of 20, without noise.
  expect(art).toEqual([
    '⠀⡤⠤⠤⠤⠤⠤⠤⠤⡄',
    '⠀⡇⠀⠀⠀⠀⠀⠀⠀⡇',
    '⠀⡇⠀⠀⠀⠀⠀⠀⠀⡇',
    '⠀⡇⠀⠀⠀⠀⠀⠀⠀⡇',
    '⠀⠧⠤⠤⠤⠤⠤⠤⠤⠇',
    '',
    `Georg Nees - schotter, plotter on paper, 1968. Redis ver. ${REDIS_VERSION}`,
    '',
  ])
  expect(lines('0', '0', '0')[0]!.length).toBe(1)
  expect(lines('9999', '9999', '1')[0]!.length).toBe(1000)
  expect(bench.call('LOLWUT', 'VERSION', '5', 'x')).toBe('-ERR value is not an integer or out of range')
})

test('MODULE lists none, and loads and unloads nothing', () => {
  expect(bench.call('MODULE', 'LIST')).toEqual([])
  expect(bench.call('MODULE', 'LOAD', '/some.so')).toMatch(NOT_ALLOWED)
  expect(bench.call('MODULE', 'LOADEX', '/some.so')).toMatch(NOT_ALLOWED)
  expect(bench.call('MODULE', 'UNLOAD', 'some')).toMatch(NOT_ALLOWED)
  expect(bench.call('MODULE', 'HELP')).toContain('LIST')
})
