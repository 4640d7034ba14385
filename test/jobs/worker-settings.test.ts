import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OPTIONS, readSettings, SettingError, usage } from '../../workers/settings.ts'

const REQUIRED = ['--processor', './p.ts', '--queue', 'mail']

describe('settings of a worker', () => {
  test('have defaults', () => {
    expect(readSettings(REQUIRED, {})).toEqual({
      processor: resolve('p.ts'),
      queue: 'mail',
      prefix: 'bull',
      url: 'redis://127.0.0.1:6379',
      concurrency: 10,
      limiter: null,
      shutdownTimeoutMs: 30_000,
      healthIntervalMs: 30_000,
      logLevel: 'info',
    })
  })

  test('come from the environment, and the command line wins', () => {
    const environment = {
      MILLRACE_PROCESSOR: '/p.ts',
      MILLRACE_QUEUE: 'a',
      MILLRACE_CONCURRENCY: '3',
      MILLRACE_LIMITER: '5/1000',
    }
    expect(readSettings(['--queue', 'b', '--shutdown-timeout=0'], environment)).toMatchObject({
      processor: '/p.ts',
      queue: 'b',
      concurrency: 3,
      limiter: { max: 5, duration: 1000 },
      shutdownTimeoutMs: 0,
    })
  })

  test.each([
    [['--queue', 'q'], '--processor (or MILLRACE_PROCESSOR) is missing: module that exports the function `processor`'],
    [['--processor', 'p'], '--queue (or MILLRACE_QUEUE) is missing: name of the queue'],
    [[...REQUIRED, '--concurrency', '0'], "--concurrency must be an integer from 1 to 100000, not '0'"],
    [[...REQUIRED, '--concurrency', '1.5'], "--concurrency must be an integer from 1 to 100000, not '1.5'"],
    [[...REQUIRED, '--limiter', '5'], "--limiter must be a number of jobs and a time in ms, such as 100/1000, not '5'"],
    [[...REQUIRED, '--limiter', '0/5'], "--limiter must be an integer from 1 to 2147483647, not '0'"],
    [[...REQUIRED, '--url', 'nonsense:secret'], '--url must start with redis: or rediss:, not nonsense:'],
    [[...REQUIRED, '--url', ':secret@'], '--url is not a URL'],
    [
      [...REQUIRED, '--log-level', 'loud'],
      "--log-level must be one of trace, debug, info, warn, error, silent, not 'loud'",
    ],
    [[...REQUIRED, '--nonsense', '1'], "Unknown option '--nonsense'"],
  ])('that are wrong are refused: %j', (argv, message) => {
    expect(() => readSettings(argv, {})).toThrow(SettingError)
    expect(() => readSettings(argv, {})).toThrow(message)
  })

  test('are shown by --help and explained in the README', () => {
    expect(readSettings(['--help'], {})).toBe(null)
    const readme = readFileSync(new URL('../../workers/README.md', import.meta.url), 'utf8')
    for (const { name, variable } of OPTIONS) {
      expect(usage()).toContain(`--${name} `)
      expect(readme).toContain(`| \`--${name}\` | \`${variable}\` |`)
    }
  })
})
