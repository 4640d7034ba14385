/** FUNCTION and FCALL in a whole server without sockets: effects, payloads, limits, statistics, rights. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Crc64 } from '../../../src/bytes/crc64.ts'
import { scriptRunner } from '../../../src/commands/scripting/script-runner.ts'
import { HELLO, LIST, LOAD, library, REPLACE, single } from './function-sources.ts'
import { LocalServer } from './local-server.ts'

describe('effects', () => {
  let local: LocalServer

  beforeEach(() => {
    local = new LocalServer()
  })

  test('what changes libraries is recorded as it came, also in a transaction', () => {
    local.command(...LOAD, HELLO)
    local.command(...REPLACE, HELLO)
    local.command('MULTI')
    local.command('FUNCTION', 'DELETE', 'hello')
    local.command(...LOAD, HELLO)
    local.command('EXEC')
    local.command('FUNCTION', 'FLUSH', 'ASYNC')
    expect(local.takeEffects()).toEqual([
      'SELECT 0',
      `FUNCTION LOAD ${HELLO}`,
      `FUNCTION LOAD REPLACE ${HELLO}`,
      'MULTI',
      'FUNCTION DELETE hello',
      `FUNCTION LOAD ${HELLO}`,
      'EXEC',
      'FUNCTION FLUSH ASYNC',
    ])
  })

  test('a payload that is restored is recorded', () => {
    local.command(...LOAD, HELLO)
    const payload = dumped(local)
    local.takeEffects()
    local.command('FUNCTION', 'RESTORE', payload, 'FLUSH')
    expect(local.takeEffects()).toEqual([`FUNCTION RESTORE ${payload} FLUSH`])
  })

  test('what is refused is not recorded', () => {
    local.command(...LOAD, HELLO)
    local.takeEffects()
    for (const words of [
      [...LOAD, HELLO],
      [...REPLACE, library('hello', 'nonsense')],
      ['FUNCTION', 'DELETE', 'nosuch'],
      ['FUNCTION', 'FLUSH', 'LATER'],
      ['FUNCTION', 'RESTORE', dumped(local)],
    ]) {
      expect(local.command(...words)).toMatch(/^-/)
    }
    expect(local.takeEffects()).toEqual([])
  })

  test('a function is recorded by its effects, in one transaction', () => {
    local.command(...LOAD, single('f', "redis.call('set', keys[1], 1) redis.call('incr', keys[1])"))
    local.takeEffects()
    local.command('FCALL', 'f', '1', 'a')
    expect(local.takeEffects()).toEqual(['MULTI', 'set a 1', 'incr a', 'EXEC'])
  })
})

/** The payload of FUNCTION DUMP. */
function dumped(local: LocalServer): string {
  const reply = local.command('FUNCTION', 'DUMP')
  return reply.slice(reply.indexOf('\n') + 1, -2)
}

