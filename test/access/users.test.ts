import { expect, test, vi } from 'vitest'
import { describeUser, RuleError } from '../../src/access/rules.ts'
import { KeyAccess, readOnlyUser, type User } from '../../src/access/user.ts'
import { UserChange, Users } from '../../src/access/users.ts'
import { authorize } from '../../src/commands/acl/authorize.ts'
import { commandFamilies } from '../../src/commands/index.ts'
import { Registry } from '../../src/commands/registry.ts'
import { ArgsBuilder } from '../../src/resp/args.ts'

const registry = new Registry(commandFamilies)

function usersWith(rules: Readonly<Record<string, string>>): Users {
  const users = new Users(registry, '7.2')
  for (const [name, text] of Object.entries(rules)) users.set(name, text.split(' '))
  return users
}

/** Whether a user may make a call. */
function may(user: User, call: string): boolean {
  const builder = new ArgsBuilder()
  for (const word of call.split(' ')) builder.text(word)
  const command = registry.find(builder.args)!
  const sub = command.subcommands?.get(builder.args.text(1)) ?? command
  return authorize(user, sub, builder.args) === null
}

test('the default user may do everything until its rules change', () => {
  const users = new Users(registry, '7.2')
  expect(users.default).toMatchObject({ isUnrestricted: true, isEnabled: true, needsNoPassword: true })
  users.set('default', ['-debug'])
  expect(users.default.isUnrestricted).toBe(false)
  users.set('default', ['+debug'])
  expect(users.default.isUnrestricted).toBe(false)
  users.set('default', ['+@all'])
  expect(users.default.isUnrestricted).toBe(true)
  users.set('default', ['resetkeys'])
  expect(users.default.isUnrestricted).toBe(false)
})

test('passwords are checked, any will do with nopass, and nobody logs in as a user that is off', () => {
  const users = usersWith({ ann: 'on >one >two', bob: 'on nopass', cid: 'off >one' })
  expect(users.authenticate('ann', 'two')).toBe(users.find('ann'))
  expect(users.authenticate('ann', 'three')).toBeNull()
  expect(users.authenticate('bob', '')).toBe(users.find('bob'))
  expect(users.authenticate('cid', 'one')).toBeNull()
  expect(users.authenticate('dora', 'one')).toBeNull()
  users.set('ann', ['<two'])
  expect(users.authenticate('ann', 'two')).toBeNull()
})

test('a wrong rule changes nothing', () => {
  const users = usersWith({ ann: 'on >one +get ~a*' })
  expect(() => users.set('ann', ['off', '~b*', 'nonsense'])).toThrow(
    new RuleError("Error in ACL SETUSER modifier 'nonsense': Syntax error"),
  )
  expect(users.find('ann')!.isEnabled).toBe(true)
  expect(users.find('ann')!.mayReadKey('b1')).toBe(false)
  expect(() => users.set('new', ['+nosuch'])).toThrow(RuleError)
  expect(users.find('new')).toBeNull()
})

test('keys and channels are allowed by any selector', () => {
  const users = usersWith({ ann: '%R~r* ~both &news:* (%W~w* &logs)' })
  const ann = users.find('ann')!
  expect(['r1', 'w1', 'both', 'x'].map((key) => ann.mayReadKey(key))).toEqual([true, false, true, false])
  expect(['r1', 'w1', 'both', 'x'].map((key) => ann.mayWriteKey(key))).toEqual([false, true, true, false])
  expect(['news:1', 'logs', 'other'].map((channel) => ann.mayUseChannel(channel))).toEqual([true, true, false])
  expect(['news:*', 'news:a*', 'logs'].map((pattern) => ann.mayUsePattern(pattern))).toEqual([true, false, true])
})

test('a prefix is covered only by a plain pattern that ends with a star', () => {
  const { ReadWrite, Read, Write } = KeyAccess
  const ann = usersWith({ ann: '~app:* %R~log:1* ~a?c* ~x[12]* ~*z* ~exact' }).find('ann')!
  expect(ann.coversPrefix('app:', ReadWrite)).toBe(true)
  expect(ann.coversPrefix('app:users:', ReadWrite)).toBe(true)
  expect(ann.coversPrefix('app', ReadWrite)).toBe(false)
  expect(ann.coversPrefix('log:12', Read)).toBe(true)
  expect(ann.coversPrefix('log:12', Write)).toBe(false)
  for (const prefix of ['abc', 'x1', 'z', 'exact', '']) expect(ann.coversPrefix(prefix, Read), prefix).toBe(false)
  expect(usersWith({ ann: 'allkeys' }).find('ann')!.coversPrefix('', ReadWrite)).toBe(true)
  expect(usersWith({ ann: '~*' }).find('ann')!.coversPrefix('', ReadWrite)).toBe(true)
})

