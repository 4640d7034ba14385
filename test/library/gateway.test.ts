/** A broker inside a program, with its gateway. */
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { createBroker } from '../../src/index.ts'

test('httpPort 0 opens the gateway on a free port, which close() closes', async () => {
  const broker = await createBroker({ httpPort: 0 })
  const url = `http://127.0.0.1:${broker.httpPort}`
  try {
    expect(broker.httpPort).toBeGreaterThan(0)
    expect(broker.port).toBe(0)
    await broker.call('SET', 'greeting', 'hello')
    const response = await fetch(`${url}/get/greeting`)
    expect(await response.json()).toEqual({ result: 'hello' })
  } finally {
    await broker.close()
  }
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
})

test('without an httpPort there is no gateway', async () => {
  const broker = await createBroker()
  expect(broker.httpPort).toBe(0)
  await broker.close()
})

test('a password is asked for at both doors', async () => {
  const broker = await createBroker({ httpPort: 0, requirepass: 'secret' })
  try {
    const url = `http://127.0.0.1:${broker.httpPort}/ping`
    expect((await fetch(url)).status).toBe(401)
    expect((await fetch(url, { headers: { authorization: 'Bearer secret' } })).status).toBe(200)
  } finally {
    await broker.close()
  }
})

test('an httpPort that is taken rejects, and leaves nothing open', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const address = other.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    await expect(createBroker({ httpPort: port })).rejects.toThrow(`Cannot listen on port ${port} (HTTP)`)
  } finally {
    other.close()
  }
})
