/** What users may do, on the wire: commands, keys, channels, transactions, scripts, blocked clients, connections. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

const OK = { status: 'OK' }
const QUEUED = { status: 'QUEUED' }
const NO_KEY = { error: 'NOPERM this user has no permissions to access one of the keys used as arguments' }
const NO_CHANNEL = { error: 'NOPERM this user has no permissions to access one of the channels used as arguments' }
const NO_AUTH = { error: 'NOAUTH Authentication required.' }
const EXEC_CHANGED =
  'NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: '

let clock: TestClock
let broker: TestBroker
let admin: RespClient
let ann: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  admin = await broker.connect()
  ann = await broker.connect()
  expect(
    await admin.call('ACL', 'SETUSER', 'ann', 'on', '>pw', '+@all', '-@dangerous', '~a*', '%R~r*', '&ch*'),
  ).toEqual(OK)
  expect(await ann.call('AUTH', 'ann', 'pw')).toEqual(OK)
})

afterEach(() => broker.stop())

function noCommand(name: string): Reply {
  return { error: `NOPERM this user has no permissions to run the '${name}' command` }
}

/** The newest entry of ACL LOG, without what depends on the connection. */
async function lastEntry(): Promise<Record<string, Reply>> {
  const entries = (await admin.call('ACL', 'LOG', '1')) as Reply[][]
  const pairs = entries[0] ?? []
  const names = ['count', 'reason', 'context', 'object', 'username']
  return Object.fromEntries(names.map((name) => [name, pairs[pairs.indexOf(name) + 1]!]))
}

test('a command, a key and a channel are refused in their own words, and logged', async () => {
  expect(await ann.call('FLUSHALL')).toEqual(noCommand('flushall'))
  expect(await lastEntry()).toEqual({
    count: 1,
    reason: 'command',
    context: 'toplevel',
    object: 'flushall',
    username: 'ann',
  })
  expect(await ann.call('CONFIG', 'GET', 'port')).toEqual(noCommand('config|get'))
  expect(await ann.call('SET', 'b', '1')).toEqual(NO_KEY)
  expect(await lastEntry()).toMatchObject({ reason: 'key', object: 'b' })
  expect(await ann.call('PUBLISH', 'other', 'm')).toEqual(NO_CHANNEL)
  expect(await lastEntry()).toMatchObject({ reason: 'channel', object: 'other' })
  expect(await ann.call('SET', 'a', '1')).toEqual(OK)
  expect(await ann.call('GET', 'r')).toBeNull()
  expect(await ann.call('SET', 'r', '1')).toEqual(NO_KEY)
  expect(await ann.call('MSET', 'a', '1', 'b', '2')).toEqual(NO_KEY)
  expect(await admin.call('EXISTS', 'b')).toBe(0)
})

test('the arity is looked at before the rights, and the login before both', async () => {
  expect(await ann.call('SWAPDB', '0')).toEqual({ error: "ERR wrong number of arguments for 'swapdb' command" })
  expect(await ann.call('SWAPDB', '0', '1')).toEqual(noCommand('swapdb'))
  expect(await ann.call('SET', 'b')).toEqual({ error: "ERR wrong number of arguments for 'set' command" })
  await admin.call('ACL', 'SETUSER', 'default', '>needed')
  const fresh = await broker.connect()
  expect(await fresh.call('SET', 'b', '1')).toEqual(NO_AUTH)
  expect(await fresh.call('SET', 'b')).toEqual({ error: "ERR wrong number of arguments for 'set' command" })
})

test('refusals are counted by their reason', async () => {
  await ann.pipeline([['FLUSHALL'], ['GET', 'b'], ['GET', 'c'], ['PUBLISH', 'x', 'm'], ['AUTH', 'ann', 'wrong']])
  const info = String(await admin.call('INFO', 'stats'))
  expect(info).toContain('acl_access_denied_auth:1\r\nacl_access_denied_cmd:1\r\nacl_access_denied_key:2\r\n')
  expect(info).toContain('acl_access_denied_channel:1\r\n')
  expect(String(await admin.call('INFO', 'commandstats'))).toMatch(/cmdstat_flushall:calls=0,.*rejected_calls=1/)
  expect(String(await admin.call('INFO', 'errorstats'))).toContain('errorstat_NOPERM:count=4')
})

test('a wrong login is logged under the name that was tried', async () => {
  expect(await ann.call('AUTH', 'nobody', 'x')).toEqual({
    error: 'WRONGPASS invalid username-password pair or user is disabled.',
  })
  expect(await lastEntry()).toMatchObject({ reason: 'auth', object: 'AUTH', username: 'nobody' })
  expect(await ann.call('ACL', 'WHOAMI')).toBe('ann')
})

