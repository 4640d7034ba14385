/** Arguments of the process. */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseCommandLine } from '../../src/config/command-line.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/redis-conf.ts'
import { hasReference } from '../bytes/reference-server.ts'

describe('parseCommandLine', () => {
  test.each<[string[], string]>([
    [[], ''],
    [['--port', '6380'], 'port "6380" '],
    [['--port 6380'], 'port 6380 '],
    [['--port', '6380', '--hz', '5'], 'port "6380" \nhz "5" '],
    [['--save', '900', '1', '300', '10'], 'save "900" "1" "300" "10" '],
    [['--save', ''], 'save "" '],
    [['--save'], 'save ""'],
    [['--save', '--port', '1'], 'save ""\nport "1" '],
    [['--requirepass', '--secret'], 'requirepass "--secret" '],
    [['--port', '--hz', '5'], 'port "--hz" "5" '],
    [['--requirepass', 'a"b'], 'requirepass "a\\"b" '],
    [['--requirepass', 'é'], 'requirepass "\\xc3\\xa9" '],
    [['--port', '1', '-', '--hz', '5'], 'port "1" "-" \nhz "5" '],
  ])('%j becomes %j', (argv, options) => {
    expect(parseCommandLine(argv)).toEqual({ action: 'run', configFile: null, readsStdin: false, options })
  })

  test('a first word without dash is the file, a single dash at either end is stdin', () => {
    expect(parseCommandLine(['/etc/x.conf', '--port', '1', '-'])).toEqual({
      action: 'run',
      configFile: '/etc/x.conf',
      readsStdin: true,
      options: 'port "1" ',
    })
    expect(parseCommandLine(['-', '--port', '1'])).toMatchObject({ readsStdin: true, options: 'port "1" ' })
  })

  test('a first word that names a tool is the tool; elsewhere, and with a path, it is not', () => {
    expect(parseCommandLine(['check-aof', '--fix', 'x'])).toEqual({
      action: 'tool',
      name: 'check-aof',
      args: ['--fix', 'x'],
    })
    expect(parseCommandLine(['report'])).toEqual({ action: 'tool', name: 'report', args: [] })
    expect(parseCommandLine(['./report'])).toMatchObject({ action: 'run', configFile: resolve('report') })
    expect(parseCommandLine(['x.conf', 'check-rdb'])).toMatchObject({ action: 'run', configFile: resolve('x.conf') })
  })

  test('version, help and what cannot be run', () => {
    expect(parseCommandLine(['-v'])).toEqual({ action: 'version' })
    expect(parseCommandLine(['--version'])).toEqual({ action: 'version' })
    expect(parseCommandLine(['-h'])).toEqual({ action: 'help' })
    expect(parseCommandLine(['--help'])).toEqual({ action: 'help' })
    expect(parseCommandLine(['--test-memory', '1']).action).toBe('refuse')
    expect(parseCommandLine(['x.conf', '--sentinel']).action).toBe('refuse')
  })
})

describe.skipIf(!hasReference)('command lines beside the reference server', () => {
  test.each<[string[]]>([
    [['--port', 'x']],
    [['--port x']],
    [['--port', '0', '--hz', '--timeout', '5']],
    [['--port', '0', '--save', '--hz', 'x']],
    [['--port', '0', '--requirepass', 'a"b\xe9', '--nosuch', "it's"]],
    [['--port', '0', 'a', '--hz', '1']],
    [['--"port', '0']],
    [['--port', '0', '-', '--hz', '1']],
    [['--port', '0', '--hz', '']],
    [['word\n']],
  ])('%j fails with the same text', (argv) => {
    const run = spawnSync('/usr/bin/redis-server', argv, { timeout: 5000, encoding: 'latin1', input: '' })
    const theirs = run.stderr
      .replace(/\(Redis [0-9.]+\)/, '(Redis 7.2.4)')
      .split('\n')
      .slice(0, -1)
    const line = parseCommandLine(argv)
    let ours: readonly string[] = []
    try {
      if (line.action === 'run') loadConfig({ ...line, stdin: '' })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      ours = error.lines
    }
    // The reference server logs a file that it cannot open to stdout.
    if (theirs.length > 0) expect(ours).toEqual(theirs)
    else expect(run.stdout).toContain(ours[0])
  })
})