describe('FUNCTION RESTORE', () => {
  const OTHER = single('other', 'return 2')
  let local: LocalServer
  let payload: string

  beforeEach(() => {
    local = new LocalServer()
    local.command(...LOAD, HELLO)
    local.command(...LOAD, single('long', `return '${'x'.repeat(1000)}'`))
    payload = dumped(local)
    local.command('FUNCTION', 'FLUSH')
  })

  const names = (): string[] => local.command(...LIST).match(/(?<=library_name\r\n\$\d+\r\n)\w+/g) ?? []

  test('long sources are compressed, unless rdbcompression says no', () => {
    expect(payload.length).toBeLessThan(400)
    const plain = new LocalServer()
    plain.command('CONFIG', 'SET', 'rdbcompression', 'no')
    plain.command(...LOAD, single('long', `return '${'x'.repeat(1000)}'`))
    expect(dumped(plain).length).toBeGreaterThan(1000)
    expect(local.command('FUNCTION', 'RESTORE', dumped(plain))).toBe('+OK\r\n')
    expect(local.command('FCALL', 'long', '0')).toBe(`$1000\r\n${'x'.repeat(1000)}\r\n`)
  })

  test('adds libraries to those that are there', () => {
    local.command(...LOAD, OTHER)
    expect(local.command('FUNCTION', 'RESTORE', payload)).toBe('+OK\r\n')
    expect(names()).toEqual(['other', 'hello', 'long'])
    expect(local.command('FCALL', 'hello', '0')).toBe('$5\r\nhello\r\n')
  })

  test('adds none when one of them is there', () => {
    local.command(...LOAD, single('long', 'return 1'))
    expect(local.command('FUNCTION', 'RESTORE', payload, 'APPEND')).toBe('-ERR Library long already exists\r\n')
    expect(names()).toEqual(['long'])
    expect(local.command('FCALL', 'long', '0')).toBe(':1\r\n')
  })

  test('REPLACE takes the place of libraries, unless others have a function of that name', () => {
    local.command(...LOAD, single('hello', 'return 1'))
    local.command(...LOAD, library('taken', "redis.register_function('LONG', function() return 3 end)"))
    expect(local.command('FUNCTION', 'RESTORE', payload, 'REPLACE')).toBe('-ERR Function long already exists\r\n')
    expect(local.command('FCALL', 'hello', '0')).toBe(':1\r\n')
    local.command('FUNCTION', 'DELETE', 'taken')
    expect(local.command('FUNCTION', 'RESTORE', payload, 'REPLACE')).toBe('+OK\r\n')
    expect(local.command('FCALL', 'hello', '0')).toBe('$5\r\nhello\r\n')
  })

  test('FLUSH removes what was there, but not when the payload is refused', () => {
    local.command(...LOAD, OTHER)
    const broken = new LocalServer()
    // A library that loads here and is refused where it is loaded together with its like.
    broken.command(...LOAD, HELLO)
    const twice = withFooter(dumped(broken).slice(0, -10).repeat(2))
    expect(local.command('FUNCTION', 'RESTORE', twice, 'FLUSH')).toBe("-ERR Library 'hello' already exists\r\n")
    expect(names()).toEqual(['other'])
    expect(local.command('FUNCTION', 'RESTORE', payload, 'FLUSH')).toBe('+OK\r\n')
    expect(names()).toEqual(['hello', 'long'])
  })

  test('a payload of no library restores nothing, and removes all with FLUSH', () => {
    local.command(...LOAD, OTHER)
    expect(local.command('FUNCTION', 'RESTORE', withFooter(''))).toBe('+OK\r\n')
    expect(names()).toEqual(['other'])
    expect(local.command('FUNCTION', 'RESTORE', withFooter(''), 'FLUSH')).toBe('+OK\r\n')
    expect(names()).toEqual([])
  })

  test.each([
    ['another type', '\0\x01a\x01b', 'given type is not a function'],
    ['a function of a release candidate', '\xf6\x01a', 'Pre-GA function format not supported'],
    ['a string that is cut off', '\xf5\x7f\xffabc', 'Failed loading library payload'],
    ['a string without a length', '\xf5', 'Failed loading library payload'],
    ['a string whose encoding is unknown', '\xf5\xff', 'Failed loading library payload'],
    ['a compressed string that is none', '\xf5\xc3\x03\x0a\xff\xff\xff', 'Failed loading library payload'],
    ['a source that is an integer', '\xf5\xc0\x05', 'Missing library metadata'],
    ['a source that does not load', '\xf5\x0a#!lua x=1\n', 'Invalid metadata value given: x=1'],
  ])('refuses %s', (_name, records, problem) => {
    local.command(...LOAD, OTHER)
    expect(local.command('FUNCTION', 'RESTORE', withFooter(records), 'FLUSH')).toBe(`-ERR ${problem}\r\n`)
    expect(names()).toEqual(['other'])
  })

  test('refuses a later version, and every change of a byte', () => {
    const wrong = '-ERR DUMP payload version or checksum are wrong\r\n'
    expect(local.command('FUNCTION', 'RESTORE', withFooter('', 13))).toBe(wrong)
    for (let i = 0; i < payload.length; i++) {
      const changed = `${payload.slice(0, i)}${String.fromCharCode(payload.charCodeAt(i) ^ 1)}${payload.slice(i + 1)}`
      expect(local.command('FUNCTION', 'RESTORE', changed)).toBe(wrong)
    }
  })
})

/** Records with the version and the checksum of a payload. */
function withFooter(records: string, version = 10): string {
  const bytes = Buffer.from(`${records}${String.fromCharCode(version)}\0`, 'latin1')
  const footer = Buffer.alloc(8)
  const crc = new Crc64()
  crc.update(bytes, 0, bytes.length)
  crc.writeTo(footer, 0)
  return Buffer.concat([bytes, footer]).toString('latin1')
}