test('a read-only view may read what the user may, and follows it', () => {
  const users = usersWith({ ann: 'on nopass +@all ~a* &ch' })
  const view = readOnlyUser(users.find('ann')!)
  expect(readOnlyUser(users.find('ann')!)).toBe(view)
  expect(view.mayReadKey('a1')).toBe(true)
  expect(view.mayWriteKey('a1')).toBe(false)
  expect(view.coversPrefix('a1', KeyAccess.ReadWrite)).toBe(false)
  users.set('ann', ['~b*', '-hget'])
  expect(view.mayReadKey('b1')).toBe(true)
  expect(may(view, 'hget a f')).toBe(false)
  users.set('ann', ['off'])
  expect(view.isEnabled).toBe(false)
  users.set('ann', ['on', '+@all', 'allkeys', 'allchannels'])
  expect(users.find('ann')!.isUnrestricted).toBe(true)
  expect(view).toMatchObject({ isEnabled: true, isUnrestricted: false })
  users.delete('ann')
  expect(view.isEnabled).toBe(false)
})

test.each([
  ...['get a', 'mget a b', 'hgetall a', 'xread streams a 0', 'zrange a 0 -1', 'subscribe ch', 'ping', 'multi', 'exec'],
  ...['type a', 'ttl a', 'client id', 'command count', 'object encoding a'],
])('a read-only view of a user who may do everything may %s', (call) => {
  expect(may(readOnlyUser(new Users(registry, '7.2').default), call)).toBe(true)
})

test.each([
  ...['set a 1', 'del a', 'getdel a', 'getex a', 'xreadgroup group g c streams a >', 'publish ch m', 'spublish ch m'],
  ...['eval x 0', 'eval_ro x 0', 'evalsha x 0', 'evalsha_ro x 0', 'script load x', 'keys *', 'scan 0', 'sort a'],
  ...['sort_ro a', 'flushall', 'config get *', 'debug sleep 0', 'acl list', 'acl resttoken a b', 'client list'],
  ...['monitor', 'info', 'shutdown', 'auth a b', 'hello 3', 'reset'],
])('a read-only view of a user who may do everything may not %s', (call) => {
  const { default: user } = new Users(registry, '7.2')
  expect(may(user, call)).toBe(true)
  expect(may(readOnlyUser(user), call)).toBe(false)
})

test('listeners are told of each change until they end it', () => {
  const users = new Users(registry, '7.2')
  const listener = vi.fn()
  const end = users.onChange(listener)
  const ann = users.set('ann', ['on'])
  users.delete('ann')
  expect(users.delete('ann')).toBe(false)
  expect(users.delete('default')).toBe(false)
  expect(listener.mock.calls).toEqual([
    [ann, UserChange.Changed],
    [ann, UserChange.Deleted],
  ])
  expect(ann.isEnabled).toBe(false)
  end()
  users.set('bob', [])
  expect(listener).toHaveBeenCalledTimes(2)
})

test('rules name commands as they were before they were renamed', () => {
  const renaming = new Registry(commandFamilies)
  expect(renaming.rename('get', 'fetch')).toBeNull()
  expect(renaming.rename('config', 'settings')).toBeNull()
  const users = new Users(renaming, '7.2')
  const ann = users.set('ann', ['+get', '+config|get', 'allkeys'])
  const builder = new ArgsBuilder()
  for (const word of ['fetch', 'k']) builder.text(word)
  expect(authorize(ann, renaming.find(builder.args)!, builder.args)).toBeNull()
  expect(authorize(ann, renaming.byFullName('settings|get')!, builder.args)).toBeNull()
  expect(authorize(ann, renaming.byFullName('settings|set')!, builder.args)?.text).toBe(
    "NOPERM User ann has no permissions to run the 'config|set' command",
  )
  expect(() => users.set('ann', ['+fetch'])).toThrow(RuleError)
})

test('rules may name commands of Redis that are not there yet', () => {
  const absent = ['-sentinel', '+cluster|slots', '-module', '+memory|doctor']
  const known = absent.filter((rule) => registry.original(rule.slice(1)) === null)
  const users = usersWith({ ann: `+@all ${absent.join(' ')}` })
  expect(describeUser(users.find('ann')!)).toBe(`off sanitize-payload resetchannels +@all ${absent.join(' ')}`)
  expect(known.length).toBeGreaterThan(0)
  expect(may(users.find('ann')!, 'ping')).toBe(true)
  expect(() => users.set('ann', ['-cluster|nosuch'])).toThrow('Unknown command')
  expect(() => users.set('ann', ['+cluster|slots|x'])).toThrow('Allowing first-arg of a subcommand is not supported')
  expect(() => users.set('ann', ['-nosuch'])).toThrow('Unknown command')
})
