/** Users and tokens in files, with the server as a process. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createBroker } from '../../src/index.ts'
import { Launched } from '../process/launched.ts'
import { RespClient } from '../support/resp-client.ts'
import { freePort, temporaryDirectory } from '../support/server-process.ts'

const OK = { status: 'OK' }

let directory: string
let port: number
let file: string
let launched: Launched | null = null

beforeEach(async () => {
  directory = temporaryDirectory()
  port = await freePort()
  file = join(directory, 'redis.conf')
})

afterEach(async () => {
  if (launched !== null) await end(launched)
  rmSync(directory, { recursive: true, force: true })
})

async function end(process: Launched): Promise<void> {
  if (!process.hasExited) process.signal('SIGKILL')
  await process.exit()
}

function launch(...lines: string[]): Launched {
  const fixed = [`dir ${directory}`, `port ${port}`, 'http-port 0', 'appendonly no', 'save ""']
  writeFileSync(file, `${[...fixed, ...lines].join('\n')}\n`)
  launched = new Launched([file])
  return launched
}

async function restart(): Promise<RespClient> {
  await end(launched!)
  launched = await new Launched([file]).ready()
  return RespClient.connect({ port })
}

test('users of redis.conf are loaded, and CONFIG REWRITE writes them as they are', async () => {
  await launch('user ann on >pw ~a* +@all', 'user bob on nopass (%R~b* +get +mget)', 'requirepass secret').ready()
  const client = await RespClient.connect({ port })
  expect(await client.call('AUTH', 'secret')).toEqual(OK)
  expect(await client.call('ACL', 'USERS')).toEqual(['ann', 'bob', 'default'])
  await client.call('ACL', 'SETUSER', 'ann', '-debug', '~"quoted"')
  await client.call('ACL', 'DELUSER', 'bob')
  expect(await client.call('CONFIG', 'REWRITE')).toEqual(OK)
  client.close()
  const users = readFileSync(file, 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('user '))
  expect(users.map((line) => line.replaceAll(/[0-9a-f]{64}/g, 'HASH'))).toEqual([
    'user ann on sanitize-payload #HASH ~a* "~\\"quoted\\"" resetchannels +@all -debug',
    'user default on #HASH ~* &* +@all',
  ])
  const again = await restart()
  expect(await again.call('AUTH', 'ann', 'pw')).toEqual(OK)
  expect(await again.call('SET', '"quoted"', '1')).toEqual(OK)
  expect(await again.call('SET', 'b', '1')).toEqual({
    error: 'NOPERM this user has no permissions to access one of the keys used as arguments',
  })
  expect(await again.call('AUTH', 'secret')).toEqual(OK)
  again.close()
})

test.each([
  [['user ann +nosuch'], "Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL"],
  [['user ann on', 'user ann off'], 'Duplicate user found. A user can only be defined once in config files'],
  [['user "a b" on'], 'Spaces not allowed in ACL usernames'],
  [['user ann (+get'], "Unmatched parenthesis in acl selector starting at '(+get'."],
  [['user ann on', 'aclfile x.acl'], 'please define either an ACL file or declare users directly in your redis.conf'],
  [['aclfile x.acl'], "Error loading ACLs, opening file 'x.acl': No such file or directory"],
])('%j keeps the server from starting', async (lines, problem) => {
  const process = launch(...lines)
  expect(await process.exit()).toBe(1)
  expect(process.stderr).toContain(problem)
})

test('a file of tokens that holds something else keeps the server from starting', async () => {
  writeFileSync(join(directory, 'tokens.json'), 'oops')
  const process = launch()
  expect(await process.exit()).toBe(1)
  expect(process.stderr).toBe(`Cannot read tokens from ${join(directory, 'tokens.json')}: it is no JSON\n`)
})

test('tokens survive a restart; there is no file before the first', async () => {
  await launch().ready()
  const client = await RespClient.connect({ port })
  expect(existsSync(join(directory, 'tokens.json'))).toBe(false)
  await client.call('ACL', 'TOKEN', 'CREATE', 'default', 'NAME', 'kept')
  client.close()
  const again = await restart()
  expect(JSON.stringify(await again.call('ACL', 'TOKEN', 'LIST'))).toContain('kept')
  again.close()
})

test('a broker without a directory writes no file', async () => {
  const before = process.cwd()
  const empty = mkdtempSync(join(tmpdir(), 'millrace-'))
  process.chdir(empty)
  const broker = await createBroker()
  try {
    expect(await broker.call('ACL', 'TOKEN', 'CREATE', 'default')).toHaveProperty('token')
    expect(readdirSync(empty)).toEqual([])
  } finally {
    process.chdir(before)
    await broker.close()
    rmSync(empty, { recursive: true })
  }
})

test('calls of the program itself are not held up by what the default user may do', async () => {
  const broker = await createBroker()
  await broker.call('ACL', 'SETUSER', 'default', 'off', '-@all', 'resetkeys')
  expect(await broker.call('SET', 'k', 'v')).toBe('OK')
  expect(await broker.call('ACL', 'WHOAMI')).toBe('default')
  await broker.close()
})
