/** The replies and errors of ACL's subcommands, on the wire. What rules mean is compared in acl-differential.test.ts. */
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const OK = { status: 'OK' }
const HASH = createHash('sha256').update('pw').digest('hex')
const NO_FILE = {
  error:
    'ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.',
}

let clock: TestClock
let broker: TestBroker
let client: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  client = await broker.connect()
})

afterEach(() => broker.stop())

function acl(...words: string[]): Promise<Reply> {
  return client.call('ACL', ...words)
}

describe('SETUSER, LIST and GETUSER', () => {
  test('a new user may do nothing', async () => {
    expect(await acl('SETUSER', 'ann')).toEqual(OK)
    expect(await acl('LIST')).toEqual(['user ann off resetchannels -@all', 'user default on nopass ~* &* +@all'])
    expect(await acl('USERS')).toEqual(['ann', 'default'])
    expect(await acl('GETUSER', 'ann')).toEqual([
      ...['flags', ['off'], 'passwords', [], 'commands', '-@all', 'keys', '', 'channels', ''],
      ...['selectors', []],
    ])
    expect(await acl('GETUSER', 'bob')).toBeNull()
  })

  test('all kinds of rules are described as they were given', async () => {
    const rules = [
      'on',
      '>pw',
      '%R~r*',
      '~a',
      '&ch',
      '+@read',
      '-get',
      '+config|get',
      '+select|0',
      '(+set ~b)',
      '(-@all',
      '&x)',
    ]
    expect(await acl('SETUSER', 'ann', ...rules)).toEqual(OK)
    const root = '%R~r* ~a resetchannels &ch -@all +@read -get +config|get +select|0'
    const selectors = '(~b resetchannels -@all +set) (resetchannels &x -@all)'
    expect(await acl('LIST')).toContain(`user ann on #${HASH} ${root} ${selectors}`)
    await client.call('HELLO', '3')
    expect(await acl('GETUSER', 'ann')).toEqual({
      map: [
        ['flags', { set: ['on'] }],
        ['passwords', [HASH]],
        ['commands', '-@all +@read -get +config|get +select|0'],
        ['keys', '%R~r* ~a'],
        ['channels', '&ch'],
        [
          'selectors',
          [
            {
              map: [
                ['commands', '-@all +set'],
                ['keys', '~b'],
                ['channels', ''],
              ],
            },
            {
              map: [
                ['commands', '-@all'],
                ['keys', ''],
                ['channels', '&x'],
              ],
            },
          ],
        ],
      ],
    })
  })

  test('a rule about a command replaces older ones about it and its subcommands', async () => {
    await acl('SETUSER', 'ann', '+config|get', '+get', '-config|set', '+CONFIG', '+get', '-@read', '+@read')
    expect(await acl('LIST')).toContain('user ann off resetchannels -@all +get +config +@read')
    await acl('SETUSER', 'ann', '+@all', '-debug')
    expect(await acl('LIST')).toContain('user ann off resetchannels +@all -debug')
  })

  test('new users may use all channels with acl-pubsub-default allchannels', async () => {
    await client.call('CONFIG', 'SET', 'acl-pubsub-default', 'allchannels')
    await acl('SETUSER', 'ann', 'resetchannels', 'reset', '(+get)')
    expect(await acl('LIST')).toContain('user ann off sanitize-payload &* -@all (&* -@all +get)')
  })

  test.each([
    [['a b'], "Usernames can't contain spaces or null characters"],
    [['a\0'], "Usernames can't contain spaces or null characters"],
    [['a', '+nosuch'], "Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL"],
    [['a', 'x', 'y'], "Error in ACL SETUSER modifier 'x': Syntax error"],
    [
      ['a', '+config|get|x'],
      "Error in ACL SETUSER modifier '+config|get|x': Allowing first-arg of a subcommand is not supported",
    ],
    [['a', '(+get'], "Unmatched parenthesis in acl selector starting at '(+get'."],
    [
      ['a', '#1'],
      "Error in ACL SETUSER modifier '#1': The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters",
    ],
    [
      ['a', '<x'],
      "Error in ACL SETUSER modifier '<x': The password you are trying to remove from the user does not exist",
    ],
    [['a', '%~x'], "Error in ACL SETUSER modifier '%~x': Syntax error"],
  ])('%j is refused', async (words, problem) => {
    expect(await acl('SETUSER', ...words)).toEqual({ error: `ERR ${problem}` })
    expect(await acl('USERS')).toEqual(['default'])
  })

  test('the default user cannot be deleted, nor others beside it', async () => {
    await acl('SETUSER', 'ann')
    expect(await acl('DELUSER', 'ann', 'default')).toEqual({ error: "ERR The 'default' user cannot be removed" })
    expect(await acl('USERS')).toEqual(['ann', 'default'])
  })
})

