/** The table of directives, by itself and beside a reference server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Config } from '../../src/config/config.ts'
import { DirectiveFlag, EffectKind } from '../../src/config/directive.ts'
import { directiveEntries, findDirective } from '../../src/config/directives.ts'
import { hasReference, ReferenceServer } from '../bytes/reference-server.ts'

const CLIENT = { isLocalClient: true, isLoading: false }

function setAndGet(config: Config, name: string, value: string): { reply: string; value: string } {
  const reply = config.set([[name, value]], CLIENT) ?? 'OK'
  return { reply, value: config.get([name])[0]?.[1] ?? '' }
}

describe('the table of directives', () => {
  test('has no name twice', () => {
    const names = directiveEntries.map((entry) => entry.entryName)
    expect(new Set(names).size).toBe(names.length)
  })

  test('every default is a value that the directive accepts', () => {
    for (const { entryName, directive } of directiveEntries) {
      if (entryName === 'dir') continue // its default need not exist yet
      const text = directive.format(directive.initial)
      const isMultiArg = (directive.flags & DirectiveFlag.MultiArg) !== 0
      const words = !isMultiArg ? [text] : text === '' ? [] : text.split(' ')
      if (entryName === 'replicaof' || entryName === 'slaveof') continue // nothing stands for none
      const parsed = directive.parse(words, directive.initial, { isLoading: false, isFirst: false })
      expect([entryName, directive.format(parsed)]).toEqual([entryName, text])
    }
  })

  test('every directive without effect says why, and no other does', () => {
    for (const { directive } of directiveEntries) {
      expect(directive.effect.reason === '').toBe(directive.effect.kind === EffectKind.Effective)
      expect(directive.doc).toMatch(/^[A-Z`].*\.$/)
    }
  })

  test('names and aliases are found in any case', () => {
    expect(findDirective('MaxClients')?.name).toBe('maxclients')
    expect(findDirective('lua-time-limit')?.name).toBe('busy-reply-threshold')
    expect(findDirective('nosuch')).toBeNull()
  })
})

describe('values by kind', () => {
  test.each<[name: string, value: string, reply: string, shown: string]>([
    ['timeout', '100', 'OK', '100'],
    ['timeout', '010', "argument couldn't be parsed into an integer", '0'],
    ['timeout', '+5', "argument couldn't be parsed into an integer", '0'],
    ['timeout', '-1', 'argument must be between 0 and 2147483647 inclusive', '0'],
    ['maxclients', '-1', 'argument must be between 1 and 4294967295 inclusive', '10000'],
    ['slowlog-log-slower-than', '9223372036854775807', 'OK', '9223372036854775807'],
    ['maxmemory', '18446744073709551615', 'OK', '18446744073709551615'],
    ['maxmemory', '1gb', 'OK', '1073741824'],
    ['maxmemory', '5K', 'OK', '5000'],
    ['maxmemory', '', 'OK', '0'],
    ['maxmemory', '-1', 'argument must be a memory value', '0'],
    ['maxmemory', '1tb', 'argument must be a memory value', '0'],
    ['proto-max-bulk-len', '1', 'argument must be between 1048576 and 9223372036854775807 inclusive', '536870912'],
    ['maxmemory-clients', '50%', 'OK', '50%'],
    ['maxmemory-clients', '0%', 'OK', '0'],
    ['maxmemory-clients', '101%', 'percentage argument must be less or equal to 100', '0'],
    ['maxmemory-clients', 'x', 'argument must be a memory or percent value', '0'],
    ['protected-mode', 'NO', 'OK', 'no'],
    ['protected-mode', '1', "argument must be 'yes' or 'no'", 'yes'],
    ['appendfsync', 'Always', 'OK', 'always'],
    ['appendfsync', 'x', 'argument(s) must be one of the following: everysec, always, no', 'everysec'],
    ['shutdown-on-sigint', 'force nosave', 'OK', 'nosave force'],
    ['shutdown-on-sigint', 'default', 'OK', 'default'],
    ['shutdown-on-sigint', 'save nosave', "shutdown options SAVE and NOSAVE can't be used simultaneously", 'default'],
    ['oom-score-adj', 'relative', 'OK', 'yes'],
    ['hz', '1000', 'OK', '500'],
    ['hz', '0', 'OK', '1'],
    ['save', '900 1 300 10', 'OK', '900 1 300 10'],
    ['save', '', 'OK', ''],
    ['save', '900', 'Invalid save parameters', '3600 1 300 100 60 10000'],
    ['save', '0 1', 'Invalid save parameters', '3600 1 300 100 60 10000'],
    ['notify-keyspace-events', 'KEA', 'OK', 'AKE'],
    ['notify-keyspace-events', 'An', 'OK', 'A'],
    ['notify-keyspace-events', 'g$lshzxetdmKEn', 'OK', 'AKEm'],
    ['notify-keyspace-events', 'Kn', 'OK', 'nK'],
    ['notify-keyspace-events', 'Q', "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.", ''],
    [
      'client-output-buffer-limit',
      'replica 1mb 2mb 3',
      'OK',
      'normal 0 0 0 slave 1048576 2097152 3 pubsub 33554432 8388608 60',
    ],
    [
      'client-output-buffer-limit',
      'master 0 0 0',
      'Invalid client class specified in buffer limit configuration.',
      'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
    ],
    ['latency-tracking-info-percentiles', '50.5 99 100', 'OK', '50.5 99 100'],
    ['oom-score-adj-values', '1 2', 'wrong number of arguments', '0 200 800'],
    ['dir', '/nonexistent', "can't set protected config", ''],
    ['port', '65536', 'argument must be between 0 and 65535 inclusive', '6379'],
    ['proc-title-template', '{nosuch}', 'template format is invalid or contains unknown variables', ''],
    ['proc-title-template', '{title', 'template format is invalid or contains unknown variables', ''],
    ['proc-title-template', '{title}', 'template format is invalid or contains unknown variables', ''],
    ['proc-title-template', 'x {port}', 'OK', 'x {port}'],
    ['databases', '2', "can't set immutable config", '16'],
    [
      'tls-replication',
      'yes',
      "This version does not support 'tls-replication' other than by default: connections to other servers are not encrypted yet",
      'no',
    ],
  ])('CONFIG SET %s %j replies %s', (name, value, reply, shown) => {
    const config = new Config(null)
    const result = setAndGet(config, name, value)
    const failed = `ERR CONFIG SET failed (possibly related to argument '${name}') - ${reply}`
    expect(result.reply).toBe(reply === 'OK' ? 'OK' : failed)
    if (name !== 'dir' && name !== 'proc-title-template') expect(result.value).toBe(shown)
  })
})

/** Directives that only Redis 7.2 has, or whose default is another than in 7.0. */
const DIFFERENT_SINCE_70 = [
  'set-max-listpack-entries',
  'set-max-listpack-value',
  'locale-collate',
  'cluster-announce-human-nodename',
  'aof-disable-auto-gc', // not hidden in 7.0
]

