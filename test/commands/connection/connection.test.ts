/** PING, ECHO, QUIT, AUTH, HELLO, RESET and CLIENT on the wire. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'

const OK = { status: 'OK' }

let clock: TestClock
let broker: TestBroker
let a: RespClient
let b: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  a = await broker.connect()
  b = await broker.connect()
})

afterEach(() => broker.stop())

/** What CLIENT LIST says about the client with a name. */
async function lineOf(name: string): Promise<string> {
  const lines = String(await b.call('CLIENT', 'LIST')).split('\n')
  return lines.find((line) => line.includes(` name=${name} `)) ?? ''
}

test('PING and ECHO answer with what they get', async () => {
  expect(await a.call('PING')).toEqual({ status: 'PONG' })
  expect(await a.call('ping', 'hi')).toBe('hi')
  expect(await a.call('PING', 'a', 'b')).toEqual({ error: "ERR wrong number of arguments for 'ping' command" })
  expect(await a.call('ECHO', 'x\r\ny')).toBe('x\r\ny')
})

test('QUIT answers, closes, and runs nothing that follows', async () => {
  expect(await a.pipeline([['SET', 'k', '1'], ['QUIT']])).toEqual([OK, OK])
  await a.closed()
  const c = await broker.connect()
  c.write('QUIT')
  c.write('SET', 'k', '2')
  await c.closed()
  expect(await b.call('GET', 'k')).toBe('1')
})

test('HELLO switches the protocol and tells about the server', async () => {
  const facts = await a.call('HELLO', '3')
  expect(facts).toEqual({
    map: [
      ['server', 'redis'],
      ['version', '7.2.4'],
      ['proto', 3],
      ['id', 1],
      ['mode', 'standalone'],
      ['role', 'master'],
      ['modules', []],
    ],
  })
  expect(await a.call('GET', 'missing')).toBe(null)
  expect(await a.call('CONFIG', 'GET', 'port')).toEqual({ map: [['port', '0']] })
  const flat = await a.call('HELLO', '2', 'SETNAME', 'me')
  expect(flat).toContain('proto')
  expect(await a.call('CLIENT', 'GETNAME')).toBe('me')
})

test.each([
  [['HELLO', 'x'], 'ERR Protocol version is not an integer or out of range'],
  [['HELLO', '4'], 'NOPROTO unsupported protocol version'],
  [['HELLO', '3', 'WHAT'], "ERR Syntax error in HELLO option 'WHAT'"],
  [['HELLO', '3', 'AUTH', 'default'], "ERR Syntax error in HELLO option 'AUTH'"],
  [['HELLO', '3', 'SETNAME', 'a b'], 'ERR Client names cannot contain spaces, newlines or special characters.'],
  [['HELLO', '3', 'AUTH', 'nobody', 'x'], 'WRONGPASS invalid username-password pair or user is disabled.'],
])('%j is refused and changes nothing', async (words, error) => {
  expect(await a.call(...words)).toEqual({ error })
  expect(String(await a.call('CLIENT', 'INFO'))).toMatch(/ resp=2 /)
})

test('with a password nothing but logging in works', async () => {
  await b.call('CONFIG', 'SET', 'requirepass', 'secret')
  const c = await broker.connect()
  const noauth = { error: 'NOAUTH Authentication required.' }
  expect(await c.call('GET', 'k')).toEqual(noauth)
  expect(await c.call('PING')).toEqual(noauth)
  expect(await c.call('HELLO', '3')).toEqual({
    error:
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
  })
  const wrong = { error: 'WRONGPASS invalid username-password pair or user is disabled.' }
  expect(await c.call('AUTH', 'wrong')).toEqual(wrong)
  expect(await c.call('AUTH', 'other', 'secret')).toEqual(wrong)
  expect(await c.call('AUTH', 'a', 'b', 'c')).toEqual({ error: 'ERR syntax error' })
  expect(await c.call('AUTH', 'secret')).toEqual(OK)
  expect(await c.call('PING')).toEqual({ status: 'PONG' })
  expect(await c.call('AUTH', 'default', 'secret')).toEqual(OK)
  expect(broker.server.stats.deniedLogins).toBe(2)
  // RESET logs out; who was connected before the password stays logged in.
  await c.call('RESET')
  expect(await c.call('PING')).toEqual(noauth)
  expect(await b.call('PING')).toEqual({ status: 'PONG' })
})