describe('a transaction', () => {
  test('is aborted by a command that is refused while it is queued', async () => {
    expect(await ann.pipeline([['MULTI'], ['SET', 'a', '1'], ['SET', 'b', '1'], ['EXEC']])).toEqual([
      OK,
      QUEUED,
      NO_KEY,
      { error: 'EXECABORT Transaction discarded because of previous errors.' },
    ])
    expect(await lastEntry()).toMatchObject({ context: 'multi', object: 'b' })
  })

  test('is checked again when it runs', async () => {
    await ann.pipeline([['MULTI'], ['SET', 'a', '1'], ['GET', 'r'], ['PUBLISH', 'ch', 'm'], ['HGET', 'a', 'f']])
    await admin.call('ACL', 'SETUSER', 'ann', 'resetkeys', 'resetchannels', '~a*', '-hget')
    expect(await ann.call('EXEC')).toEqual([
      OK,
      { error: `${EXEC_CHANGED}no permission to touch the specified keys` },
      { error: `${EXEC_CHANGED}no permission to access one of the channels used as arguments` },
      { error: `${EXEC_CHANGED}no permission to execute the command or subcommand` },
    ])
    expect(await lastEntry()).toMatchObject({ reason: 'command', context: 'multi', object: 'hget' })
  })
})

describe('a script', () => {
  test('may do what its caller may', async () => {
    expect(await ann.call('EVAL', "return redis.call('SET', 'a', '1')", '0')).toEqual(OK)
    const denied = (await ann.call('EVAL', "return redis.call('SET', 'b', '1')", '0')) as { error: string }
    expect(denied.error).toMatch(
      /^ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: /,
    )
    expect(await lastEntry()).toMatchObject({ reason: 'key', context: 'lua', object: 'b', username: 'ann' })
    expect(await ann.call('EVAL', "return redis.pcall('FLUSHALL').err", '0')).toBe(
      "ERR The user executing the script can't run this command or subcommand",
    )
    expect(await admin.call('EXISTS', 'b')).toBe(0)
  })

  test('must be allowed its declared keys', async () => {
    expect(await ann.call('EVAL', 'return 1', '1', 'b')).toEqual(NO_KEY)
    expect(await ann.call('EVAL', 'return 1', '1', 'a')).toBe(1)
  })

  test('is told by redis.acl_check_cmd what its caller may', async () => {
    const script = "return {redis.acl_check_cmd('SET', 'a', '1'), redis.acl_check_cmd('SET', 'b', '1')}"
    expect(await ann.call('EVAL', script, '0')).toEqual([1, null])
  })
})

test('SORT looks at other keys only for a user who may read all', async () => {
  await admin.call('ACL', 'SETUSER', 'ann', '+sort', '+sort_ro')
  await admin.call('RPUSH', 'a', '2', '1')
  const noBy = { error: 'ERR BY option of SORT denied due to insufficient ACL permissions.' }
  const noGet = { error: 'ERR GET option of SORT denied due to insufficient ACL permissions.' }
  expect(await ann.call('SORT', 'a')).toEqual(['1', '2'])
  expect(await ann.call('SORT', 'a', 'BY', 'nosort')).toEqual(['2', '1'])
  expect(await ann.call('SORT', 'a', 'BY', 'b*')).toEqual(noBy)
  expect(await ann.call('SORT_RO', 'a', 'GET', '#')).toEqual(noGet)
  expect(await ann.call('SORT', 'a', 'GET', 'b*', 'STORE', 'a2')).toEqual(noGet)
  expect(await ann.call('SORT', 'a', 'STORE', 'b')).toEqual(NO_KEY)
  // One selector must allow all: that which reads every key may not sort.
  await admin.call('ACL', 'SETUSER', 'ann', '(%R~* +get)')
  expect(await ann.call('SORT', 'a', 'GET', 'b*')).toEqual(noGet)
  await admin.call('ACL', 'SETUSER', 'ann', '%R~*')
  expect(await ann.call('SORT', 'a', 'GET', 'b*')).toEqual([null, null])
})

test('a blocked command is refused when its user has lost the right in the meantime', async () => {
  const blocked = ann.call('BLPOP', 'a', '0')
  while (!String(await admin.call('CLIENT', 'LIST')).includes('flags=b')) await Promise.resolve()
  await admin.call('ACL', 'SETUSER', 'ann', 'resetkeys')
  await admin.call('RPUSH', 'a', 'x')
  expect(await blocked).toEqual(NO_KEY)
  expect(await admin.call('LRANGE', 'a', '0', '-1')).toEqual(['x'])
  expect(await ann.call('PING')).toEqual({ status: 'PONG' })
})

describe('subscriptions', () => {
  test('are refused for a pattern that is not allowed word for word', async () => {
    expect(await ann.call('PSUBSCRIBE', 'cha*')).toEqual(NO_CHANNEL)
    expect(await ann.call('SUBSCRIBE', 'ch1', 'other')).toEqual(NO_CHANNEL)
    expect(await ann.call('SSUBSCRIBE', 'other')).toEqual(NO_CHANNEL)
    expect(await ann.call('PSUBSCRIBE', 'ch*')).toEqual(['psubscribe', 'ch*', 1])
    expect(String(await admin.call('CLIENT', 'LIST'))).toContain(' sub=0 psub=1 ssub=0 ')
  })

  test.each([
    ['SUBSCRIBE', 'ch1'],
    ['PSUBSCRIBE', 'ch*'],
    ['SSUBSCRIBE', 'ch1'],
  ])('of %s end with the connection when the right to them is gone', async (command, name) => {
    await ann.call(command, name)
    await admin.call('ACL', 'SETUSER', 'ann', '+debug')
    await admin.call('ACL', 'SETUSER', 'ann', '&more')
    expect(await admin.call('PUBSUB', 'NUMPAT')).toBe(command === 'PSUBSCRIBE' ? 1 : 0)
    expect(ann.isClosed).toBe(false)
    await admin.call('ACL', 'SETUSER', 'ann', 'resetchannels', '&more')
    await ann.closed()
    expect(await admin.call('ACL', 'WHOAMI')).toBe('default')
  })
})

