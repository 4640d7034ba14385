/** The process with a remote engine: what it opens, how it starts, stops and fails. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import { until } from '../support/redis-servers.ts'
import { freePort, hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const LIMIT_MS = 15_000

interface Started {
  readonly output: () => string
  readonly exited: Promise<number | null>
  signal(name: NodeJS.Signals): void
}

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each()
})

function start(...args: readonly string[]): Started {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  child.stderr.on('data', (chunk) => (output += String(chunk)))
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(LIMIT_MS * 2) }).then(
    ([code]) => code as number | null,
  )
  undo.push(() => child.kill('SIGKILL'))
  return { output: () => output, exited, signal: (name) => child.kill(name) }
}

function directory(): string {
  const path = temporaryDirectory()
  mkdirSync(path, { recursive: true })
  undo.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

describe('a process with a remote engine', () => {
  test.skipIf(!hasRedisServer)(
    'opens the gateway with its own users, no RESP port, and ends gracefully',
    async () => {
      const server = await ServerProcess.redis(['--requirepass', 'hush'])
      undo.push(() => server.dispose())
      const [httpPort, port, dir] = [await freePort(), await freePort(), directory()]
      const file = join(dir, 'gateway.conf')
      writeFileSync(
        file,
        [`engine redis://:hush@127.0.0.1:${server.port}`, 'requirepass own', 'user ann on >pw +get ~*'].join('\n'),
      )
      const gateway = start(
        file,
        ...['--http-port', String(httpPort), '--port', String(port), '--dir', dir, '--pidfile', 'gateway.pid'],
      )
      await until('the gateway is connected', () => gateway.output().includes('Connected to 127.0.0.1'))
      await until('the gateway listens', () => gateway.output().includes('The gateway listens'))
      const url = `http://127.0.0.1:${httpPort}`
      const ask = async (path: string, authorization: string): Promise<unknown> =>
        (await fetch(url + path, { headers: { authorization } })).json()
      const basic = `Basic ${Buffer.from('ann:pw').toString('base64')}`
      expect(await ask('/set/k/v', 'Bearer own')).toEqual({ result: 'OK' })
      expect(await ask('/get/k', basic)).toEqual({ result: 'v' })
      expect(await ask('/set/k/v', basic)).toMatchObject({ error: expect.stringContaining('NOPERM') })
      expect(await ask('/get/k', 'Bearer hush')).toMatchObject({ error: expect.stringContaining('WRONGPASS') })
      await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow()
      expect(readFileSync(join(dir, 'gateway.pid'), 'utf8')).toMatch(/^\d+\n$/)

      const blocked = fetch(`${url}/blpop/none/0`, { headers: { authorization: 'Bearer own' } }).catch(() => null)
      gateway.signal('SIGTERM')
      expect(await gateway.exited).toBe(0)
      await blocked
      expect(gateway.output()).toContain('without effect are port')
      expect(gateway.output()).toContain('ready to exit')
      expect(gateway.output()).not.toContain('hush')
    },
    LIMIT_MS * 2,
  )

  test(
    'starts without its server, and says that it is not ready',
    async () => {
      const [httpPort, port] = [await freePort(), await freePort()]
      const gateway = start(
        '--engine',
        `redis://127.0.0.1:${port}`,
        '--http-port',
        String(httpPort),
        '--dir',
        directory(),
      )
      await until('the gateway listens', () => gateway.output().includes('The gateway listens'))
      await until('the failure is logged', () => gateway.output().includes('ECONNREFUSED'))
      const response = await fetch(`http://127.0.0.1:${httpPort}/readyz`)
      expect([response.status, await response.json()]).toMatchObject([503, { engine: 'remote', status: 'not ready' }])
      gateway.signal('SIGINT')
      expect(await gateway.exited).toBe(0)
    },
    LIMIT_MS * 2,
  )

  test.each([
    ['a URL that cannot be used', ['--engine', 'redis://:SE/CRET@db'], 'must be written as %2F'],
    [
      'renamed commands',
      ['--engine', 'redis://db', '--rename-command', 'GET', 'FETCH'],
      'rename-command cannot be used',
    ],
    ['no gateway', ['--engine', 'redis://db', '--http-port', '0'], 'there is nothing to open'],
    ['an ACL file that is not there', ['--engine', 'redis://db', '--aclfile', 'none.acl'], 'none.acl'],
  ])(
    '%s is fatal, with a message and without a secret',
    async (_name, args, text) => {
      const gateway = start('--dir', directory(), '--http-port', '1', ...args)
      expect(await gateway.exited).toBe(1)
      expect(gateway.output()).toContain(text)
      expect(gateway.output()).not.toContain('CRET')
      expect(gateway.output()).not.toContain('    at ')
    },
    LIMIT_MS,
  )
})

test('a broker, which has its data in its own process, refuses a remote engine', async () => {
  await expect(TestBroker.start({ engine: 'redis://db' })).rejects.toThrow(/its engine is local/)
})
