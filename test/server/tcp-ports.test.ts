/** `port` and `bind` while the server runs. */
import { afterEach, describe, expect, test } from 'vitest'
import { loadNativeTransport } from '../../src/transport/native.ts'
import { TestBroker } from '../support/broker.ts'
import { RespClient } from '../support/resp-client.ts'
import { freePort } from '../support/server-process.ts'

const PORT_REFUSED = {
  error:
    "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.",
}
const ADDRESSES_REFUSED = {
  error: "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.",
}
const OK = { status: 'OK' }

let broker: TestBroker

afterEach(() => broker.stop())

/** What a new connection to the port gets: a reply, or the code of the system's error. */
async function ping(port: number): Promise<unknown> {
  try {
    const client = await RespClient.connect({ port })
    const reply = await client.call('PING')
    client.close()
    return reply
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}

describe.skipIf(typeof loadNativeTransport() === 'string')('with the native transport', () => {
  test('CONFIG SET port opens the new one and closes the old', async () => {
    const [first, second] = [await freePort(), await freePort()]
    broker = await TestBroker.start({ transport: 'native', port: first, bind: '127.0.0.1' })
    const client = await RespClient.connect({ port: first })
    expect(await client.call('CONFIG', 'SET', 'port', String(second))).toEqual(OK)
    expect(await ping(second)).toEqual({ status: 'PONG' })
    expect(await ping(first)).toBe('ECONNREFUSED')
    expect(await client.call('PING')).toEqual({ status: 'PONG' })
    client.close()
  })

  test('a port that is taken is refused, and the old one stays open', async () => {
    const port = await freePort()
    broker = await TestBroker.start({ transport: 'native', port, bind: '127.0.0.1' })
    const client = await broker.connect()
    expect(await client.call('CONFIG', 'SET', 'port', String(broker.port))).toEqual(PORT_REFUSED)
    expect(await client.call('CONFIG', 'GET', 'port')).toEqual(['port', String(port)])
    expect(await ping(port)).toEqual({ status: 'PONG' })
    expect(broker.log.warnings.join()).toContain(`Failed listening on port ${broker.port} (TCP)`)
  })

  test('CONFIG SET bind listens on other addresses, or on none', async () => {
    const port = await freePort()
    broker = await TestBroker.start({ transport: 'native', port })
    const client = await broker.connect()
    expect(await client.call('CONFIG', 'SET', 'bind', '')).toEqual(OK)
    expect(await ping(port)).toBe('ECONNREFUSED')
    expect(await client.call('CONFIG', 'SET', 'bind', '127.0.0.1 -192.0.2.1')).toEqual(OK)
    expect(await ping(port)).toEqual({ status: 'PONG' })
    expect(await client.call('CONFIG', 'SET', 'bind', '*')).toEqual(OK)
    expect(await ping(port)).toEqual({ status: 'PONG' })
  })

  test.each([
    ['bind', 'port'],
    ['port', 'bind'],
  ])('CONFIG SET changes both at once: %s, then %s', async (...names) => {
    const [first, second] = [await freePort(), await freePort()]
    broker = await TestBroker.start({ transport: 'native', port: first })
    const client = await broker.connect()
    const set = (port: number): Promise<unknown> => {
      const values = { bind: '127.0.0.1', port: String(port) }
      return client.call('CONFIG', 'SET', ...names.flatMap((name) => [name, values[name as 'bind' | 'port']]))
    }
    expect(await set(broker.port)).toMatchObject({ error: expect.stringContaining('CONFIG SET failed') })
    expect(await client.call('CONFIG', 'GET', 'bind')).toEqual(['bind', '* -::*'])
    expect(await ping(first)).toEqual({ status: 'PONG' })
    expect(broker.log.warnings.join()).not.toContain('Cannot restore')
    expect(await set(second)).toEqual(OK)
    expect(await ping(second)).toEqual({ status: 'PONG' })
    expect(await ping(first)).toBe('ECONNREFUSED')
  })

  test.each([
    '999.999.999.999',
    '127.0.0.1 192.0.2.1',
    'localhost',
  ])('addresses that are none here are refused: %s', async (addresses) => {
    const port = await freePort()
    broker = await TestBroker.start({ transport: 'native', port, bind: '127.0.0.1' })
    const client = await broker.connect()
    expect(await client.call('CONFIG', 'SET', 'bind', addresses)).toEqual(ADDRESSES_REFUSED)
    expect(await client.call('CONFIG', 'GET', 'bind')).toEqual(['bind', '127.0.0.1'])
    expect(await ping(port)).toEqual({ status: 'PONG' })
  })
})

test('node:net moves no endpoint, and says so', async () => {
  const port = await freePort()
  broker = await TestBroker.start({ transport: 'node', port, bind: '127.0.0.1' })
  const client = await broker.connect()
  expect(await client.call('CONFIG', 'SET', 'port', '1', 'timeout', '9')).toEqual(PORT_REFUSED)
  expect(await client.call('CONFIG', 'SET', 'bind', '127.0.0.9')).toEqual(ADDRESSES_REFUSED)
  expect(await client.call('CONFIG', 'GET', 'port', 'timeout')).toEqual(['port', String(port), 'timeout', '0'])
  expect(await ping(port)).toEqual({ status: 'PONG' })
})
