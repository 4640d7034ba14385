/** A long request is read on as far as it has come, before others are served. */
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { loadNativeTransport } from '../../src/transport/native.ts'
import { TestBroker } from '../support/broker.ts'
import { RawConnection } from '../support/raw-connection.ts'

const VALUE = 'v'.repeat(3_000_000)
const transports = ['node', ...(typeof loadNativeTransport() === 'string' ? [] : ['native'])]

let broker: TestBroker

afterEach(() => broker.stop())

test.each(transports)('requests behind it and within it are executed in order (%s)', async (transport) => {
  broker = await TestBroker.start({ transport })
  const client = await broker.connect()
  const replies = await client.pipeline([
    ['SET', 'a', VALUE],
    ['STRLEN', 'a'],
    ['RPUSH', 'l', VALUE, 'x', VALUE.slice(1)],
    ['LLEN', 'l'],
    ['ECHO', VALUE],
    ['PING'],
  ])
  expect(replies).toEqual([{ status: 'OK' }, VALUE.length, 3, 3, VALUE, { status: 'PONG' }])
})

test.each(transports)('one that had to wait when it was whole is executed as it is (%s)', async (transport) => {
  broker = await TestBroker.start({ transport })
  const client = await broker.connect()
  const sender = await RawConnection.connect(broker.port)
  await client.call('CLIENT', 'PAUSE', '100000', 'WRITE')
  const value = 'PING\r\n'.repeat(1000)
  const bytes = `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${value.length}\r\n${value}\r\nGET k\r\n`
  sender.send(bytes.slice(0, 5000))
  const received = (): number => [...broker.server.sessions()].reduce((sum, { bytesIn }) => Math.max(sum, bytesIn), 0)
  while (received() < 5000) await client.call('PING')
  sender.send(bytes.slice(5000))
  while (broker.server.blockedCount === 0) await client.call('PING')
  await client.call('CLIENT', 'UNPAUSE')
  const replies = `+OK\r\n$${value.length}\r\n${value}\r\n`
  while (sender.text.length < replies.length) await client.call('PING')
  expect(sender.text).toBe(replies)
  sender.close()
})

test.each(transports)('one that ends in its midst changes nothing (%s)', async (transport) => {
  broker = await TestBroker.start({ transport })
  const client = await broker.connect()
  const socket = connect({ host: '127.0.0.1', port: broker.port })
  socket.end(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${VALUE.length + 1}\r\n${VALUE}`)
  socket.resume()
  await new Promise((resolve) => socket.once('close', resolve))
  expect(await client.call('EXISTS', 'k')).toBe(0)
})

test.each(transports)('one over the limit ends the connection (%s)', async (transport) => {
  broker = await TestBroker.start({ transport, 'client-query-buffer-limit': '1mb' })
  const client = await broker.connect()
  await expect(client.call('SET', 'k', VALUE)).rejects.toThrow()
  expect(await (await broker.connect()).call('EXISTS', 'k')).toBe(0)
})