test('CAT tells categories and what is in them', async () => {
  expect(await acl('CAT')).toHaveLength(21)
  const transactions = (await acl('CAT', 'TRANSACTION')) as string[]
  expect(transactions.sort()).toEqual(['discard', 'exec', 'multi', 'unwatch', 'watch'])
  expect(await acl('CAT', 'admin')).toContain('config|set')
  expect(await acl('CAT', 'nosuch')).toEqual({ error: "ERR Unknown category 'nosuch'" })
  expect(await acl('CAT', 'a', 'b')).toEqual({
    error: "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.",
  })
})

test('GENPASS makes as many bits as asked for', async () => {
  expect(await acl('GENPASS')).toMatch(/^[0-9a-f]{64}$/)
  expect(await acl('GENPASS', '5')).toMatch(/^[0-9a-f]{2}$/)
  expect(await acl('GENPASS', '4096')).toMatch(/^[0-9a-f]{1024}$/)
  const outOfRange =
    'ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096'
  for (const bits of ['0', '-5', '4097']) expect(await acl('GENPASS', bits)).toEqual({ error: outOfRange })
  expect(await acl('GENPASS', 'x')).toEqual({ error: 'ERR value is not an integer or out of range' })
})

test('DRYRUN says what would be denied, and runs nothing', async () => {
  await acl('SETUSER', 'ann', '+set', '+subscribe', '~a', '&ch')
  expect(await acl('DRYRUN', 'ann', 'SET', 'a', '1')).toEqual(OK)
  expect(await acl('DRYRUN', 'ann', 'set', 'b', '1')).toBe("This user has no permissions to access the 'b' key")
  expect(await acl('DRYRUN', 'ann', 'get', 'a')).toBe("This user has no permissions to run the 'get' command")
  expect(await acl('DRYRUN', 'ann', 'config', 'get', 'x')).toBe(
    "This user has no permissions to run the 'config|get' command",
  )
  expect(await acl('DRYRUN', 'ann', 'subscribe', 'ch', 'x')).toBe(
    "This user has no permissions to access the 'x' channel",
  )
  expect(await acl('DRYRUN', 'bob', 'get', 'a')).toEqual({ error: "ERR User 'bob' not found" })
  expect(await acl('DRYRUN', 'ann', 'nosuch', 'a')).toEqual({ error: "ERR Command 'nosuch' not found" })
  expect(await acl('DRYRUN', 'ann', 'get')).toEqual({ error: "ERR wrong number of arguments for 'get' command" })
  expect(await client.call('EXISTS', 'a')).toBe(0)
})

describe('LOG', () => {
  test('groups what is alike and close in time', async () => {
    await client.call('HELLO', '3')
    await client.call('AUTH', 'x', 'y')
    clock.pass(2500)
    await client.call('AUTH', 'x', 'z')
    const [entry] = (await acl('LOG')) as { map: [string, Reply][] }[]
    const fields = new Map(entry!.map)
    expect([...fields.keys()]).toEqual([
      ...['count', 'reason', 'context', 'object', 'username', 'age-seconds', 'client-info', 'entry-id'],
      ...['timestamp-created', 'timestamp-last-updated'],
    ])
    expect(fields.get('count')).toBe(2)
    expect(fields.get('timestamp-created')).toBe(clock.now() - 2500)
    expect(fields.get('timestamp-last-updated')).toBe(clock.now())
    expect(fields.get('client-info')).toContain(' cmd=auth ')
    clock.pass(60_500)
    const [aged] = (await acl('LOG')) as { map: [string, Reply][] }[]
    expect(new Map(aged!.map).get('age-seconds')).toEqual({ double: '60.5' })
    await client.call('AUTH', 'x', 'z')
    expect(await acl('LOG')).toHaveLength(2)
    expect(await acl('LOG', 'reset')).toEqual(OK)
    expect(await acl('LOG')).toEqual([])
  })

  test('has at most acllog-max-len entries, and shows ten unless asked for more', async () => {
    await client.call('CONFIG', 'SET', 'acllog-max-len', '12')
    for (let i = 0; i < 20; i++) await client.call('AUTH', `user${i}`, 'x')
    expect(await acl('LOG')).toHaveLength(10)
    expect(await acl('LOG', '100')).toHaveLength(12)
    expect(await acl('LOG', '-1')).toEqual([])
    expect(await acl('LOG', 'x')).toEqual({ error: 'ERR value is not an integer or out of range' })
    const newest = ((await acl('LOG', '1')) as Reply[][])[0]!
    expect(newest[newest.indexOf('username') + 1]).toBe('user19')
  })
})