/** Directives that the reference server was started with, or that depend on its machine and build. */
const DEPENDENT = ['port', 'unixsocket', 'dir', 'save', 'bind', 'maxclients', 'io-threads', 'logfile']

/** Setting these would disturb the reference server, or needs something that it has not. */
const NOT_TO_SET = [
  ...['port', 'tls-port', 'bind', 'dir', 'appendonly', 'maxclients', 'maxmemory-clients', 'client-output-buffer-limit'],
  ...['oom-score-adj', 'oom-score-adj-values', 'locale-collate', 'jemalloc-bg-thread', 'watchdog-period'],
  ...['key-load-delay', 'rdb-key-save-delay', 'activedefrag', 'requirepass'],
  'loglevel', // `nothing` is new in 7.2
]

/** Known differences: whole numbers beyond 2^53 that are not the end of the range, and the sign of zero. */
const DIFFERENT = [
  'maxmemory 9223372036854775807',
  'cluster-link-sendbuf-limit 9223372036854775807',
  'latency-tracking-info-percentiles -0',
]

const VALUES: readonly string[] = [
  ...['', '0', '1', '-1', '2', '5', '010', '+5', ' 5', '5 ', '-0', '0x10', '1.5', '1e3', 'abc', 'yes', 'NO', 'no '],
  ...['100', '101', '1000', '65535', '65536', '2147483647', '2147483648', '4294967295', '4294967296'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '18446744073709551615'],
  ...['18446744073709551616', '99999999999999999999', '1k', '1kb', '3MB', '2gb', '1tb', '1 kb', '50%', '0%', '-5%'],
  ...['900 1', '900 1 300 10', '900', '900 x', '0 1', '1 -1', '900  1', 'KEA', 'g$', 'always', 'noeviction', 'local'],
  ...['save', 'save force', 'save nosave', 'SAVE now', 'default save', '50 99.9', '101 1', 'a/b', 'a\\b', 'a b', 'a_b'],
]

