/** What the log says of a crash, and that the process ends by it. */
import { rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RespClient } from '../support/resp-client.ts'
import { freePort, temporaryDirectory } from '../support/server-process.ts'
import { Launched } from './launched.ts'

/** Makes a server throw at SIGUSR2 what nobody catches. */
const THROWING = "data:text/javascript,process.on('SIGUSR2',()=>{throw new Error('a defect')})"

let directory: string
let port: number
let server: Launched

beforeEach(async () => {
  directory = temporaryDirectory()
  port = await freePort()
})

afterEach(async () => {
  if (!server.hasExited) server.signal('SIGKILL')
  await server.exit()
  rmSync(directory, { recursive: true, force: true })
})

/** Starts a server and connects a client whose name shows in lists of clients. */
async function serve(...args: string[]): Promise<RespClient> {
  const settings = ['--http-port', '0', '--port', String(port), '--dir', directory, '--appendonly', 'no']
  const command = [process.execPath, '--import', THROWING, 'src/main.ts']
  server = new Launched([...settings, '--enable-debug-command', 'yes', ...args], null, command)
  await server.ready()
  const client = await RespClient.connect({ port })
  await client.call('CLIENT', 'SETNAME', 'witness')
  return client
}

function expectReport(cause: string): void {
  expect(server.stdout).toContain(cause)
  expect(server.stdout).toMatch(/INFO OUTPUT.*redis_version:/)
  expect(server.stdout).toMatch(/CLIENT LIST OUTPUT.*name=witness/)
}

test('SIGABRT is reported with the state of the server, and ends the process', async () => {
  const client = await serve()
  server.signal('SIGABRT')
  expect(await server.exit()).toBe('SIGABRT')
  expectReport('crashed by signal: 6 (SIGABRT)')
  client.close()
})

test('DEBUG SEGFAULT is reported with where it happened, and ends the process by SIGSEGV', async () => {
  const client = await serve()
  client.call('DEBUG', 'SEGFAULT').catch(() => null)
  expect(await server.exit()).toBe('SIGSEGV')
  expectReport('crashed by signal: 11 (SIGSEGV)')
  expect(server.stdout).toMatch(/STACK TRACE.*segfaultHandler \(\S+\/src\/commands\/server\/debug\.ts:\d+/)
  client.close()
})

test('an exception that nobody catches is reported before Node ends the process', async () => {
  const client = await serve()
  server.signal('SIGUSR2')
  expect(await server.exit()).toBe(1)
  expectReport('crashed by an exception')
  expect(server.stdout).toMatch(/STACK TRACE.*a defect/)
  expect(server.stderr).toContain('Error: a defect')
  client.close()
})

test('with crash-log-enabled no nothing is reported', async () => {
  const client = await serve('--crash-log-enabled', 'no')
  server.signal('SIGABRT')
  expect(await server.exit()).toBe('SIGABRT')
  expect(server.stdout).not.toContain('crashed by signal')
  client.close()
})