test('HELLO logs in, names and switches at once', async () => {
  await b.call('CONFIG', 'SET', 'requirepass', 'secret')
  const c = await broker.connect()
  const facts = await c.call('HELLO', '3', 'AUTH', 'default', 'secret', 'SETNAME', 'me')
  expect(facts).toHaveProperty('map')
  expect(await c.call('CLIENT', 'GETNAME')).toBe('me')
})

test('AUTH with one argument is an error while there is no password', async () => {
  expect(await a.call('AUTH', 'x')).toEqual({
    error:
      'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
  })
  expect(await a.call('AUTH', 'default', 'anything')).toEqual(OK)
})

test('RESET makes the connection as new, but the library stays known', async () => {
  await a.pipeline([
    ['CLIENT', 'SETNAME', 'me'],
    ['CLIENT', 'SETINFO', 'LIB-NAME', 'lib'],
    ['SELECT', '5'],
    ['CLIENT', 'NO-TOUCH', 'ON'],
    ['CLIENT', 'NO-EVICT', 'ON'],
    ['HELLO', '3'],
    ['MULTI'],
  ])
  expect(await a.call('RESET')).toEqual({ status: 'RESET' })
  expect(String(await a.call('CLIENT', 'INFO'))).toMatch(
    / name= .* flags=N db=0 .* multi=-1 .* resp=2 lib-name=lib lib-ver=\n$/,
  )
})

test('CLIENT LIST and INFO show what is known, in the order of IDs', async () => {
  await a.pipeline([
    ['CLIENT', 'SETNAME', 'first'],
    ['SELECT', '3'],
    ['GET', 'k'],
  ])
  clock.pass(5500)
  const text = String(await b.call('CLIENT', 'LIST'))
  const lines = text.split('\n')
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatch(
    /^id=1 addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ fd=-?\d+ name=first age=5 idle=5 flags=N db=3 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=\d+ argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=\d+ events=r cmd=get user=default redir=-1 resp=2 lib-name= lib-ver=$/,
  )
  expect(lines[1]).toMatch(/^id=2 .* qbuf=26 .* cmd=client\|list /)
  expect(await b.call('CLIENT', 'LIST', 'ID', '2', '99', '1')).toMatch(/^id=2 [^\n]*\nid=1 [^\n]*\n$/)
  expect(await b.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).toBe('')
  expect(await b.call('CLIENT', 'LIST', 'TYPE', 'x')).toEqual({ error: "ERR Unknown client type 'x'" })
  expect(await b.call('CLIENT', 'LIST', 'ID', 'x')).toEqual({ error: 'ERR Invalid client ID' })
  expect(await b.call('CLIENT', 'LIST', 'TYPE')).toEqual({ error: 'ERR syntax error' })
  expect(String(await b.call('CLIENT', 'INFO'))).toMatch(/^id=2 .*\n$/)
  await b.call('HELLO', '3')
  expect(await b.call('CLIENT', 'INFO')).toHaveProperty('verbatim')
})

test('a subscribed and a blocked client show their flags', async () => {
  await a.call('CLIENT', 'SETNAME', 'me')
  a.write('SUBSCRIBE', 'x')
  await a.next()
  expect(await lineOf('me')).toMatch(/ flags=P .* sub=1 /)
  a.write('RESET')
  await a.next()
  await a.call('CLIENT', 'SETNAME', 'me')
  a.write('BLPOP', 'k', '0')
  while (broker.server.blockedCount === 0) await b.call('PING')
  expect(await lineOf('me')).toMatch(/ flags=b .* cmd=blpop /)
})

test('CLIENT SETNAME, SETINFO and GETNAME check what they take', async () => {
  expect(await a.call('CLIENT', 'GETNAME')).toBe(null)
  expect(await a.call('CLIENT', 'SETNAME', 'a b')).toEqual({
    error: 'ERR Client names cannot contain spaces, newlines or special characters.',
  })
  expect(await a.call('CLIENT', 'SETNAME', 'name')).toEqual(OK)
  expect(await a.call('CLIENT', 'SETNAME', '')).toEqual(OK)
  expect(await a.call('CLIENT', 'GETNAME')).toBe(null)
  expect(await a.call('CLIENT', 'SETINFO', 'lib-ver', '1 2')).toEqual({
    error: 'ERR lib-ver cannot contain spaces, newlines or special characters.',
  })
  expect(await a.call('CLIENT', 'SETINFO', 'colour', 'red')).toEqual({ error: "ERR Unrecognized option 'colour'" })
})

