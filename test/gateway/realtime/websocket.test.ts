/** The WebSocket door: the handshake, the protocol, channels, limits, and what ends a connection. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { REALTIME_LIMITS } from '../../../src/gateway/realtime/limits.ts'
import { TestGateway } from '../../support/gateway.ts'
import { ProtocolClient } from './protocol-client.ts'

let gateway: TestGateway
const clients: ProtocolClient[] = []

async function connect(options: Parameters<typeof ProtocolClient.connect>[1] = {}): Promise<ProtocolClient> {
  const client = await ProtocolClient.connect(gateway.webSocketUrl, options)
  clients.push(client)
  return client
}

async function closeAll(): Promise<void> {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await gateway.close()
}

/** The status with which a handshake is refused. */
async function refusedWith(headers: Record<string, string>, path = '/v1/realtime'): Promise<number> {
  const socket = new WebSocket(gateway.webSocketUrl + path, ['millrace.v1'], { headers })
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  response.resume()
  return response.statusCode
}

afterEach(closeAll)

describe('The handshake', () => {
  beforeEach(async () => {
    gateway = await TestGateway.start()
  })

  test('chooses the subprotocol and greets with version, user and limits', async () => {
    const socket = new WebSocket(`${gateway.webSocketUrl}/v1/realtime`, ['other', 'millrace.v1'])
    const [data] = await once(socket, 'message')
    expect(JSON.parse(String(data))).toEqual({
      type: 'welcome',
      version: 1,
      user: 'default',
      heartbeatMs: 25_000,
      limits: { messageBytes: 8388608, bufferBytes: 1048576, subscriptions: 1000, consumptions: 16 },
    })
    expect(socket.protocol).toBe('millrace.v1')
    expect(socket.extensions).toBe('')
    socket.close()
    await once(socket, 'close')
  })

  test('is refused for a page of another origin that brings no token', async () => {
    expect(await refusedWith({ origin: 'https://evil.example' })).toBe(403)
    expect(await refusedWith({ origin: `http://127.0.0.1:${gateway.port + 1}` })).toBe(403)
  })

  test('is accepted for a page of the same origin', async () => {
    const socket = new WebSocket(`${gateway.webSocketUrl}/v1/realtime`, { headers: { origin: gateway.url } })
    await once(socket, 'open')
    socket.close()
    await once(socket, 'close')
  })

  test('is refused for a wrong token, wherever it stands', async () => {
    expect(await refusedWith({ authorization: 'Bearer mr_wrong' })).toBe(401)
    expect(await refusedWith({}, '/v1/realtime?_token=mr_wrong')).toBe(401)
  })

  test.each([
    ['with a wrong token', 401, ['Authorization: Bearer mr_wrong', 'Sec-WebSocket-Version: 13']],
    ['of another version', 400, ['Sec-WebSocket-Version: 7']],
  ])('%s is refused with %i, and the connection ends', async (_name, status, headers) => {
    const socket = connectTcp(gateway.port, '127.0.0.1')
    const lines = [
      'GET /v1/realtime HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      ...headers,
    ]
    socket.write(`${lines.join('\r\n')}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`)
    const [data] = await once(socket, 'data')
    expect(String(data).slice(0, 12)).toBe(`HTTP/1.1 ${status}`)
    if (!socket.closed) await once(socket, 'close')
  })

  test('takes a token in the header, in the query and as a subprotocol', async () => {
    gateway.user('ann', ['on', '+@all', '~*', '&*'])
    const token = gateway.tokenOf('ann')
    for (const [path, protocols, headers] of [
      ['/v1/realtime', [], { authorization: `Bearer ${token}` }],
      [`/v1/realtime?_token=${token}`, [], {}],
      ['/v1/realtime', ['millrace.v1', `bearer.${token}`], {}],
    ] as const) {
      const socket = new WebSocket(gateway.webSocketUrl + path, [...protocols], { headers })
      const [data] = await once(socket, 'message')
      expect(JSON.parse(String(data)).user).toBe('ann')
      socket.close()
      await once(socket, 'close')
    }
  })

  test('is asked for with 426 when a plain request comes', async () => {
    const response = await gateway.fetch('/v1/realtime')
    expect(response.status).toBe(426)
    expect(response.headers.get('upgrade')).toBe('websocket')
  })

  test('leaves a request that offers HTTP/2 to HTTP/1.1', async () => {
    const socket = connectTcp(gateway.port, '127.0.0.1')
    socket.write(
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    )
    const [data] = await once(socket, 'data')
    expect(String(data)).toMatch(/^HTTP\/1\.1 200 /)
    socket.destroy()
  })
})