describe('tokens', () => {
  test('RESTTOKEN wants the password of a user who is there and on', async () => {
    await acl('SETUSER', 'ann', '>pw')
    const refused = { error: 'ERR Wrong password or user "ann" does not exist' }
    expect(await acl('RESTTOKEN', 'ann', 'pw')).toEqual(refused)
    await acl('SETUSER', 'ann', 'on')
    expect(await acl('RESTTOKEN', 'ann', 'wrong')).toEqual(refused)
    expect(await acl('RESTTOKEN', 'ann', 'pw')).toMatch(/^mr_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
    expect(await acl('RESTTOKEN', 'bob', 'pw')).toEqual({ error: 'ERR Wrong password or user "bob" does not exist' })
  })

  test('TOKEN creates, lists and revokes', async () => {
    await acl('SETUSER', 'ann', 'on')
    const created = (await acl('TOKEN', 'CREATE', 'ann', 'NAME', 'my phone', 'EX', '60', 'READONLY')) as string[]
    const [, id, , token] = created
    expect(created).toEqual(['id', id, 'token', expect.stringContaining(`mr_${id}_`)])
    expect(broker.server.tokens.verify(token!, clock.now())).toMatchObject({ userName: 'ann', isReadOnly: true })
    await acl('TOKEN', 'CREATE', 'default')
    const now = clock.now()
    const row = ['id', id, 'user', 'ann', 'name', 'my phone', 'readonly', 1, 'created', now, 'expires', now + 60_000]
    expect(await acl('TOKEN', 'LIST', 'ann')).toEqual([row])
    expect(await acl('TOKEN', 'LIST')).toHaveLength(2)
    expect(await acl('TOKEN', 'REVOKE', id!)).toBe(1)
    expect(await acl('TOKEN', 'REVOKE', id!)).toBe(0)
    expect(await acl('TOKEN', 'LIST', 'ann')).toEqual([])
  })

  test.each([
    [['CREATE'], 'ERR syntax error'],
    [['CREATE', 'bob'], "ERR User 'bob' not found"],
    [['CREATE', 'default', 'EX'], 'ERR syntax error'],
    [['CREATE', 'default', 'EX', '0'], "ERR invalid expire time in 'acl|token' command"],
    [['CREATE', 'default', 'EX', 'x'], "ERR invalid expire time in 'acl|token' command"],
    [['CREATE', 'default', 'EX', '9007199254740991'], "ERR invalid expire time in 'acl|token' command"],
    [['CREATE', 'default', 'NAME', 'x'.repeat(257)], 'ERR Token names are limited to 256 bytes'],
    [['LIST', 'a', 'b'], 'ERR syntax error'],
    [['REVOKE'], 'ERR syntax error'],
    [['NOSUCH'], 'ERR syntax error'],
  ])('TOKEN %j is refused', async (words, error) => {
    expect(await acl('TOKEN', ...words)).toEqual({ error })
    expect(broker.server.tokens.count).toBe(0)
  })
})

test('LOAD and SAVE need an ACL file', async () => {
  expect(await acl('LOAD')).toEqual(NO_FILE)
  expect(await acl('SAVE')).toEqual(NO_FILE)
})

test('what is no subcommand is refused', async () => {
  expect(await acl('NOSUCH')).toEqual({ error: "ERR unknown subcommand 'NOSUCH'. Try ACL HELP." })
  expect(await acl('HELP')).toContainEqual({ status: 'WHOAMI' })
})

describe('the ACL file', () => {
  let directory: string
  let path: string
  let own: TestBroker
  let admin: RespClient

  beforeEach(async () => {
    directory = temporaryDirectory()
    path = join(directory, 'users.acl')
    writeFileSync(path, 'user ann on >pw +@all ~* &*\n\nuser default on nopass ~* &* +@all\n')
    own = await TestBroker.start({ dir: directory, aclfile: 'users.acl' })
    admin = await own.connect()
  })

  afterEach(async () => {
    await own.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('is loaded at start and written by SAVE', async () => {
    expect(await admin.call('ACL', 'USERS')).toEqual(['ann', 'default'])
    await admin.call('ACL', 'SETUSER', 'bob', 'on', '(+get ~x)')
    expect(await admin.call('ACL', 'SAVE')).toEqual(OK)
    expect(readFileSync(path, 'latin1')).toBe(
      `user ann on #${HASH} ~* &* +@all\n` +
        'user bob on resetchannels -@all (~x resetchannels -@all +get)\n' +
        'user default on nopass ~* &* +@all\n',
    )
    expect(await admin.call('ACL', 'LOAD')).toEqual(OK)
    expect(await admin.call('ACL', 'USERS')).toEqual(['ann', 'bob', 'default'])
  })

  test('replaces all users; connections of all but the default one end, tokens of those who stay are good', async () => {
    await admin.call('ACL', 'SETUSER', 'bob', 'on', 'nopass')
    const ann = await own.connect()
    await ann.call('AUTH', 'ann', 'pw')
    const [tokenOfAnn, tokenOfBob] = await admin.pipeline([
      ['ACL', 'RESTTOKEN', 'ann', 'pw'],
      ['ACL', 'RESTTOKEN', 'bob', ''],
    ])
    expect(await admin.call('ACL', 'LOAD')).toEqual(OK)
    await ann.closed()
    expect(await admin.call('ACL', 'USERS')).toEqual(['ann', 'default'])
    expect(own.server.tokens.verify(String(tokenOfAnn), Date.now())).not.toBeNull()
    expect(own.server.tokens.verify(String(tokenOfBob), Date.now())).toBeNull()
  })

  test('without a default user makes it one who may do everything', async () => {
    await admin.call('ACL', 'SETUSER', 'default', '-debug')
    writeFileSync(path, 'user ann on\n')
    expect(await admin.call('ACL', 'LOAD')).toEqual(OK)
    expect(own.server.users.default.isUnrestricted).toBe(true)
  })

  test('with errors changes nothing, and no password is told', async () => {
    writeFileSync(path, 'user bob <secret\nuser bob on\nperson x\nuser cid +nosuch\nuser dora (+get\n')
    expect(await admin.call('ACL', 'LOAD')).toEqual({
      error: [
        'ERR users.acl:1: The password you are trying to remove from the user does not exist.',
        "WARNING: Duplicate user 'bob' found on line 2.",
        'users.acl:3 should start with user keyword followed by the username.',
        "users.acl:4: Error in applying operation '+nosuch': Unknown command or category name in ACL.",
        'users.acl:5: Unmatched parenthesis in selector definition.',
        'WARNING: ACL errors detected, no change to the previously active ACL rules was performed',
      ].join(' '),
    })
    expect(await admin.call('ACL', 'USERS')).toEqual(['ann', 'default'])
  })

  test('that is gone is an error of LOAD; a directory that is gone, of SAVE', async () => {
    rmSync(path)
    expect(await admin.call('ACL', 'LOAD')).toEqual({
      error: "ERR Error loading ACLs, opening file 'users.acl': No such file or directory",
    })
    rmSync(directory, { recursive: true })
    expect(await admin.call('ACL', 'SAVE')).toEqual({
      error: 'ERR There was an error trying to save the ACLs. Please check the server logs for more information',
    })
    expect(own.log.warnings.at(-1)).toContain('Cannot write the ACL file')
  })
})