/** What texts list that the reference does not have yet. */
const LATER_VALUES = /(volatile|allkeys)-lrm, /g

describe.skipIf(!hasReference)('directives beside the reference server', () => {
  let server: ReferenceServer
  beforeAll(async () => {
    server = await ReferenceServer.start()
  })
  afterAll(() => server.stop())

  async function referencePairs(): Promise<Map<string, string>> {
    const reply = (await server.command('config', 'get', '*')) as string[]
    const pairs = new Map<string, string>()
    for (let i = 0; i < reply.length; i += 2) pairs.set(reply[i] ?? '', reply[i + 1] ?? '')
    return pairs
  }

  test('all names and defaults are the same but for those that say otherwise', async () => {
    const theirs = await referencePairs()
    const ours = new Map(new Config(null).get(['*']))
    const skipped = new Set([...DIFFERENT_SINCE_70, ...DEPENDENT])
    for (const { entryName, directive } of directiveEntries) {
      if (directive.differsFromRedis !== null) skipped.add(entryName)
      // Redis has no gateway, and no checksums in its log.
      if ((directive.flags & DirectiveFlag.Own) !== 0) skipped.add(entryName)
      if (entryName === 'aof-checksums') skipped.add(entryName)
    }
    const rest = (pairs: Map<string, string>): [string, string][] =>
      [...pairs].filter(([name]) => !skipped.has(name)).sort(([a], [b]) => (a < b ? -1 : 1))
    expect(rest(ours)).toEqual(rest(theirs))
  })

  test('CONFIG SET accepts and refuses the same values with the same texts', async () => {
    const theirs = await referencePairs()
    const differences: unknown[] = []
    for (const { entryName, directive } of directiveEntries) {
      if (NOT_TO_SET.includes(entryName) || directive.effect.isFatal || !theirs.has(entryName)) continue
      if ((directive.flags & DirectiveFlag.Immutable) !== 0 && entryName !== 'databases') continue
      for (const value of VALUES) {
        if (DIFFERENT.includes(`${entryName} ${value}`)) continue
        const config = new Config(null)
        const initial = config.get([entryName])[0]?.[1] ?? ''
        await server.command('config', 'set', entryName, initial)
        const reply = await server.command('config', 'set', entryName, value)
        const shown = (await server.command('config', 'get', entryName)) as string[]
        const ours = setAndGet(config, entryName, value)
        const expected = { reply, value: shown[1] }
        const shownReply = ours.reply.replace(LATER_VALUES, '')
        if (shownReply !== expected.reply || ours.value !== expected.value) {
          differences.push({ entryName, value, ours, expected })
        }
      }
    }
    expect(differences).toEqual([])
  }, 60_000)

  test('CONFIG GET finds the same names', async () => {
    for (const patterns of [
      ['MaxMemory'],
      ['maxm*', 'maxmemory', 'MAXMEMORY'],
      ['maxmemory', 'maxm*'],
      ['*-ziplist-*'],
    ]) {
      const reply = (await server.command('config', 'get', ...patterns)) as string[]
      const names = reply.filter((_, i) => i % 2 === 0).sort()
      expect(
        new Config(null)
          .get(patterns)
          .map(([name]) => name)
          .sort(),
      ).toEqual(names)
    }
  })

  test('CONFIG SET with several pairs fails at the same one', async () => {
    const cases: [string, string][][] = [
      [['nosuch', '1']],
      [
        ['timeout', '1'],
        ['nosuch', '2'],
        ['databases', '3'],
      ],
      [
        ['timeout', '1'],
        ['databases', '3'],
        ['nosuch', '2'],
      ],
      [
        ['timeout', '1'],
        ['TIMEOUT', '2'],
      ],
      [
        ['lua-time-limit', '1'],
        ['busy-reply-threshold', '2'],
      ],
      [
        ['timeout', '7'],
        ['tcp-keepalive', 'x'],
      ],
      [
        ['timeout', '7'],
        ['Dbfilename', 'x'],
      ],
      [['a\r\nb', 'x']],
      [['Tcp-Keepalive', 'x']],
    ]
    await server.command('config', 'set', 'timeout', '0')
    for (const pairs of cases) {
      const config = new Config(null)
      const reply = config.set(pairs, CLIENT) ?? 'OK'
      expect([pairs, reply]).toEqual([pairs, await server.command('config', 'set', ...pairs.flat())])
      const timeout = (await server.command('config', 'get', 'timeout')) as string[]
      expect(config.get(['timeout']).flat()).toEqual(timeout)
    }
  })
})