describe('Requests', () => {
  beforeEach(async () => {
    gateway = await TestGateway.start({ 'http-body-limit': 2048 })
  })

  test('are answered under their ID', async () => {
    const client = await connect()
    client.socket.send('{"id":"seven","op":"ping"}')
    await client.until(() => client.received.length === 1)
    expect(client.received).toEqual([{ type: 'reply', id: 'seven', result: 'pong' }])
  })

  test.each([
    [{ op: 'dance' }, /op must be one of subscribe, /],
    [{ op: 'subscribe' }, /Name one of channel/],
    [{ op: 'subscribe', channel: 'a', stream: 'b' }, /Name one of channel/],
    [{ op: 'subscribe', channel: 7 }, /channel must be string/],
    [{ op: 'subscribe', channel: 'a', extra: 1 }, /must NOT have additional properties/],
    [{ op: 'subscribe', stream: 's', from: 'yesterday' }, /from must match pattern/],
    [{ op: 'subscribe', stream: 's', from: '99999999999999999999' }, /from must be \$ or an entry ID/],
    [{ op: 'consume', stream: 's', group: 'g', consumer: 'c', credit: 1001 }, /credit must be <= 1000/],
    [{ op: 'append', stream: 's', fields: ['a', 'b', 'c'] }, /names and values in turn/],
    [{ op: 'call', args: [] }, /args must NOT have fewer than 1 items/],
  ])('that are wrong get BAD_REQUEST and change nothing: %j', async (request, detail) => {
    const client = await connect()
    const { op, ...members } = request
    await expect(client.request(op, members)).rejects.toThrow(/^BAD_REQUEST: /)
    await expect(client.request(op, members)).rejects.toThrow(detail)
    expect(await client.request('ping')).toBe('pong')
  })

  test.each([
    ['not JSON', '{'],
    ['no object', '[1]'],
    ['without an ID', '{"op":"ping"}'],
    ['with an ID that is none', '{"id":1.5,"op":"ping"}'],
    ['binary', Buffer.from('{"id":1,"op":"ping"}')],
  ])('that are %s close the connection with 4400', async (_name, message) => {
    const client = await connect()
    client.socket.send(message)
    await client.until(() => client.closed !== null)
    expect(client.closed?.code).toBe(4400)
  })

  test('above http-body-limit close the connection with 1009', async () => {
    const client = await connect()
    client.socket.send(JSON.stringify({ id: 1, op: 'publish', channel: 'c', data: 'x'.repeat(2048) }))
    await client.until(() => client.closed !== null)
    expect(client.closed?.code).toBe(1009)
  })

  test('publish, append and call run commands and reply as RESP2', async () => {
    const client = await connect()
    expect(await client.request('publish', { channel: 'nobody', data: 'x' })).toBe(0)
    expect(await client.request('append', { stream: 's', fields: { a: 1 }, entryId: '5-1' })).toBe('5-1')
    expect(
      await client.request('append', { stream: 's', fields: ['YQ==', '/w=='], encoding: 'base64', entryId: '5-2' }),
    ).toBe('5-2')
    expect(await gateway.call('XRANGE', 's', '5-1', '5-1')).toEqual([['5-1', ['a', '1']]])
    expect(await client.request('call', { args: ['XRANGE', 's', '5-2', '5-2'], encoding: 'base64' })).toEqual([
      ['NS0y', ['YQ==', '/w==']],
    ])
    expect(await client.request('call', { args: ['HSET', 'h', 'f', 7] })).toBe(1)
    expect(await client.request('call', { args: ['HGETALL', 'h'] })).toEqual(['f', '7'])
    expect(await client.request('call', { args: ['INCRBY', 'n', '9007199254740993'] })).toBe('9007199254740993')
    await expect(client.request('call', { args: ['LPUSH', 'h', 'x'] })).rejects.toThrow(
      'WRONGTYPE: WRONGTYPE Operation',
    )
    await expect(client.request('call', { args: ['SUBSCRIBE', 'c'] })).rejects.toThrow(/^ERR: /)
  })

  test('trim a stream to about maxLength when they append', async () => {
    const client = await connect()
    for (let i = 0; i < 250; i++) await client.request('append', { stream: 's', fields: { i }, maxLength: 10 })
    expect(Number(await gateway.call('XLEN', 's'))).toBeLessThan(250)
  })
})

