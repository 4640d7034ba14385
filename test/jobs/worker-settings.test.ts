import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OPTIONS, readSettings, SettingError, usage } from '../../workers/settings.ts'

const SCHEMES = 'redis://, rediss://, redis-sentinel://, redis-cluster://'
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
    [[...REQUIRED, '--url', 'nonsense:SECRET'], `--url: it must begin with ${SCHEMES}`],
    [[...REQUIRED, '--url', ':SECRET@'], `--url: it must begin with ${SCHEMES}`],
    [[...REQUIRED, '--url', 'http://:SECRET@db'], `--url: it must begin with ${SCHEMES}`],
    [
      [...REQUIRED, '--url', 'redis://:SEC/RET@db'],
      "--url: '/', '?' and '@' in user and password must be written as %2F, %3F and %40",
    ],
    [
      [...REQUIRED, '--url', 'redis-sentinel://:SECRET@s1,s2'],
      '--url: redis-sentinel needs the name of the primary: redis-sentinel://host:port/name',
    ],
    [[...REQUIRED, '--url', 'redis-cluster://:SECRET@n/1'], '--url: a cluster has database 0 only'],
    [[...REQUIRED, '--url', 'rediss://:SECRET@db:SECRET'], '--url: a port must be a number from 1 to 65535'],
    [[...REQUIRED, '--prefix', ''], '--prefix must not be empty'],
    [
      [...REQUIRED, '--url', 'redis-cluster://:SECRET@n', '--prefix', 'bull'],
      '--prefix: In a cluster the prefix must have a hash tag, like {bull}',
    ],
    [
      [...REQUIRED, '--log-level', 'loud'],
      "--log-level must be one of trace, debug, info, warn, error, silent, not 'loud'",
    ],
    [[...REQUIRED, '--nonsense', '1'], "Unknown option '--nonsense'"],
  ])('that are wrong are refused: %j', (argv, message) => {
    expect(() => readSettings(argv, {})).toThrow(SettingError)
    expect(() => readSettings(argv, {})).toThrow(new SettingError(message))
  })

  test.each([
    ['redis://:SECRET@db:7000/2', [], 'bull'],
    ['rediss://ann:SECRET@db', [], 'bull'],
    ['redis-sentinel://:SECRET@s1,s2:7000/main?sentinel-password=SECRET', [], 'bull'],
    ['redis-cluster://:SECRET@n1,n2', [], '{bull}'],
    ['redis-cluster://n1', ['--prefix', 'jobs:{a}'], 'jobs:{a}'],
    ['redis://db', ['--prefix', 'jobs'], 'jobs'],
  ])('have the prefix that the gateway has for %s with %j', (url, further, prefix) => {
    expect(readSettings([...REQUIRED, '--url', url, ...further], {})).toMatchObject({ url, prefix })
    expect(readSettings([...REQUIRED, ...further], { MILLRACE_URL: url })).toMatchObject({ url, prefix })
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