describe('limits', () => {
  let local: LocalServer

  beforeEach(() => {
    local = new LocalServer()
  })

  test('a library that takes too long to load is refused', () => {
    expect(local.command(...LOAD, library('slow', 'while true do end'))).toBe(
      '-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n',
    )
    expect(local.command(...LIST)).toBe('*0\r\n')
  })

  test('a library that recurses without end is refused', () => {
    expect(local.command(...LOAD, library('deep', 'local function f() return f() + 1 end f()'))).toMatch(
      /^-ERR Error registering functions: .*stack overflow\r\n$/,
    )
  })

  test('depth that errors leave behind does not add up over calls', () => {
    local.command(
      ...LOAD,
      single(
        'f',
        `local function f(n) if n == 0 then error('deep') end return 1 + f(n - 1) end
         return f(tonumber(args[1]))`,
      ),
    )
    for (let i = 0; i < 100; i++)
      expect(local.command('FCALL', 'f', '0', '1000')).toMatch(/^-ERR user_function:3: deep/)
  })

  test('nor does depth in functions that a library has compiled and kept', () => {
    const body = `local kept = nil
      redis.register_function('f', function()
        kept = kept or loadstring("local function f(n) if n == 0 then error('deep') end return 1 + f(n - 1) end return f")()
        return kept(1000)
      end)`
    local.command(...LOAD, library('lib', body))
    for (let i = 0; i < 100; i++) expect(local.command('FCALL', 'f', '0')).toMatch(/^-ERR \[string .*deep script: f/)
  })

  test('a function that recurses without end fails, and the next call does not', () => {
    local.command(
      ...LOAD,
      single('f', 'local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(args[1] + 0)'),
    )
    expect(local.command('FCALL', 'f', '0', '-1')).toMatch(/^-ERR user_function:3: stack overflow/)
    expect(local.command('FCALL', 'f', '0', '1000')).toBe(':1000\r\n')
  })
})

describe('redis.log', () => {
  test('writes once what a library logs while it is loaded, and each time what a function logs', () => {
    const local = new LocalServer()
    const lines: string[] = []
    scriptRunner(local.server.ctx).services.log = (level, text) => lines.push(`${level} ${text}`)
    const body = `local function say(text) redis.log(redis.LOG_NOTICE, text, 1) end
      redis.log(redis.LOG_WARNING, 'main')
      say('helper')
      redis.register_function('f', function() say('call') end)`
    local.command(...LOAD, library('lib', body))
    expect(lines.splice(0)).toEqual(['3 main', '2 helper 1'])
    local.command('FCALL', 'f', '0')
    local.command('FCALL', 'f', '0')
    expect(lines.splice(0)).toEqual(['2 call 1', '2 call 1'])
    local.command(...LOAD, library('broken', "redis.log(redis.LOG_DEBUG, 'said') nonsense()"))
    expect(lines).toEqual(['0 said'])
  })
})

describe('statistics', () => {
  test('count libraries, functions and their bytes', () => {
    const local = new LocalServer()
    local.command(...LOAD, library('two', "for i = 1, 2 do redis.register_function('f' .. i, function() end) end"))
    local.command(...LOAD, HELLO)
    const info = local.command('INFO', 'memory')
    expect(info).toContain('number_of_functions:3\r\n')
    expect(info).toContain('number_of_libraries:2\r\n')
    expect(info).not.toContain('used_memory_functions:0\r\n')
    local.command('FUNCTION', 'FLUSH')
    expect(local.command('INFO', 'memory')).toContain('used_memory_functions:0\r\n')
  })

  test('a function that fails counts as a failed call', () => {
    const local = new LocalServer()
    local.command(...LOAD, single('f', "error('x')"))
    local.command('FCALL', 'f', '0')
    expect(local.server.registry.byFullName('fcall')?.failedCalls).toBe(1)
    expect(Object.fromEntries(local.server.errors.counts)).toEqual({ ERR: 1 })
  })
})

describe('rights', () => {
  test('functions need @scripting, and what they call is checked as the user', () => {
    const local = new LocalServer()
    local.command(...LOAD, single('f', "return redis.call('get', keys[1])"))
    local.command('ACL', 'SETUSER', 'u', 'on', 'nopass', '~a', '+@all', '-get')
    expect(local.command('ACL', 'DRYRUN', 'u', 'FCALL', 'f', '1', 'b')).toMatch(/permissions to access the 'b' key/)
    expect(local.command('ACL', 'DRYRUN', 'u', 'FCALL', 'f', '1', 'a')).toBe('+OK\r\n')
    local.command('AUTH', 'u', '')
    expect(local.command('FCALL', 'f', '1', 'a')).toMatch(/^-ERR The user executing the script can't run this command/)
    local.command('AUTH', 'default', '')
    local.command('ACL', 'SETUSER', 'u', '-@scripting')
    expect(local.command('ACL', 'DRYRUN', 'u', 'FUNCTION', 'LIST')).toMatch(/permissions to run the 'function\|list'/)
  })
})