describe('Blocking calls', () => {
  beforeEach(async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, blockingCallMs: 50, blockingCallsMax: 2 } })
  })

  test('end after their time, as by their timeout, and take nothing afterwards', async () => {
    const client = await connect()
    expect(await client.request('call', { args: ['BLPOP', 'list', 0] })).toBeNull()
    await gateway.call('RPUSH', 'list', 'x')
    expect(await gateway.call('LLEN', 'list')).toBe(1)
  })

  test('get LIMIT beyond a number', async () => {
    const client = await connect()
    const waiting = [
      client.request('call', { args: ['BLPOP', 'a', 0] }),
      client.request('call', { args: ['BLPOP', 'b', 0] }),
    ]
    await expect(client.request('call', { args: ['BLPOP', 'c', 0] })).rejects.toThrow(/^LIMIT: /)
    expect(await Promise.all(waiting)).toEqual([null, null])
  })
})

describe('Channels', () => {
  beforeEach(async () => {
    gateway = await TestGateway.start({ 'notify-keyspace-events': 'KEA' })
  })

  test('push their messages in order, bytes as base64', async () => {
    const client = await connect()
    expect(await client.request('subscribe', { channel: 'news' })).toEqual({ channel: 'news' })
    await gateway.call('PUBLISH', 'news', 'grüß "dich"\n')
    await gateway.call('PUBLISH', 'news', Uint8Array.of(0, 255))
    await client.until(() => client.received.length === 2)
    expect(client.received).toEqual([
      { type: 'message', channel: 'news', data: 'grüß "dich"\n' },
      { type: 'message', channel: 'news', data: 'AP8=', encoding: 'base64' },
    ])
  })

  test('push messages of every length of frame', async () => {
    const client = await connect()
    await client.request('subscribe', { channel: 'c' })
    const lengths = [0, 80, 81, 82, 83, 84, 85, 86, 65_490, 65_500, 200_000]
    for (const length of lengths) await gateway.call('PUBLISH', 'c', 'x'.repeat(length))
    await client.until(() => client.received.length === lengths.length)
    expect(client.received.map(({ data }) => String(data).length)).toEqual(lengths)
  })

  test('name the pattern and the channel of a message that a pattern matched', async () => {
    const client = await connect()
    await client.request('subscribe', { pattern: 'news.*' })
    await gateway.call('PUBLISH', 'news.ä', 'x')
    expect(await client.push('message')).toEqual({ type: 'message', pattern: 'news.*', channel: 'news.ä', data: 'x' })
  })

  test('share one upstream subscription, which ends with the last client', async () => {
    const all = await Promise.all([connect(), connect(), connect()])
    for (const client of all) await client.request('subscribe', { channel: 'shared' })
    expect(await gateway.call('PUBSUB', 'NUMSUB', 'shared')).toEqual(['shared', 1])
    expect(await gateway.call('PUBLISH', 'shared', 'x')).toBe(1)
    for (const client of all) expect(await client.push('message')).toMatchObject({ data: 'x' })
    await all[0]!.request('unsubscribe', { channel: 'shared' })
    await all[1]!.close()
    expect(await gateway.call('PUBSUB', 'NUMSUB', 'shared')).toEqual(['shared', 1])
    await all[2]!.request('unsubscribe', { channel: 'shared' })
    expect(await gateway.call('PUBSUB', 'CHANNELS')).toEqual([])
  })

  test('push nothing after they were unsubscribed', async () => {
    const client = await connect()
    await client.request('subscribe', { channel: 'c' })
    await client.request('unsubscribe', { channel: 'c' })
    await gateway.call('PUBLISH', 'c', 'x')
    await client.request('ping')
    expect(client.received).toEqual([])
    await expect(client.request('unsubscribe', { channel: 'c' })).rejects.toThrow(/^NOT_SUBSCRIBED: /)
  })

  test('of keys push events, those of a restricted user only about keys that may be read', async () => {
    gateway.user('ann', ['on', '+@all', '~app:*'])
    const client = await connect({ token: gateway.tokenOf('ann') })
    const all = await connect()
    for (const each of [client, all]) await each.request('subscribe', { keys: '*' })
    await gateway.call('SET', 'secret', '1')
    await gateway.call('SET', 'app:1', '1')
    await all.until(() => all.received.length === 2)
    expect(all.received).toEqual([
      { type: 'keyspace', keys: '*', key: 'secret', event: 'set' },
      { type: 'keyspace', keys: '*', key: 'app:1', event: 'set' },
    ])
    expect(await client.push('keyspace')).toEqual({ type: 'keyspace', keys: '*', key: 'app:1', event: 'set' })
    expect(client.received).toEqual([])
    await expect(client.request('subscribe', { keys: 'secret' })).rejects.toThrow(/^NOPERM: /)
  })

  test('of keys are refused while the server publishes no keyspace events', async () => {
    const client = await connect()
    await gateway.call('CONFIG', 'SET', 'notify-keyspace-events', '')
    await expect(client.request('subscribe', { keys: '*' })).rejects.toThrow(/^KEYSPACE_EVENTS_OFF: /)
    await gateway.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEA')
    await client.request('subscribe', { keys: '*' })
  })
})

