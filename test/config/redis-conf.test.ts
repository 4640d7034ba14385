/** Reading of configuration files, stdin and options: syntax, order, refusals. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/redis-conf.ts'
import { hasReference } from '../bytes/reference-server.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'redis-conf-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function file(name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content, 'latin1')
  return path
}

function load(content: string, options = ''): Config {
  return loadConfig({ configFile: file('redis.conf', content), stdin: null, options }).config
}

/** What is printed to stderr, in lines; empty if the configuration is good. */
function errorOf(content: string, options = ''): string[] {
  try {
    load(content, options)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return [...error.lines]
    throw error
  }
}

describe('a redis.conf', () => {
  test('without anything gives the defaults', () => {
    const { config, warnings } = loadConfig({ configFile: null, stdin: null, options: '' })
    expect(config.number('port')).toBe(6379)
    expect(config.configFile).toBeNull()
    expect(warnings).toEqual([])
  })

  test('may have comments, blank lines, CRLF, upper case and quotes', () => {
    const config = load("# port 1\r\n\r\n  PORT 7000\r\n\trequirepass \"a b\\x41\"\r\nunixsocket '/tmp/it\\'s'")
    expect(config.number('port')).toBe(7000)
    expect(config.text('requirepass')).toBe('a bA')
    expect(config.text('unixsocket')).toBe("/tmp/it's")
  })

  test('counts the last mention of a directive, stdin behind the file, options behind both', () => {
    const configFile = file('redis.conf', 'port 1\nport 2\ntimeout 2\nhz 2\n')
    const { config } = loadConfig({ configFile, stdin: 'timeout 3\nhz 3', options: 'hz 4' })
    expect([config.number('port'), config.number('timeout'), config.number('hz')]).toEqual([2, 3, 4])
  })

  test.each<[string, string]>([
    ['', '3600 1 300 100 60 10000'],
    ['save 900 1', '900 1'],
    ['save 900 1\nsave 300 10', '900 1 300 10'],
    ['save 900 1 300 10', '900 1 300 10'],
    ['save "900 1 300 10"', '900 1 300 10'],
    ['save ""', ''],
    ['save 900 1\nsave ""\nsave 60 5', '60 5'],
    ['save', ''],
  ])('save points accumulate: %j', (content, shown) => {
    expect(load(content).get(['save'])[0]?.[1]).toBe(shown)
  })

  test('client-output-buffer-limit lines add up by class', () => {
    const config = load('client-output-buffer-limit normal 1 2 3\nclient-output-buffer-limit pubsub 4kb 5mb 6')
    expect(config.value('client-output-buffer-limit')).toMatchObject({
      normal: { hardBytes: 1, softBytes: 2, softSeconds: 3 },
      pubsub: { hardBytes: 4096, softBytes: 5242880, softSeconds: 6 },
    })
  })

  test('aliases and directives of old versions are read', () => {
    const config = load('slave-priority 7\nlua-time-limit 8\nhash-max-ziplist-entries 9\nlua-replicate-commands yes')
    expect(config.number('replica-priority')).toBe(7)
    expect(config.number('busy-reply-threshold')).toBe(8)
    expect(config.number('hash-max-listpack-entries')).toBe(9)
  })

  test('rename-command lines are kept for the command table', () => {
    const renamed = load('rename-command CONFIG ""\nrename-command keys "my keys"').renamedCommands
    expect(renamed).toMatchObject([
      { from: 'CONFIG', to: '', line: { number: 1 } },
      { from: 'keys', to: 'my keys', line: { number: 2, text: 'rename-command keys "my keys"' } },
    ])
  })

  test('hz is brought into range', () => {
    expect(load('hz 100000').number('hz')).toBe(500)
  })
})