test('CLIENT KILL closes those that match all filters, and itself only when told to', async () => {
  const c = await broker.connect()
  expect(await b.call('CLIENT', 'KILL', 'ID', '1', 'TYPE', 'pubsub')).toBe(0)
  expect(await b.call('CLIENT', 'KILL', 'ID', '1')).toBe(1)
  await a.closed()
  expect(await b.call('CLIENT', 'KILL', 'TYPE', 'normal', 'USER', 'default')).toBe(1)
  await c.closed()
  expect(await b.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no')).toBe(1)
  await b.closed()
})

test('CLIENT LIST and CLIENT KILL take filters, all of which must match', async () => {
  const listed = async (...filters: string[]): Promise<number[]> =>
    [...String(await b.call('CLIENT', 'LIST', ...filters)).matchAll(/^id=(\d+)/gm)].map(([, id]) => Number(id))
  await a.call('CLIENT', 'SETNAME', 'me')
  await a.call('CLIENT', 'SETINFO', 'LIB-NAME', 'lib')
  await a.call('CLIENT', 'SETINFO', 'LIB-VER', '1.2')
  await a.call('SELECT', '3')
  await a.call('MULTI')
  clock.pass(10_000)
  const c = await broker.connect()
  await c.call('PING')
  await b.call('PING')
  expect(await listed('NAME', 'me')).toEqual([1])
  expect(await listed('not-name', 'me')).toEqual([2, 3])
  expect(await listed('LIB-NAME', 'lib', 'LIB-VER', '1.2', 'DB', '3', 'FLAGS', 'x', 'TYPE', 'normal')).toEqual([1])
  expect(await listed('LIB-NAME', 'lib', 'LIB-VER', '1.3')).toEqual([])
  expect(await listed('NOT-DB', '0', 'NOT-FLAGS', 'x')).toEqual([])
  expect(await listed('FLAGS', 'N')).toEqual([2, 3])
  expect(await listed('FLAGS', 'N'.repeat(100_000))).toEqual([2, 3])
  expect(await listed('IDLE', '10')).toEqual([1])
  expect(await listed('IDLE', '11')).toEqual([])
  expect(await listed('MAXAGE', '10', 'SKIPME', 'yes')).toEqual([1])
  expect(await listed('IP', '127.0.0.1', 'USER', 'default')).toEqual([1, 2, 3])
  expect(await listed('NOT-IP', '127.0.0.1')).toEqual([])
  expect(await listed('ID', '3', '1', 'NOT-TYPE', 'pubsub')).toEqual([1, 3])
  expect(await listed('NOT-ID', '3', '1')).toEqual([2])
  expect(await b.call('CLIENT', 'KILL', 'ID', '3', '9', 'MAXAGE', '1')).toBe(0)
  expect(await b.call('CLIENT', 'KILL', 'MAXAGE', '10')).toBe(1)
  await a.closed()
  expect(await b.call('CLIENT', 'KILL', 'ID', '3', '1')).toBe(1)
  await c.closed()
})

test.each([
  [['MAXAGE', 'x'], 'ERR maxage is not an integer or out of range'],
  [['MAXAGE', '0'], 'ERR maxage should be greater than 0'],
  [['IDLE', '-1'], 'ERR idle should be greater than 0'],
  [['FLAGS', 'xZ'], 'ERR Unknown flags found in the provided filter: xZ'],
  [['DB', '99'], 'ERR DB index is out of range'],
  [['NOT-IDLE', '5'], 'ERR syntax error'],
  [['NOT-SKIPME', 'yes'], 'ERR syntax error'],
  [['CAPA', 'redirect'], 'ERR syntax error'],
  [['NAME'], 'ERR syntax error'],
])('CLIENT LIST %j is refused', async (words, error) => {
  expect(await b.call('CLIENT', 'LIST', ...words)).toEqual({ error })
})

test('CLIENT KILL by address answers OK, also to the one that is closed', async () => {
  const address = / addr=(\S+) /.exec(String(await a.call('CLIENT', 'INFO')))?.[1] ?? ''
  expect(await b.call('CLIENT', 'KILL', '1.2.3.4:5')).toEqual({ error: 'ERR No such client' })
  expect(await a.call('CLIENT', 'KILL', address)).toEqual(OK)
  await a.closed()
})

test.each([
  [['ID', '0'], 'ERR client-id should be greater than 0'],
  [['ID', 'x'], 'ERR client-id should be greater than 0'],
  [['TYPE', 'x'], "ERR Unknown client type 'x'"],
  [['USER', 'x'], "ERR No such user 'x'"],
  [['SKIPME', 'perhaps'], 'ERR syntax error'],
  [['ID', '1', 'TYPE'], 'ERR syntax error'],
])('CLIENT KILL %j is refused', async (words, error) => {
  expect(await b.call('CLIENT', 'KILL', ...words)).toEqual({ error })
})

test('CLIENT UNBLOCK ends a wait as its timeout would, or with an error', async () => {
  for (const [reason, reply] of [
    ['TIMEOUT', null],
    ['ERROR', { error: 'UNBLOCKED client unblocked via CLIENT UNBLOCK' }],
  ] as const) {
    const popped = a.call('BLPOP', 'k', '0')
    while (broker.server.blockedCount === 0) await b.call('PING')
    expect(await b.call('CLIENT', 'UNBLOCK', '1', reason)).toBe(1)
    expect(await popped).toEqual(reply)
  }
  expect(await b.call('CLIENT', 'UNBLOCK', '1')).toBe(0)
  expect(await b.call('CLIENT', 'UNBLOCK', '99')).toBe(0)
  expect(await b.call('CLIENT', 'UNBLOCK', '1', 'NOW')).toEqual({
    error: 'ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR',
  })
  expect(await a.call('PING')).toEqual({ status: 'PONG' })
})

test('CLIENT UNBLOCK in the middle of a batch mixes no replies, also of a client that wants none', async () => {
  const popped = a.call('BLPOP', 'k', '0')
  while (broker.server.blockedCount === 0) await b.call('PING')
  b.write('CLIENT', 'REPLY', 'SKIP')
  b.write('CLIENT', 'UNBLOCK', '1')
  expect(await b.call('ECHO', 'after')).toBe('after')
  expect(await popped).toBe(null)
})

test('CLIENT REPLY drops the reply of a command that has waited, too', async () => {
  const untilBlocked = async (): Promise<void> => {
    while (broker.server.blockedCount === 0) await b.call('PING')
  }
  a.write('CLIENT', 'REPLY', 'SKIP')
  a.write('BLPOP', 'k', '0')
  await untilBlocked()
  await b.call('RPUSH', 'k', 'served')
  expect(await a.call('ECHO', 'behind it')).toBe('behind it')
  a.write('CLIENT', 'REPLY', 'OFF')
  for (const end of [
    ['RPUSH', 'k', 'served'],
    ['CLIENT', 'UNBLOCK', '1'],
    ['CLIENT', 'UNBLOCK', '1', 'ERROR'],
  ]) {
    a.write('BLPOP', 'k', '0')
    await untilBlocked()
    expect(await b.call(...end)).toBe(1)
  }
  expect(await a.call('CLIENT', 'REPLY', 'ON')).toEqual(OK)
  a.write('CLIENT', 'REPLY', 'SKIP')
  a.write('BLPOP', 'k', '0')
  await untilBlocked()
  expect(await b.call('CLIENT', 'UNBLOCK', '1')).toBe(1)
  expect(await a.call('LLEN', 'k')).toBe(0)
})

test('CLIENT REPLY SKIP drops one reply, OFF all until ON', async () => {
  a.write('CLIENT', 'REPLY', 'SKIP')
  a.write('SET', 'k', '1')
  expect(await a.call('GET', 'k')).toBe('1')
  a.write('CLIENT', 'REPLY', 'SKIP')
  a.write('RESET')
  expect(await a.call('GET', 'k')).toBe('1')
  a.write('CLIENT', 'REPLY', 'OFF')
  a.write('SET', 'k', '2')
  a.write('NOSUCH')
  // Confirmations are no replies, that one was queued is.
  a.write('MULTI')
  a.write('UNSUBSCRIBE')
  a.write('DISCARD')
  expect(await a.call('CLIENT', 'REPLY', 'ON')).toEqual(OK)
  expect(await a.call('GET', 'k')).toBe('2')
  expect(await a.call('CLIENT', 'REPLY', 'maybe')).toEqual({ error: 'ERR syntax error' })
})

test('CLIENT PAUSE WRITE holds up writes and lets reads and errors through', async () => {
  await b.call('CLIENT', 'PAUSE', '100000', 'WRITE')
  expect(await a.call('GET', 'k')).toBe(null)
  expect(await a.call('SET', 'k')).toEqual({ error: "ERR wrong number of arguments for 'set' command" })
  const set = a.call('SET', 'k', '1')
  while (broker.server.blockedCount === 0) await b.call('PING')
  expect(await b.call('GET', 'k')).toBe(null)
  expect(await b.call('CLIENT', 'UNPAUSE')).toEqual(OK)
  expect(await set).toEqual(OK)
})

test('clients go on in the order in which their requests came when a pause is over', async () => {
  const [first, third] = [await broker.connect(), b]
  await third.call('CLIENT', 'PAUSE', '1000')
  const replies: Promise<Reply>[] = []
  for (const client of [first, a]) {
    replies.push(client.call('RPUSH', 'l', client === a ? 'second' : 'first'))
    while (broker.server.blockedCount < replies.length) await new Promise((resolve) => setImmediate(resolve))
  }
  const gone = await broker.connect()
  gone.write('PING')
  while (broker.server.blockedCount < 3) await new Promise((resolve) => setImmediate(resolve))
  gone.close()
  while (broker.server.blockedCount > 2) await new Promise((resolve) => setImmediate(resolve))
  // Its time is over, and the timer has not come yet.
  clock.pass(1000)
  expect(await third.call('RPUSH', 'l', 'third')).toBe(3)
  expect(await Promise.all(replies)).toEqual([1, 2])
  expect(await third.call('LRANGE', 'l', '0', '-1')).toEqual(['first', 'second', 'third'])
})

test('CLIENT PAUSE holds up everything until its time is over', async () => {
  expect(await b.call('CLIENT', 'PAUSE', '60')).toEqual(OK)
  const ping = a.call('PING')
  clock.pass(100)
  expect(await ping).toEqual({ status: 'PONG' })
})

test.each([
  [['PAUSE', 'x'], 'ERR timeout is not an integer or out of range'],
  [['PAUSE', '-1'], 'ERR timeout is negative'],
  [['PAUSE', 'x', 'SOME'], 'ERR CLIENT PAUSE mode must be WRITE or ALL'],
  [['NOSUCH'], "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."],
  [['NO-EVICT', 'perhaps'], 'ERR syntax error'],
  [['GETNAME', 'x'], "ERR wrong number of arguments for 'client|getname' command"],
])('CLIENT %j is refused', async (words, error) => {
  expect(await b.call('CLIENT', ...words)).toEqual({ error })
})

test('CLIENT NO-TOUCH leaves access times as they are, but for TOUCH', async () => {
  await a.call('SET', 'k', '1')
  clock.pass(10_000)
  await a.pipeline([
    ['CLIENT', 'NO-TOUCH', 'ON'],
    ['GET', 'k'],
  ])
  expect(await b.call('OBJECT', 'IDLETIME', 'k')).toBe(10)
  await a.call('TOUCH', 'k')
  expect(await b.call('OBJECT', 'IDLETIME', 'k')).toBe(0)
  clock.pass(10_000)
  await a.pipeline([
    ['CLIENT', 'NO-TOUCH', 'OFF'],
    ['GET', 'k'],
  ])
  expect(await b.call('OBJECT', 'IDLETIME', 'k')).toBe(0)
})

test('CLIENT HELP lists the subcommands', async () => {
  const lines = (await a.call('CLIENT', 'HELP')) as { status: string }[]
  expect(lines[0]).toEqual({ status: 'CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' })
  expect(lines.at(-2)).toEqual({ status: 'HELP' })
})