describe('Limits', () => {
  test('refuse subscriptions beyond the number with LIMIT, and floods with 4429', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, subscriptionsMax: 3, refusalsMax: 2 } })
    const client = await connect()
    for (const channel of ['a', 'b', 'c', 'c']) await client.request('subscribe', { channel })
    await expect(client.request('subscribe', { channel: 'd' })).rejects.toThrow(/^LIMIT: /)
    await expect(client.request('subscribe', { channel: 'e' })).rejects.toThrow(/^LIMIT: /)
    await expect(client.request('subscribe', { channel: 'f' })).rejects.toThrow('closed: 4429')
    expect(await gateway.call('PUBSUB', 'CHANNELS')).toEqual([])
  })

  test('of all clients together are told by LIMIT, and are free again when something ends', async () => {
    const limits = { ...REALTIME_LIMITS, topicsMax: 1, feedsMax: 1, allConsumptionsMax: 1 }
    gateway = await TestGateway.start({}, { realtime: limits })
    const [one, other] = [await connect(), await connect()]
    const consume = { stream: 's', group: 'g', create: '0' }
    for (const [op, first, second] of [
      ['subscribe', { channel: 'a' }, { pattern: 'a' }],
      ['subscribe', { stream: 'a' }, { stream: 'b' }],
      ['consume', { ...consume, consumer: 'c' }, { ...consume, consumer: 'd' }],
    ] as const) {
      await one.request(op, first)
      await other.request(op, first)
      await expect(other.request(op, second)).rejects.toThrow(/^LIMIT: /)
    }
    await Promise.all([one.close(), other.close()])
    const third = await connect()
    await third.request('subscribe', { pattern: 'a' })
    await third.request('subscribe', { stream: 'b' })
    await third.request('consume', { ...consume, consumer: 'd' })
  })

  test('close a connection that sends too many messages with 4429', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, messagesPerSecondMax: 1 } })
    const client = await connect()
    for (let i = 0; i < 3; i++) client.socket.send(`{"id":${i},"op":"ping"}`)
    await client.until(() => client.closed !== null)
    expect(client.closed?.code).toBe(4429)
  })

  test('have a client not read from while too many of its requests are under way, and answer all', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, requestsMax: 2 } })
    const client = await connect()
    for (let i = 0; i < 500; i++)
      client.socket.send(JSON.stringify({ id: `x${i}`, op: 'publish', channel: 'c', data: 'x'.repeat(500) }))
    await client.until(() => client.received.length === 500)
    expect(new Set(client.received.map(({ id }) => id)).size).toBe(500)
  })

  test('have requests wait in their order while as many as may be are under way', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, requestsMax: 2 } })
    const client = await connect()
    for (const [id, args] of [
      ['a', ['BLPOP', 'a', '0']],
      ['b', ['BLPOP', 'b', '0']],
      ['c', ['INCR', 'n']],
      ['d', ['INCR', 'n']],
    ] as const) {
      client.socket.send(JSON.stringify({ id, op: 'call', args }))
    }
    while (!String(await gateway.call('INFO', 'clients')).includes('blocked_clients:2')) await new Promise(setImmediate)
    expect(await gateway.call('EXISTS', 'n')).toBe(0)
    await gateway.call('RPUSH', 'b', 'x')
    await client.until(() => client.received.length === 3)
    expect(client.received.map(({ id, result }) => [id, result])).toEqual([
      ['b', ['b', 'x']],
      ['c', 1],
      ['d', 2],
    ])
  })

  test('keep what waits for a client that does not read bounded, however many replies it asks for', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, requestsMax: 4 } })
    const client = await connect()
    await gateway.call('SET', 'big', 'x'.repeat(256 * 1024))
    client.socket.pause()
    for (let i = 0; i < 200; i++) client.socket.send(JSON.stringify({ id: i, op: 'call', args: ['GET', 'big'] }))
    let calls = -1
    // Until nothing is begun any more.
    for (let quiet = 0; quiet < 20; quiet++) {
      await gateway.call('PING')
      const found = Number(/cmdstat_get:calls=(\d+)/.exec(String(await gateway.call('INFO', 'commandstats')))?.[1] ?? 0)
      if (found !== calls) quiet = 0
      calls = found
    }
    expect(calls).toBeLessThan(80)
    client.socket.resume()
    await client.until(() => client.received.length === 200)
  })

  test('close a client that does not take its messages with 4408, and drop for one that asked for it', async () => {
    gateway = await TestGateway.start(
      {},
      { realtime: { ...REALTIME_LIMITS, bufferBytesMax: 128 * 1024, closeMs: 200 } },
    )
    const closing = await connect()
    const dropping = await connect()
    await closing.request('subscribe', { channel: 'c' })
    await dropping.request('subscribe', { channel: 'c', overflow: 'drop' })
    closing.socket.pause()
    dropping.socket.pause()
    const data = 'x'.repeat(64 * 1024)
    let sent = 0
    while (Number(((await gateway.call('PUBSUB', 'NUMSUB', 'c')) as unknown[])[1]) === 1 && sent < 400) {
      await gateway.call('PUBLISH', 'c', data)
      sent++
    }
    closing.socket.resume()
    await closing.until(() => closing.closed !== null)
    // 1006: it did not read the close in time, and was cut off.
    expect([4408, 1006]).toContain(closing.closed?.code)
    dropping.socket.resume()
    const { count, channel } = await dropping.push('dropped')
    expect(channel).toBe('c')
    const messages = dropping.received.filter(({ type }) => type === 'message').length
    expect(messages + Number(count)).toBe(sent)
    await gateway.call('PUBLISH', 'c', 'again')
    await dropping.until(() => dropping.received.some((message) => message.data === 'again'))
  })
})

