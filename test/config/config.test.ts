/** Typed access to settings, and CONFIG SET with its listeners. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Config, configFromOptions } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'

const CLIENT = { isLocalClient: true, isLoading: false }

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'config-'))
  writeFileSync(join(directory, 'file'), '')
})
afterAll(() => rmSync(directory, { recursive: true }))

describe('typed access', () => {
  test('values have the type of their directive', () => {
    const config = configFromOptions({ port: 0, appendonly: false, bind: '127.0.0.1 ::1', appendfsync: 'always' })
    expect(config.number('port')).toBe(0)
    expect(config.bool('appendonly')).toBe(false)
    expect(config.list('bind')).toEqual(['127.0.0.1', '::1'])
    const policy: 'everysec' | 'always' | 'no' = config.text('appendfsync')
    expect(policy).toBe('always')
    expect(config.value('save')).toContainEqual({ seconds: 300, changes: 100 })
    // @ts-expect-error A name that is no directive does not compile.
    expect(config.number('prot')).toBeUndefined()
    // @ts-expect-error Nor does one of another kind.
    config.bool('port')
  })

  test('a wrong option throws with the text of the line', () => {
    expect(() => configFromOptions({ port: 'x' })).toThrow(/port x'\nargument couldn't be parsed into an integer$/)
    expect(() => configFromOptions({ port: 'x' })).toThrow(ConfigError)
  })

  test('texts with bytes beyond ASCII are byte strings', () => {
    expect(configFromOptions({ requirepass: 'é' }).text('requirepass')).toBe('\xc3\xa9')
  })
})

describe('CONFIG SET', () => {
  test('sets all pairs or none', () => {
    const config = new Config(null)
    const pairs = [
      ['timeout', '7'],
      ['save', '1 1'],
      ['hz', 'x'],
    ] as const
    expect(config.set(pairs, CLIENT)).toMatch(/related to argument 'hz'/)
    expect(config.number('timeout')).toBe(0)
    expect(config.value('save')).toHaveLength(3)
  })

  test('listeners hear the new and the previous value, once, and only if it changed', () => {
    const config = new Config(null)
    const heard: unknown[] = []
    config.onChange('timeout', (value, previous) => {
      heard.push([value, previous])
      return null
    })
    config.set([['timeout', '5']], CLIENT)
    config.set([['timeout', '5']], CLIENT)
    config.set([['notify-keyspace-events', 'A']], CLIENT)
    expect(heard).toEqual([[5, 0]])
  })

  test('a change of notify-keyspace-events that its text does not show is heard', () => {
    const config = configFromOptions({ 'notify-keyspace-events': 'A' })
    let bits = 0
    config.onChange('notify-keyspace-events', (value) => {
      bits = value
      return null
    })
    config.set([['notify-keyspace-events', 'An']], CLIENT)
    expect(bits & (1 << 14)).not.toBe(0)
  })

  test('a listener that refuses undoes everything and tells those that had accepted', () => {
    const config = new Config(null)
    const heard: string[] = []
    config.onChange('timeout', (value, previous) => {
      heard.push(`${previous} to ${value}`)
      return null
    })
    config.onChange('port', (value) => (value === 1 ? 'Unable to listen on this port. Check server logs.' : null))
    const reply = config.set(
      [
        ['timeout', '5'],
        ['Port', '1'],
      ],
      CLIENT,
    )
    expect(reply).toBe(
      "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.",
    )
    expect([config.number('timeout'), config.number('port')]).toEqual([0, 6379])
    expect(heard).toEqual(['0 to 5', '5 to 0'])
  })

  test('a listener that fails again while being restored is a warning', () => {
    const config = new Config(null)
    const warnings: string[] = []
    config.onWarning((text) => warnings.push(text))
    config.onChange('port', () => 'no')
    config.set([['port', '1']], CLIENT)
    expect(warnings).toEqual(["Cannot restore 'port' after a failed CONFIG SET: no"])
  })

  test('protected directives follow enable-protected-configs', () => {
    const remote = { isLocalClient: false, isLoading: false }
    const refused = "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"
    const pairs: [string, string][] = [['dir', directory]]
    expect(new Config(null).set(pairs, CLIENT)).toBe(refused)
    expect(configFromOptions({ 'enable-protected-configs': 'local' }).set(pairs, remote)).toBe(refused)
    expect(configFromOptions({ 'enable-protected-configs': 'local' }).set(pairs, CLIENT)).toBeNull()
    expect(configFromOptions({ 'enable-protected-configs': 'yes' }).set(pairs, remote)).toBeNull()
  })

  test('some directives cannot be set while loading', () => {
    const loading = { isLocalClient: true, isLoading: true }
    const config = new Config(null)
    expect(config.set([['appendonly', 'no']], loading)).toBe('LOADING Redis is loading the dataset in memory')
    expect(config.set([['timeout', '1']], loading)).toBeNull()
  })

  test('a setting without effect yet is accepted with a warning', () => {
    const config = new Config(null)
    const warnings: string[] = []
    config.onWarning((text) => warnings.push(text))
    expect(config.set([['watchdog-period', '100']], CLIENT)).toBeNull()
    expect(config.set([['save', '']], CLIENT)).toBeNull()
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain("'watchdog-period'")
  })
})

describe('CONFIG SET dir', () => {
  const set = (value: string): string => {
    const config = configFromOptions({ 'enable-protected-configs': 'yes', dir: directory })
    const reply = config.set([['dir', value]], CLIENT)
    return reply === null ? config.directory : reply.replace(/.* - /, '')
  }

  test('a relative path counts from the directory before', () => {
    expect(set('..')).toBe(join(directory, '..'))
  })

  test('what is no directory is refused', () => {
    expect(set('nosuch')).toBe('No such file or directory')
    expect(set('file')).toBe('Not a directory')
    expect(set('')).toBe('No such file or directory')
  })
})

describe('CONFIG GET', () => {
  test('hidden directives need their exact name', () => {
    const config = new Config(null)
    expect(config.get(['watchdog-period'])).toEqual([['watchdog-period', '0']])
    expect(config.get(['watchdog*'])).toEqual([])
  })

  test('secrets are shown, and known to be secret', () => {
    const config = configFromOptions({ requirepass: 'secret' })
    expect(config.get(['requirepass'])).toEqual([['requirepass', 'secret']])
    expect(config.isSensitive('RequirePass')).toBe(true)
    expect(config.isSensitive('port')).toBe(false)
  })

  test('dir is absolute', () => {
    expect(new Config(null).get(['dir'])[0]?.[1]).toBe(join(process.cwd(), 'data'))
  })
})