describe('DELUSER', () => {
  test('closes the connections of the user, its own after the reply', async () => {
    const other = await broker.connect()
    await other.call('AUTH', 'ann', 'pw')
    await admin.call('ACL', 'SETUSER', 'ann', '+@all')
    expect(await ann.call('ACL', 'DELUSER', 'ann', 'nobody')).toBe(1)
    await Promise.all([ann.closed(), other.closed()])
    expect(await admin.call('ACL', 'USERS')).toEqual(['default'])
  })

  test('revokes the tokens of the user', async () => {
    const token = String(await admin.call('ACL', 'RESTTOKEN', 'ann', 'pw'))
    expect(broker.server.tokens.verify(token, clock.now())?.userName).toBe('ann')
    await admin.call('ACL', 'DELUSER', 'ann')
    await admin.call('ACL', 'SETUSER', 'ann', 'on', '>pw')
    expect(broker.server.tokens.verify(token, clock.now())).toBeNull()
  })
})

test('RESET, CLIENT LIST, CLIENT KILL and HELLO follow the user', async () => {
  expect(await ann.call('CLIENT', 'INFO')).toContain(' user=ann ')
  expect(await ann.call('RESET')).toEqual({ status: 'RESET' })
  expect(await ann.call('ACL', 'WHOAMI')).toBe('default')
  expect(JSON.stringify(await ann.call('HELLO', '3', 'AUTH', 'ann', 'pw'))).toContain('"proto"')
  expect(await ann.call('ACL', 'WHOAMI')).toBe('ann')
  expect(await admin.call('CLIENT', 'KILL', 'USER', 'nobody')).toEqual({ error: "ERR No such user 'nobody'" })
  expect(await admin.call('CLIENT', 'KILL', 'USER', 'ann')).toBe(1)
  await ann.closed()
})

test('a default user that is off or needs a password keeps new connections out, old ones stay', async () => {
  await admin.call('ACL', 'SETUSER', 'default', 'off')
  expect(await admin.call('PING')).toEqual({ status: 'PONG' })
  const fresh = await broker.connect()
  expect(await fresh.call('PING')).toEqual(NO_AUTH)
  expect(await fresh.call('AUTH', 'ann', 'pw')).toEqual(OK)
  expect(await fresh.call('PING')).toEqual({ status: 'PONG' })
  await admin.call('ACL', 'SETUSER', 'default', 'on')
  expect(await (await broker.connect()).call('PING')).toEqual({ status: 'PONG' })
})

test('requirepass is the password of the default user', async () => {
  expect(await admin.call('CONFIG', 'SET', 'requirepass', 'secret')).toEqual(OK)
  const fresh = await broker.connect()
  expect(await fresh.call('PING')).toEqual(NO_AUTH)
  expect(await fresh.call('AUTH', 'secret')).toEqual(OK)
  expect(await fresh.call('CONFIG', 'SET', 'requirepass', '')).toEqual(OK)
  expect(await (await broker.connect()).call('PING')).toEqual({ status: 'PONG' })
})

test('who may run a command only with a first argument may run it with no other', async () => {
  await admin.call('ACL', 'SETUSER', 'ann', '-select', '+select|0')
  expect(await ann.call('SELECT', '0')).toEqual(OK)
  expect(await ann.call('SELECT', '1')).toEqual(noCommand('select'))
})

test('commands that need no login need no right', async () => {
  await admin.call('ACL', 'SETUSER', 'ann', '-@all')
  expect(await ann.call('PING')).toEqual(noCommand('ping'))
  expect(await ann.call('HELLO')).toBeInstanceOf(Array)
  expect(await ann.call('AUTH', 'ann', 'pw')).toEqual(OK)
  expect(await ann.call('QUIT')).toEqual(OK)
})

test('secrets stay out of the slow log', async () => {
  await admin.pipeline([
    ['CONFIG', 'SET', 'slowlog-log-slower-than', '0'],
    ['ACL', 'SETUSER', 'bob', 'on', '>hidden1'],
    ['ACL', 'RESTTOKEN', 'bob', 'hidden1'],
    ['AUTH', 'bob', 'hidden1'],
  ])
  const log = JSON.stringify(await (await broker.connect()).call('SLOWLOG', 'GET', '20'))
  expect(log).toContain('["ACL","SETUSER","(redacted)","(redacted)","(redacted)"]')
  expect(log).toContain('["ACL","RESTTOKEN","(redacted)","(redacted)"]')
  expect(log).not.toContain('hidden1')
})