describe('include', () => {
  test('reads files at its place, by glob in order, relative to the working directory or dir', () => {
    mkdirSync(join(directory, 'conf.d'))
    file('conf.d/20.conf', 'timeout 20\nhz 20')
    file('conf.d/10.conf', 'timeout 10')
    file('conf.d/.hidden.conf', 'timeout 99')
    const config = load(`hz 1\ndir ${directory}\ninclude conf.d/*.conf\nport 5`)
    expect([config.number('hz'), config.number('timeout'), config.number('port')]).toEqual([20, 20, 5])
    expect(load(`include ${directory}/conf?d/[!2]0.conf`).number('timeout')).toBe(10)
  })

  test('a glob may match nothing, a plain name must exist', () => {
    expect(errorOf(`include ${directory}/none*.conf`)).toEqual([])
    expect(errorOf(`include ${directory}/none.conf`)).toEqual([
      `Fatal error, can't open config file '${directory}/none.conf': No such file or directory`,
    ])
  })

  test('errors count lines in the included file', () => {
    const path = file('bad.conf', '\nport x')
    expect(errorOf(`hz 1\nhz 1\nhz 1\ninclude ${path}`)).toContain('Reading the configuration file, at line 2')
  })

  test('a circle ends with an error', () => {
    const path = file('circle.conf', `include ${join(directory, 'circle.conf')}`)
    expect(errorOf(`include ${path}`).at(-1)).toBe('Cannot include files more than 64 deep')
  })
})

describe('what this version does not support', () => {
  test.each([
    ['tls-replication yes', "'tls-replication'"],
    ['cluster-enabled yes', "'cluster-enabled'"],
    ['daemonize yes', 'use a process manager'],
    ['loadmodule /x.so', "'loadmodule'"],
    ['module.setting 1', 'without loadmodule'],
    ['sentinel monitor m 127.0.0.1 1 1', 'sentinel directive while not in sentinel mode'],
  ])('%s is fatal', (content, text) => {
    const lines = errorOf(`hz 10\n${content}`)
    expect(lines.slice(0, 4)).toEqual([
      '',
      '*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***',
      'Reading the configuration file, at line 2',
      `>>> '${content}'`,
    ])
    expect(lines[4]).toContain(text)
  })

  test('a user that is defined twice is fatal, and its passwords are not shown', () => {
    const lines = errorOf('user ann on >secret\nuser ann on >secret2 #hash')
    expect(lines[3]).toBe(">>> 'user ann on >(redacted) #hash'")
    expect(lines[4]).toBe(
      "Error in user declaration 'ann': Duplicate user found. A user can only be defined once in config files",
    )
  })

  test('the last mention decides', () => {
    expect(errorOf('cluster-enabled yes\ncluster-enabled no\nreplicaof a 1\nreplicaof no one')).toEqual([])
  })

  test('other features are warnings, unless switched off', () => {
    const options = 'syslog-enabled yes\nsave ""\nlatency-tracking no\ntcp-backlog 100'
    const { warnings } = loadConfig({ configFile: null, stdin: null, options })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain("'syslog-enabled'")
  })
})

const BAD_LINES: readonly string[] = [
  ...['port', 'port 1 2', 'port x', 'port 99999', 'nosuch 1', 'nosuch', 'appendonly maybe', 'maxmemory 1x'],
  ...['unixsocketperm 888', 'unixsocketperm 1000', 'save 1', 'save "900 1', 'save x y', 'appendfsync sometimes'],
  ...['maxmemory-clients 200%', 'dir /nonexistent/x', 'dir', 'include', 'include a b', 'rename-command a', 'user'],
  ...[
    'client-output-buffer-limit normal 1 2',
    'client-output-buffer-limit nobody 1 2 3',
    'bind 1 2 3 4 5 6 7 8 9 a b c d e f g h',
  ],
  ...['client-output-buffer-limit normal 1 2 x', 'notify-keyspace-events ?', 'oom-score-adj-values 1 2', 'replicaof a'],
  ...['oom-score-adj-values 1 2 9999', 'appendfilename a/b', 'appendfilename ""', 'appenddirname ""', 'dbfilename /x'],
  ...['maxclients 0', 'hz -1', 'list-max-ziplist-entries', 'a.b', 'sentinel a', 'shutdown-on-sigterm save nosave'],
  ...['latency-tracking-info-percentiles x', 'latency-tracking-info-percentiles 101', 'proc-title-template {x}'],
]

describe.skipIf(!hasReference)('errors beside the reference server', () => {
  test.each(BAD_LINES)('%s is refused with the same text', (content) => {
    const path = file('bad-line.conf', `hz 10\n${content}\n`)
    // A good configuration would start it; port 0 and the time limit end that.
    const run = spawnSync('/usr/bin/redis-server', [path, '--port', '0'], { timeout: 5000, encoding: 'latin1' })
    const theirs = run.stderr
      .replace(/\(Redis [0-9.]+\)/, '(Redis 7.2.4)')
      .split('\n')
      .slice(0, -1)
    expect(errorOf(`hz 10\n${content}\n`)).toEqual(theirs)
  })
})
