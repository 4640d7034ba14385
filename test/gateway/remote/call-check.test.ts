/** What the users of a gateway may send to a remote server. */
import { describe, expect, test } from 'vitest'
import { Users } from '../../../src/access/users.ts'
import { commandFamilies } from '../../../src/commands/index.ts'
import { Registry } from '../../../src/commands/registry.ts'
import { CommandError } from '../../../src/gateway/engine.ts'
import { CallChecker, type CheckedCall, Routing } from '../../../src/gateway/remote/call-check.ts'
import { keySlot } from '../../../src/gateway/remote/key-slot.ts'

const registry = new Registry(commandFamilies)
const users = new Users(registry, '7.2')
const denied: string[] = []
const checker = new CallChecker(registry, Routing.BySlot, (user, { object }) => denied.push(`${user.name} ${object}`))
// All commands, but keys of one kind only: everything that hides its keys must be out of reach.
const ann = users.set('ann', ['on', 'nopass', '+@all', '~app:*', '%R~shared:*', '&news'])
const reader = users.set('reader', ['on', 'nopass', '+@all', '~*', '&*']).asReadOnly()

function check(user: typeof ann, ...words: readonly string[]): CheckedCall | CommandError {
  return checker.check(user, words)
}

function errorOf(user: typeof ann, ...words: readonly string[]): string {
  const outcome = check(user, ...words)
  return outcome instanceof CommandError ? outcome.message : 'allowed'
}

describe('a user with limited keys', () => {
  test('reaches its own keys', () => {
    expect(errorOf(ann, 'SET', 'app:1', 'v')).toBe('allowed')
    expect(errorOf(ann, 'GET', 'shared:1')).toBe('allowed')
    expect(errorOf(ann, 'PUBLISH', 'news', 'x')).toBe('allowed')
    expect(errorOf(ann, 'SORT', 'app:l', 'BY', 'nosort', 'LIMIT', '0', '1')).toBe('allowed')
  })

  test.each([
    [['GET', 'other'], 'NOPERM No permissions to access a key'],
    [['SET', 'shared:1', 'v'], 'NOPERM No permissions to access a key'],
    [['MSET', 'app:1', 'v', 'other', 'v'], 'NOPERM No permissions to access a key'],
    [['COPY', 'app:1', 'other'], 'NOPERM No permissions to access a key'],
    [['PUBLISH', 'other', 'x'], 'NOPERM No permissions to access a channel'],
    [['SORT', 'app:l', 'BY', 'w_*'], 'ERR BY option of SORT denied due to insufficient ACL permissions.'],
    [['SORT_RO', 'app:l', 'GET', '#'], 'ERR GET option of SORT denied due to insufficient ACL permissions.'],
    [['SORT', 'app:l', 'STORE', 'other'], 'NOPERM No permissions to access a key'],
    [['LMPOP', 'x', 'other', 'LEFT'], 'ERR Invalid arguments specified for command'],
    [['ZUNION', '9', 'other'], 'ERR Invalid arguments specified for command'],
    [['GET'], "ERR wrong number of arguments for 'get' command"],
    [['EVAL', 'return 1', '0'], "NOPERM User ann has no permissions to run the 'eval' command"],
    [['EVALSHA_RO', 'x', '0'], "NOPERM User ann has no permissions to run the 'evalsha_ro' command"],
    [['SCRIPT', 'LOAD', 'return 1'], "NOPERM User ann has no permissions to run the 'script|load' command"],
    [['CONFIG', 'GET', '*'], "NOPERM User ann has no permissions to run the 'config|get' command"],
    [['DEBUG', 'SLEEP', '1'], "NOPERM User ann has no permissions to run the 'debug' command"],
    [['SHUTDOWN'], "NOPERM User ann has no permissions to run the 'shutdown' command"],
  ])('is refused %j', (words, text) => {
    expect(errorOf(ann, ...words)).toBe(text)
  })

  test.each([
    'fcall',
    'function',
    'module',
    'cluster',
    'failover',
    'json.get',
    'newer',
  ])('is refused %s, whatever follows', (name) => {
    expect(errorOf(ann, name.toUpperCase(), 'app:1', 'x', 'y')).toBe(
      `NOPERM User ann has no permissions to run the '${name}' command`,
    )
  })
})

test('what a user is not allowed is noted, other errors are not', () => {
  denied.length = 0
  for (const words of [['GET', 'other'], ['GET'], ['SELECT', '1'], ['EVAL', 'x', '0'], ['GET', 'app:1']])
    check(ann, ...words)
  expect(denied).toEqual(['ann other', 'ann eval'])
})

test('a read-only user runs neither writes nor what nobody here knows', () => {
  expect(errorOf(reader, 'GET', 'k')).toBe('allowed')
  expect(errorOf(reader, 'SET', 'k', 'v')).toBe("NOPERM User reader has no permissions to run the 'set' command")
  expect(errorOf(reader, 'JSON.GET', 'k')).toBe("NOPERM User reader has no permissions to run the 'json.get' command")
})

describe('an unrestricted user', () => {
  test('may run everything but what acts on a connection', () => {
    for (const words of [['EVAL', 'x', '0'], ['JSON.GET', 'k'], ['CONFIG', 'GET', '*'], ['GET']])
      expect(errorOf(users.default, ...words)).toBe('allowed')
    for (const words of [
      ['SELECT', '1'],
      ['multi'],
      ['Subscribe', 'c'],
      ['CLIENT', 'TRACKING', 'ON'],
      ['PSYNC', '?', '-1'],
      ['ASKING'],
    ])
      expect(errorOf(users.default, ...words)).toContain('acts on a connection')
  })
})

describe('a checked call', () => {
  test('knows its slot, whether it only reads, and whether it waits', () => {
    const slot = (key: string): number => keySlot(Buffer.from(key))
    const all = users.default
    expect(check(all, 'GET', 'a')).toMatchObject({ slot: slot('a'), isReadOnly: true, isBlocking: false })
    expect(check(all, 'BLPOP', 'a', '0')).toMatchObject({ slot: slot('a'), isReadOnly: false, isBlocking: true })
    expect(check(all, 'XREAD', 'STREAMS', 'a', '0')).toMatchObject({ slot: slot('a'), isBlocking: false })
    expect(check(all, 'XREAD', 'block', '5', 'STREAMS', 'a', '0')).toMatchObject({ slot: slot('a'), isBlocking: true })
    expect(check(all, 'EVAL', 'x', '1', 'a')).toMatchObject({ slot: slot('a') })
    expect(check(all, 'PING')).toMatchObject({ slot: null })
    expect(check(all, 'JSON.GET', 'a')).toMatchObject({ slot: null, command: null })
  })

  test('needs words that are arguments', () => {
    expect(() => checker.check(users.default, [])).toThrow(TypeError)
  })
})