describe('A connection', () => {
  test('that shows no life between two heartbeats is cut off', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, heartbeatMs: 60 } })
    const dead = await connect({ autoPong: false })
    const live = await connect()
    let pings = 0
    live.socket.on('ping', () => pings++)
    await dead.until(() => dead.closed !== null)
    expect(dead.closed?.code).toBe(1006)
    while (pings < 4) await once(live.socket, 'ping')
    expect(live.closed).toBeNull()
  })

  test('that waits for its own request is not taken for dead', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, heartbeatMs: 30, requestsMax: 1 } })
    const client = await connect()
    expect(await client.request('call', { args: ['BLPOP', 'a', '0.3'] })).toBeNull()
    expect(await client.request('ping')).toBe('pong')
  })

  test('over TLS is as any other', async () => {
    const file = (name: string): string => fileURLToPath(new URL(`../../support/tls/${name}`, import.meta.url))
    gateway = await TestGateway.start({
      'http-tls-cert-file': file('server.pem'),
      'http-tls-key-file': file('server.key'),
    })
    const socket = new WebSocket(`${gateway.webSocketUrl}/v1/realtime`, { rejectUnauthorized: false })
    await once(socket, 'message')
    socket.send('{"id":1,"op":"subscribe","channel":"c"}')
    await once(socket, 'message')
    socket.send(`{"id":2,"op":"publish","channel":"c","data":"${'x'.repeat(100_000)}"}`)
    const [data] = await once(socket, 'message')
    expect(JSON.parse(String(data))).toEqual({ type: 'message', channel: 'c', data: 'x'.repeat(100_000) })
    socket.close()
    await once(socket, 'close')
  })

  test('ends with 1001 when the gateway drains', async () => {
    gateway = await TestGateway.start()
    const client = await connect()
    await client.request('subscribe', { channel: 'c' })
    await gateway.gateway.close()
    await client.until(() => client.closed !== null)
    expect(client.closed?.code).toBe(1001)
  })

  test('is not taken any more while the gateway drains', async () => {
    gateway = await TestGateway.start()
    const keptAlive = connectTcp(gateway.port, '127.0.0.1')
    keptAlive.write('POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{')
    await once(keptAlive, 'connect')
    await gateway.fetch('/healthz')
    const closing = gateway.gateway.close()
    keptAlive.write(
      '}GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    let text = ''
    keptAlive.on('data', (data) => (text += String(data)))
    await Promise.all([closing, keptAlive.closed ? null : once(keptAlive, 'close')])
    expect(text).not.toContain('101 Switching')
  })

  test('ends with 4401 when its user is deleted or switched off', async () => {
    gateway = await TestGateway.start()
    for (const end of [() => gateway.engine.users.delete('ann'), () => gateway.user('ann', ['off'])]) {
      gateway.user('ann', ['on', '+@all', '~*', '&*'])
      const client = await connect({ token: gateway.tokenOf('ann') })
      end()
      await client.until(() => client.closed !== null)
      expect(client.closed?.code).toBe(4401)
    }
  })

  test('ends with 4401 at the next heartbeat when its token is revoked', async () => {
    gateway = await TestGateway.start({}, { realtime: { ...REALTIME_LIMITS, heartbeatMs: 60 } })
    gateway.user('ann', ['on', '+@all', '~*', '&*'])
    const token = gateway.tokenOf('ann')
    const client = await connect({ token })
    gateway.engine.tokens.revoke(token.split('_')[1]!)
    await client.until(() => client.closed !== null)
    expect(client.closed?.code).toBe(4401)
  })

  test('is not closed by broken frames of another, which get a code of their own', async () => {
    gateway = await TestGateway.start()
    const client = await connect()
    const socket = connectTcp(gateway.port, '127.0.0.1')
    socket.write(
      'GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await once(socket, 'data')
    socket.write(Buffer.from([0xff, 0xff, 0xff]))
    await once(socket, 'close')
    expect(await client.request('ping')).toBe('pong')
  })
})

