/**
 * Objects of the hot path have one shape: every field is set in the constructor, in one order. A field that is added
 * later would make V8 compile everything that touches a client for two shapes.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SERVER = new URL('../../src/server/server.ts', import.meta.url).href
const CONFIG = new URL('../../src/config/config.ts', import.meta.url).href
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Runs in a process of its own, which understands V8's natives. */
const PROGRAM = `
import { configFromOptions } from '${CONFIG}'
import { Server } from '${SERVER}'
const sameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)')
const server = new Server({
  config: configFromOptions({ port: 0 }),
  log: { debug() {}, verbose() {}, notice() {}, warning() {} },
  clock: { now: Date.now, elapsed: () => performance.now() },
})
const connection = () => ({ address: '', localAddress: '', isUnixSocket: false, isLocal: true, queuedBytes: 0,
  send: () => true, pause() {}, resume() {}, setKeepAlive() {}, end() {}, destroy() {} })
const [idle, busy] = [server.accept(connection()), server.accept(connection())]
const send = (text) => { const bytes = Buffer.from(text); busy.received(bytes, 0, bytes.length) }
send('HELLO 3\\r\\nCLIENT SETNAME x\\r\\nMULTI\\r\\nSET k v\\r\\nEXEC\\r\\nWATCH k\\r\\nSUBSCRIBE c\\r\\nSET half')
send('*1000\\r\\n$3\\r\\nSET\\r\\n')
console.log(JSON.stringify({
  clients: sameMap(idle, busy),
  databases: sameMap(server.keyspace.databases[0], server.keyspace.databases[5]),
}))
process.exit(0)
`

test('clients and databases keep their shape, whatever they have been through', () => {
  const output = execFileSync(process.execPath, ['--allow-natives-syntax', '--input-type=module', '-e', PROGRAM], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect(JSON.parse(output)).toEqual({ clients: true, databases: true })
})
