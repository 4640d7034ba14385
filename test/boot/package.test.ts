/**
 * What is packed runs below node_modules, where Node strips no types. The package is made as `npm pack` makes it and put into
 * a project; the packages that it needs are links to those installed here.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort, ServerProcess, temporaryDirectory } from '../support/server-process.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ADDONS = 'src/transport/native/build'

let project: string
let installed: string

beforeAll(() => {
  project = temporaryDirectory()
  installed = join(project, 'node_modules', 'millrace')
  expect(run('npm', ['run', 'build'], ROOT).status).toBe(0)
  const listed = run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], ROOT)
  for (const [, path] of listed.stdout.matchAll(/"path": "([^"]+)"/g)) {
    mkdirSync(dirname(join(installed, path!)), { recursive: true })
    cpSync(join(ROOT, path!), join(installed, path!))
  }
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name))
  }
  // As its installation builds them.
  if (existsSync(join(ROOT, ADDONS))) cpSync(join(ROOT, ADDONS), join(installed, ADDONS), { recursive: true })
}, 120_000)

afterAll(() => rmSync(project, { recursive: true, force: true }))

function run(command: string, args: readonly string[], cwd: string = project) {
  return spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 100_000 })
}

/** Runs a file of the project and returns what it prints. */
function runFile(name: string, text: string): string {
  writeFileSync(join(project, name), text)
  const { stdout, stderr } = run(process.execPath, [name])
  return `${stdout}${stderr}`.replace(/^\(.*\n/gm, '')
}

test('no sources of the server are packed, nor what was built of them for this machine', () => {
  const files = readdirSync(join(installed, 'src'))
  expect(files.toSorted()).toEqual(['boot', 'client', 'transport'])
})

test('a program imports it: calls, scripts, HTTP, the client for pages, a snapshot and the log it comes back from', () => {
  const text = `
    import { createBroker } from 'millrace'
    import { connect } from 'millrace/client'
    const broker = await createBroker({ dataDir: './data', port: 0, httpPort: 0 })
    const get = async (path) => (await fetch('http://127.0.0.1:' + broker.httpPort + path)).status
    await broker.call('SET', 'key', 'value')
    console.log(await broker.call('EVAL', 'return redis.call("GET", KEYS[1])', '1', 'key'))
    for (const path of ['/get/key', '/client.js', '/queues/', '/v1/openapi.json', '/v1/docs/', '/metrics']) console.log(await get(path))
    await broker.call('BGREWRITEAOF')
    let info = ''
    while (!info.includes('aof_rewrites:1')) info = String(await broker.call('INFO', 'persistence'))
    while (!info.includes('aof_rewrite_in_progress:0')) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      info = String(await broker.call('INFO', 'persistence'))
    }
    console.log(/aof_last_bgrewrite_status:(\\w+)/.exec(info)[1])
    await broker.close()
    const again = await createBroker({ dataDir: './data' })
    console.log(await again.call('GET', 'key'), typeof connect)
    await again.close()`
  expect(runFile('program.mjs', text)).toBe('value\n200\n200\n200\n200\n200\n200\nok\nvalue function\n')
})

test('a program of CommonJS requires it', () => {
  const text = `
    const { createBroker } = require('millrace')
    createBroker().then(async (broker) => {
      console.log(await broker.call('PING'))
      await broker.close()
    })`
  expect(runFile('program.cjs', text)).toBe('PONG\n')
})

test('its programs start: a server that loads its RDB file, the tools, the worker', async () => {
  const { bin } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { bin: Record<string, string> }
  const directory = join(project, 'server')
  mkdirSync(directory)
  for (const expected of [null, 'value']) {
    const server = await ServerProcess.installed(join(installed, bin.millrace!), directory, ['--appendonly', 'no'])
    const client = await server.connect()
    expect(await client.call('GET', 'key')).toEqual(expected)
    await client.call('SET', 'key', 'value')
    await client.call('SAVE')
    client.close()
    await server.kill()
  }
  expect(run(process.execPath, [join(installed, bin.millrace!), 'check-rdb', join(directory, 'dump.rdb')]).status).toBe(
    0,
  )
  expect(run(process.execPath, [join(installed, bin['millrace-worker']!), '--help']).stdout).toContain('--processor')
})

test('it serves TLS, and has its addons where they were built', async () => {
  const pem = (name: string): string => join(ROOT, 'test/support/tls', name)
  const port = await freePort()
  const server = await ServerProcess.installed(join(installed, 'src/boot/main.cjs'), temporaryDirectory(), [
    ...['--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-ca-cert-file', pem('ca.pem')],
    ...['--tls-cert-file', pem('server.pem'), '--tls-key-file', pem('server.key'), '--appendfsync', 'always'],
  ])
  const socket = connect({ port, host: '127.0.0.1', ca: readFileSync(pem('ca.pem')), rejectUnauthorized: false })
  socket.write('SET key value\r\n')
  expect(String((await once(socket, 'data'))[0])).toBe('+OK\r\n')
  socket.destroy()
  if (existsSync(join(installed, ADDONS))) {
    const loaded = readFileSync(`/proc/${server.pid}/maps`, 'utf8')
    for (const addon of ['epoll.node', 'heap.node', 'sync.node'])
      expect(loaded).toContain(join(installed, ADDONS, 'Release', addon))
  }
  await server.kill()
  rmSync(server.directory, { recursive: true, force: true })
})

test('a program in TypeScript has its types, without checks being skipped', () => {
  const text = `
    import { createBroker, ioredisOptions, type LocalBroker, type ReplyValue } from 'millrace'
    import { connect, type Entry } from 'millrace/client'
    const broker: LocalBroker = await createBroker({ port: 0 })
    const reply: ReplyValue = await broker.call('GET', 'key')
    connect({ url: '' }).stream('orders', { from: '0' }, (entry: Entry) => console.log(entry.id, reply, ioredisOptions(broker)))
    // @ts-expect-error: options have types
    await createBroker({ port: '0' })
    export {}`
  writeFileSync(join(project, 'program.ts'), text)
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node']
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  expect(run(process.execPath, [tsc, ...options, 'program.ts']).stdout).toBe('')
})