describe('The rights of a user', () => {
  beforeEach(async () => {
    gateway = await TestGateway.start({ 'notify-keyspace-events': 'KEA' })
    gateway.user('ann', ['on', '+@all', '-publish', '~app:*', '&app:*'])
  })

  test.each([
    ['subscribe', { channel: 'other' }],
    ['subscribe', { pattern: 'app:x*' }],
    ['subscribe', { stream: 'other' }],
    ['subscribe', { queue: 'mail' }],
    ['consume', { stream: 'other', group: 'g', consumer: 'c', create: '0' }],
    ['publish', { channel: 'app:1', data: 'x' }],
    ['append', { stream: 'other', fields: { a: 1 } }],
    ['call', { args: ['SET', 'other', '1'] }],
    ['call', { args: ['BLPOP', 'other', '0'] }],
  ])('forbid %s %j', async (op, members) => {
    const client = await connect({ token: gateway.tokenOf('ann') })
    await expect(client.request(op, members)).rejects.toThrow(/^NOPERM: /)
    expect(await gateway.call('DBSIZE')).toBe(0)
    expect(await gateway.call('PUBSUB', 'CHANNELS')).toEqual([])
  })

  test.each([
    ['subscribe', { channel: 'app:1' }],
    ['subscribe', { pattern: 'app:*' }],
    ['subscribe', { stream: 'app:s' }],
    ['subscribe', { keys: 'app:*' }],
    ['subscribe', { queue: 'mail', prefix: 'app:q' }],
    ['consume', { stream: 'app:s', group: 'g', consumer: 'c', create: '0' }],
    ['append', { stream: 'app:s', fields: { a: 1 } }],
  ])('allow %s %j', async (op, members) => {
    const client = await connect({ token: gateway.tokenOf('ann') })
    await client.request(op, members)
  })

  test('that are lost end the subscriptions they were for, with the reason, and nothing is pushed after', async () => {
    const client = await connect({ token: gateway.tokenOf('ann') })
    await client.request('subscribe', { channel: 'app:1' })
    await client.request('subscribe', { stream: 'app:s' })
    await client.request('consume', { stream: 'app:s', group: 'g', consumer: 'c', create: '0' })
    await client.request('subscribe', { keys: 'app:*' })
    gateway.user('ann', ['resetchannels', '&other', 'resetkeys', '~other'])
    await gateway.call('PUBLISH', 'app:1', 'x')
    await gateway.call('XADD', 'app:s', '*', 'a', '1')
    expect(await client.push('unsubscribed')).toMatchObject({ channel: 'app:1', code: 'NOPERM' })
    expect(await client.push('unsubscribed')).toMatchObject({ stream: 'app:s', code: 'NOPERM' })
    expect(await client.push('ended')).toMatchObject({ consumption: 1, code: 'NOPERM' })
    await client.request('ping')
    expect(client.received).toEqual([])
  })

  test('are those of reading only for a read-only token', async () => {
    const client = await connect({ token: gateway.tokenOf('ann', 'read-only') })
    await client.request('subscribe', { stream: 'app:s' })
    await expect(client.request('append', { stream: 'app:s', fields: { a: 1 } })).rejects.toThrow(/^NOPERM: /)
    await expect(
      client.request('consume', { stream: 'app:s', group: 'g', consumer: 'c', create: '0' }),
    ).rejects.toThrow(/^NOPERM: /)
  })
})
