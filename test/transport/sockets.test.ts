/** What a transport over sockets promises, for each there is: bytes, ends, back-pressure, and every order of closing. */
import { once } from 'node:events'
import { existsSync, readSync, statSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test } from 'vitest'
import { chooseTransport } from '../../src/transport/choose.ts'
import {
  type Connection,
  type Endpoint,
  INPUT_ENDED,
  type Receiver,
  type Transport,
} from '../../src/transport/contract.ts'
import { loadNativeTransport } from '../../src/transport/native.ts'
import { nodeTransport } from '../../src/transport/node.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const BACKLOG = 128
const native = loadNativeTransport()
const transports: Transport[] = typeof native === 'string' ? [nodeTransport] : [nodeTransport, native]
const LIMIT_MS = 20_000

/** A thread that listens, and tells its port and what it receives. */
const NATIVE_MODULE = new URL('../../src/transport/native.ts', import.meta.url).href
const THREAD = `
  const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.module).then(async ({ loadNativeTransport }) => {
    const received = () => {
      parentPort.postMessage('received')
      eval(workerData.received)
    }
    const receiver = { turns: null, received, drained() {}, ended() {}, closed() {} }
    const options = { host: '127.0.0.1', port: 0, backlog: 10 }
    const { port } = await loadNativeTransport().listenTcp(options, () => receiver)
    parentPort.postMessage(port)
  })`

/** The server's end of a connection, written down. */
class Served implements Receiver {
  readonly turns = null
  readonly connection: Connection
  text = ''
  bytes = 0
  drains = 0
  hasEnded = false
  isClosed = false
  onReceived: (text: string) => void = () => {}

  constructor(connection: Connection) {
    this.connection = connection
  }

  received(buffer: Buffer, start: number, end: number): void {
    expect(this.isClosed).toBe(false)
    const text = buffer.latin1Slice(start, end)
    this.bytes += end - start
    if (this.text.length < 1_000_000) this.text += text
    this.onReceived(text)
  }

  drained(): void {
    this.drains++
  }

  ended(): void {
    this.hasEnded = true
  }

  closed(): void {
    expect(this.isClosed).toBe(false)
    this.isClosed = true
  }

  send(text: string): boolean {
    const bytes = Buffer.from(text, 'latin1')
    return this.connection.send(bytes, 0, bytes.length)
  }
}

const endpoints: Endpoint[] = []
const sockets: net.Socket[] = []
const served: Served[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const { connection } of served.splice(0)) connection.destroy()
  for (const endpoint of endpoints.splice(0)) await endpoint.close()
})

async function until(isSo: () => boolean, what = 'it does not come to that'): Promise<void> {
  const limit = Date.now() + LIMIT_MS
  while (!isSo()) {
    if (Date.now() > limit) throw new Error(what)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

function accept(connection: Connection): Served {
  const one = new Served(connection)
  served.push(one)
  return one
}

async function listen(transport: Transport, host = '127.0.0.1'): Promise<Endpoint> {
  const endpoint = await transport.listenTcp({ host, port: 0, backlog: BACKLOG, keepAliveSeconds: 0 }, accept)
  endpoints.push(endpoint)
  return endpoint
}

/** A client that keeps what it gets. */
class Caller {
  readonly socket: net.Socket
  text = ''
  bytes = 0
  hasEnded = false

  constructor(socket: net.Socket) {
    this.socket = socket
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      this.bytes += data.length
      if (this.text.length < 1_000_000) this.text += data.toString('latin1')
    })
    socket.on('end', () => {
      this.hasEnded = true
    })
  }
}

async function call(target: net.NetConnectOpts): Promise<{ caller: Caller; one: Served }> {
  const before = served.length
  const socket = net.connect({ allowHalfOpen: true, ...target })
  const caller = new Caller(socket)
  await until(() => served.length > before, 'no connection')
  return { caller, one: served[before]! }
}

/** Takes what has come for a socket that is paused. */
function readAll(socket: net.Socket): void {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null
  if (typeof fd !== 'number') return
  const bytes = Buffer.alloc(1024 * 1024)
  try {
    while (readSync(fd, bytes) > 0);
  } catch {
    // That was all.
  }
}

describe.each(
  transports.map((transport) => [transport.name, transport] as const),
)('transport %s', (_name, transport) => {
  test('carries bytes both ways, and knows both addresses', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.write('hello')
    await until(() => one.text === 'hello')
    expect(one.send('world')).toBe(true)
    await until(() => caller.text === 'world')
    expect(one.connection).toMatchObject({
      address: `127.0.0.1:${caller.socket.localPort}`,
      localAddress: `127.0.0.1:${port}`,
      isLocal: true,
      isUnixSocket: false,
      queuedBytes: 0,
    })
  })

  test('listens on IPv6 beside IPv4, each for itself', async () => {
    const { port } = await listen(transport, '::1')
    const { one } = await call({ port, host: '::1' })
    expect(one.connection.localAddress).toBe(`[::1]:${port}`)
    expect(one.connection.isLocal).toBe(true)
    endpoints.push(
      await transport.listenTcp({ host: '127.0.0.1', port, backlog: BACKLOG, keepAliveSeconds: 0 }, accept),
    )
    expect((await call({ port, host: '127.0.0.1' })).one.connection.localAddress).toBe(`127.0.0.1:${port}`)
  })

  test('takes names for addresses', async () => {
    const { port } = await listen(transport, 'localhost')
    expect(port).toBeGreaterThan(0)
  })

  test('listens on a unix socket with its mode, in place of a stale one', async () => {
    const path = join(temporaryDirectory(), 'socket')
    for (let round = 0; round < 2; round++) {
      const endpoint = await transport.listenUnix(path, 0o700, BACKLOG, accept)
      endpoints.push(endpoint)
      expect(statSync(path).mode & 0o777).toBe(0o700)
      expect(endpoint.port).toBe(0)
    }
    const { caller, one } = await call({ path })
    caller.socket.write('hello')
    await until(() => one.text === 'hello')
    expect(one.connection).toMatchObject({ address: `${path}:0`, localAddress: `${path}:0`, isLocal: true })
    expect(one.connection.isUnixSocket).toBe(true)
    for (const endpoint of endpoints.splice(0)) await endpoint.close()
    expect(existsSync(path)).toBe(false)
  })

  test('says as node:net does why it cannot listen', async () => {
    const { port } = await listen(transport)
    const taken = transport.listenTcp({ host: '127.0.0.1', port, backlog: BACKLOG, keepAliveSeconds: 0 }, accept)
    await expect(taken).rejects.toMatchObject({ code: 'EADDRINUSE', syscall: 'listen' })
    const foreign = transport.listenTcp({ host: '192.0.2.1', port: 0, backlog: BACKLOG, keepAliveSeconds: 0 }, accept)
    await expect(foreign).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
    const nowhere = transport.listenUnix('/nowhere/at/all', null, BACKLOG, accept)
    await expect(nowhere).rejects.toMatchObject({ code: expect.stringMatching(/^E(NOENT|ACCES)$/) })
  })

  test('tells the end of the input, after which the peer still reads', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.end('last words')
    await until(() => one.hasEnded)
    expect(one.text).toBe('last words')
    expect(one.isClosed).toBe(false)
    one.send('answer')
    one.connection.end()
    await until(() => caller.hasEnded)
    expect(caller.text).toBe('answer')
    await until(() => one.isClosed)
  })

  test('sends what was left for several connections, in order with what is sent besides', async () => {
    const { port } = await listen(transport)
    const a = await call({ port, host: '127.0.0.1' })
    const b = await call({ port, host: '127.0.0.1' })
    const { outbox } = a.one.connection
    expect(b.one.connection.outbox).toBe(outbox)
    if (outbox === null) return
    const bytes = Buffer.from('one two three ')
    const slow = Buffer.alloc(64 * 1024 * 1024, '.')
    expect(outbox.leave(a.one.connection, bytes, 0, 4)).toBe(true)
    expect(outbox.leave(b.one.connection, bytes, 4, 8)).toBe(true)
    // Too much to be left: what was left before goes first.
    expect(outbox.leave(a.one.connection, slow, 0, slow.length)).toBe(false)
    expect(a.one.send('1 ')).toBe(true)
    expect(outbox.leave(a.one.connection, bytes, 8, 14)).toBe(true)
    a.one.connection.end()
    expect(outbox.leave(a.one.connection, bytes, 0, 4)).toBe(false)
    expect(outbox.sendLeft()).toBe(false)
    await until(() => a.caller.hasEnded && b.caller.text !== '')
    expect([a.caller.text, b.caller.text]).toEqual(['one 1 three ', 'two '])
    // A slow reader's part is kept, and told.
    b.caller.socket.pause()
    while (!outbox.sendLeft()) expect(outbox.leave(b.one.connection, slow, 0, 1024 * 1024)).toBe(true)
    expect(b.one.connection.queuedBytes).toBeGreaterThan(0)
    b.caller.socket.resume()
    await until(() => b.one.drains === 1)
    expect(b.one.connection.queuedBytes).toBe(0)
    // Nothing is sent to the one that is gone, whose number may be another's.
    expect(outbox.leave(b.one.connection, bytes, 0, 4)).toBe(true)
    b.one.connection.destroy()
    expect(outbox.sendLeft()).toBe(false)
  })

  test('keeps what a slow reader does not take, and tells when it has', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.pause()
    const block = Buffer.alloc(1024 * 1024, 'x')
    let sent = 0
    let isTaken = true
    while (isTaken) {
      isTaken = one.connection.send(block, 0, block.length)
      sent += block.length
      expect(sent).toBeLessThan(200 * block.length)
    }
    // A buffer that was not taken is the transport's until it is drained.
    expect(one.connection.queuedBytes).toBeGreaterThan(0)
    const more = Buffer.from('y'.repeat(1000))
    expect(one.connection.send(more, 0, more.length)).toBe(false)
    expect(one.drains).toBe(0)
    caller.socket.resume()
    await until(() => caller.bytes === sent + 1000)
    await until(() => one.drains > 0)
    expect(one.connection.queuedBytes).toBe(0)
    expect(one.send('z')).toBe(true)
    await until(() => caller.bytes === sent + 1001)
  })

  test('gives back what has gone out while more waits without end', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.pause()
    const [blockBytes, waitingBytes, count] = [4 * 1024 * 1024, 32 * 1024 * 1024, 60]
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < count; i++) {
      one.connection.send(Buffer.alloc(blockBytes, 'x'), 0, blockBytes)
      await until(() => {
        if (one.connection.queuedBytes > waitingBytes) readAll(caller.socket)
        return one.connection.queuedBytes <= waitingBytes
      })
    }
    setFlagsFromString('--expose-gc')
    const collect: unknown = runInNewContext('gc')
    if (typeof collect === 'function') collect()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan((count * blockBytes) / 2)
  })

  test('keeps the order of much and little, to a slow reader too', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    const parts: Buffer[] = []
    caller.socket.on('data', (data) => parts.push(Buffer.from(data)))
    caller.socket.pause()
    const sent: Buffer[] = []
    for (let i = 0; i < 6; i++) {
      const much = Buffer.alloc(3 * 1024 * 1024 + i, 65 + i)
      const little = Buffer.from(`little ${i}`)
      for (const bytes of [much, little]) {
        one.connection.send(bytes, 0, bytes.length)
        sent.push(Buffer.from(bytes))
      }
    }
    const total = sent.reduce((sum, { length }) => sum + length, 0)
    const left = one.connection.queuedBytes
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(total)
    expect(one.drains).toBe(0)
    caller.socket.resume()
    await until(() => caller.bytes === total)
    expect(Buffer.concat(parts).equals(Buffer.concat(sent))).toBe(true)
    await until(() => one.drains === 1)
    expect(one.connection.queuedBytes).toBe(0)
    expect(one.send('z')).toBe(true)
    await until(() => caller.bytes === total + 1)
  })

  test('ends after everything has gone out, to a slow reader too', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.pause()
    const block = Buffer.alloc(8 * 1024 * 1024, 'x')
    one.connection.send(block, 0, block.length)
    one.connection.end()
    one.send('never')
    expect(one.isClosed).toBe(false)
    caller.socket.resume()
    await until(() => caller.hasEnded)
    expect(caller.bytes).toBe(block.length)
    await until(() => one.isClosed)
  })

  test('stops and resumes delivery', async () => {
    const { port } = await listen(transport)
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.write('a')
    await until(() => one.text === 'a')
    one.connection.pause()
    caller.socket.end('b')
    // Another connection's bytes show that there was time enough.
    const other = await call({ port, host: '127.0.0.1' })
    other.caller.socket.write('x')
    await until(() => other.one.text === 'x')
    expect([one.text, one.hasEnded]).toEqual(['a', false])
    expect(one.connection.readNow(Buffer.alloc(10))).toBe(0)
    one.connection.resume()
    await until(() => one.hasEnded)
    expect(one.text).toBe('ab')
  })

  test('what a peer sends before it closes comes, also to who is paused, on a unix socket too', async () => {
    const { port } = await listen(transport)
    const path = join(temporaryDirectory(), 'socket')
    endpoints.push(await transport.listenUnix(path, null, BACKLOG, accept))
    for (const target of [{ port, host: '127.0.0.1' }, { path }]) {
      const { caller, one } = await call(target)
      caller.socket.write('a')
      await until(() => one.text === 'a')
      one.connection.pause()
      caller.socket.write('b')
      caller.socket.destroy()
      // Another connection's bytes show that there was time enough.
      for (let round = 0; round < 3; round++) {
        const other = await call(target)
        other.caller.socket.end('x')
        await until(() => other.one.hasEnded)
        other.one.connection.end()
      }
      expect([one.text, one.isClosed]).toEqual(['a', false])
      one.connection.resume()
      await until(() => one.hasEnded)
      expect(one.text).toBe('ab')
      // Whoever has the end before he has done with what came goes on.
      await call(target)
      expect(one.isClosed).toBe(false)
      one.connection.end()
      await until(() => one.isClosed)
    }
  })

  test('is read out of turn in the order of the bytes, those of the same turn included', async () => {
    const { port } = await listen(transport)
    const a = await call({ port, host: '127.0.0.1' })
    const b = await call({ port, host: '127.0.0.1' })
    const target = Buffer.alloc(65536)
    let taken = ''
    const takeAll = (one: Served): void => {
      const limit = Date.now() + LIMIT_MS
      // What the peer has sent arrives in its own time.
      while (taken.length < 6 && Date.now() < limit) taken += target.latin1Slice(0, one.connection.readNow(target))
    }
    // Whichever is served first reads the other's input, which may have been received in the same turn.
    a.one.onReceived = () => takeAll(b.one)
    b.one.onReceived = () => takeAll(a.one)
    a.caller.socket.write('123456')
    b.caller.socket.write('123456')
    await until(() => taken.length > 0)
    expect(taken).toBe('123456')
    expect(a.one.bytes + b.one.bytes).toBe(6)
    expect(a.one.connection.readNow(target) + b.one.connection.readNow(target)).toBe(0)
  })

  test('tells the end of the input out of turn', async () => {
    const { port } = await listen(transport)
    const a = await call({ port, host: '127.0.0.1' })
    const b = await call({ port, host: '127.0.0.1' })
    const target = Buffer.alloc(10)
    let told = 0
    a.one.onReceived = () => {
      const limit = Date.now() + LIMIT_MS
      // What the peer has sent arrives in its own time.
      while (told === 0 && Date.now() < limit) told = b.one.connection.readNow(target)
    }
    b.caller.socket.end()
    await once(b.caller.socket, 'finish')
    a.caller.socket.write('1')
    await until(() => told !== 0)
    expect(told).toBe(INPUT_ENDED)
  })

  test('survives peers that reset, before and after there is something to send', async () => {
    const { port } = await listen(transport)
    for (const isSending of [false, true]) {
      const { caller, one } = await call({ port, host: '127.0.0.1' })
      caller.socket.pause()
      const block = Buffer.alloc(8 * 1024 * 1024, 'x')
      if (isSending) one.connection.send(block, 0, block.length)
      caller.socket.resetAndDestroy()
      await until(() => one.isClosed || one.hasEnded)
      if (!one.isClosed) one.connection.destroy()
      await until(() => one.isClosed)
      expect(one.send('nobody is there')).toBe(true)
    }
  })

  test('a refused connection gets what it was sent', async () => {
    const endpoint = await transport.listenTcp(
      { host: '127.0.0.1', port: 0, backlog: BACKLOG, keepAliveSeconds: 0 },
      (connection) => {
        const bytes = Buffer.from('go away')
        connection.send(bytes, 0, bytes.length)
        connection.end()
        return null
      },
    )
    endpoints.push(endpoint)
    const caller = new Caller(net.connect({ port: endpoint.port, host: '127.0.0.1' }))
    await until(() => caller.hasEnded)
    expect(caller.text).toBe('go away')
  })

  test('stops accepting; open connections stay', async () => {
    const endpoint = await listen(transport)
    const { caller, one } = await call({ port: endpoint.port, host: '127.0.0.1' })
    await endpoint.close()
    const late = net.connect({ port: endpoint.port, host: '127.0.0.1' })
    sockets.push(late)
    const error = await new Promise((resolve) => late.once('error', resolve))
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    caller.socket.write('still here')
    await until(() => one.text === 'still here')
    const again = await transport.listenTcp(
      { host: '127.0.0.1', port: endpoint.port, backlog: BACKLOG, keepAliveSeconds: 0 },
      accept,
    )
    endpoints.push(again)
    expect(again.port).toBe(endpoint.port)
  })

  test('a receiver that throws does not take the turn of the others', async () => {
    const { port } = await listen(transport)
    const a = await call({ port, host: '127.0.0.1' })
    const b = await call({ port, host: '127.0.0.1' })
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => thrown.push(error))
    try {
      for (const { one } of [a, b]) {
        one.onReceived = () => {
          throw new Error('a defect')
        }
      }
      a.caller.socket.write('x')
      b.caller.socket.write('x')
      await until(() => thrown.length === 2)
      expect(a.one.text + b.one.text).toBe('xx')
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
  })

  test('what is done with a connection that is gone reaches no other one', async () => {
    const { port } = await listen(transport)
    const gone: Served[] = []
    for (let i = 0; i < 8; i++) {
      const { one } = await call({ port, host: '127.0.0.1' })
      one.connection.destroy()
      gone.push(one)
    }
    await until(() => gone.every((one) => one.isClosed))
    // These have the numbers that those had.
    const callers: { caller: Caller; one: Served }[] = []
    for (let i = 0; i < 8; i++) callers.push(await call({ port, host: '127.0.0.1' }))
    for (const { connection } of gone) {
      connection.pause()
      connection.setKeepAlive(1)
      connection.delaySmallPackets()
      connection.end()
      connection.destroy()
    }
    for (const { caller } of callers) caller.socket.write('still here')
    await until(() => callers.every(({ one }) => one.text === 'still here'), 'one of them was stopped')
  })

  test('is drained when all has gone out, also what another receiver has sent in the same turn', async () => {
    const { port } = await listen(transport)
    const talker = await call({ port, host: '127.0.0.1' })
    const slow = await call({ port, host: '127.0.0.1' })
    slow.caller.socket.pause()
    const piece = Buffer.alloc(16 * 1024, 'x')
    while (slow.one.connection.send(piece, 0, piece.length));
    const block = Buffer.alloc(64 * 1024 * 1024, 'y')
    const queuedWhenDrained: number[] = []
    slow.one.drained = () => queuedWhenDrained.push(slow.one.connection.queuedBytes)
    talker.one.onReceived = () => slow.one.connection.send(block, 0, block.length)
    // Both are ready at once: one to be read from, the other one to be sent to.
    talker.caller.socket.write('x')
    readAll(slow.caller.socket)
    await until(() => talker.one.text === 'x')
    expect(slow.one.connection.queuedBytes).toBeGreaterThan(0)
    expect(queuedWhenDrained.filter((bytes) => bytes > 0)).toEqual([])
    slow.caller.socket.resume()
    await until(() => slow.one.connection.queuedBytes === 0 && queuedWhenDrained.length > 0)
    expect(queuedWhenDrained.at(-1)).toBe(0)
  })

  test('serves many that come, talk and go in any order, and closes what others talk to in the same turn', async () => {
    const { port } = await listen(transport)
    let state = 12345
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    const open: { caller: Caller; one: Served; sent: number; isAbandoned: boolean }[] = []
    for (let round = 0; round < 600; round++) {
      const kind = random(10)
      if (kind < 3 || open.length === 0) {
        const { caller, one } = await call({ port, host: '127.0.0.1' })
        one.onReceived = (text) => {
          if (random(20) === 0) open[random(open.length)]?.one.connection.destroy()
          one.send(text)
        }
        open.push({ caller, one, sent: 0, isAbandoned: false })
        continue
      }
      const index = random(open.length)
      const entry = open[index]!
      if (kind < 8) {
        const bytes = 1 + random(random(20) === 0 ? 300_000 : 100)
        if (!entry.caller.socket.destroyed) entry.caller.socket.write('x'.repeat(bytes))
        entry.sent += bytes
      } else {
        const way = random(4)
        entry.isAbandoned = true
        if (way === 0) entry.caller.socket.resetAndDestroy()
        else if (way === 1) entry.caller.socket.destroy()
        else if (way === 2) entry.one.connection.destroy()
        else entry.one.connection.end()
        open.splice(index, 1)
      }
    }
    // Those that nobody has closed have got all back.
    for (const { caller, one, sent } of open)
      await until(() => one.isClosed || caller.bytes === sent || caller.hasEnded)
    for (const { caller } of open) caller.socket.destroy()
    await until(() => served.every((one) => one.isClosed || one.hasEnded || one.connection.queuedBytes === 0))
    const { caller, one } = await call({ port, host: '127.0.0.1' })
    caller.socket.write('after all')
    await until(() => one.text === 'after all')
  })
})

describe.runIf(typeof native !== 'string')('a thread with sockets of its own', () => {
  test.each([
    ['ends in the midst of what it receives', 'process.exit(7)', 7],
    ['is ended from outside while it receives', 'for (;;);', 1],
  ])('%s; those of others stay', async (_name, received, code) => {
    const { port: own } = await listen(native as Transport)
    const { caller, one } = await call({ port: own, host: '127.0.0.1' })
    const worker = new Worker(THREAD, { eval: true, workerData: { received, module: NATIVE_MODULE } })
    const [port] = (await once(worker, 'message')) as [number]
    const closed: Promise<unknown>[] = []
    for (let i = 0; i < 5; i++) {
      const socket = net.connect(port, '127.0.0.1')
      sockets.push(socket)
      socket.on('error', () => {})
      closed.push(once(socket, 'close'))
      await once(socket, 'connect')
      socket.resume()
    }
    const exit = once(worker, 'exit')
    const receives = once(worker, 'message')
    sockets.at(-1)?.write('x')
    await receives
    if (code === 1) await worker.terminate()
    expect(await exit).toEqual([code])
    await Promise.all(closed)
    caller.socket.write('hello')
    await until(() => one.text === 'hello')
  })
})

describe('the choice of a transport', () => {
  test('takes the native one where it is, and says why not where it is not', () => {
    expect(chooseTransport('node')).toEqual({ transport: nodeTransport, problem: null })
    if (typeof native === 'string') {
      expect(chooseTransport('auto')).toEqual({ transport: nodeTransport, problem: native })
      expect(() => chooseTransport('native')).toThrow(`The native transport cannot be used: ${native}`)
    } else {
      expect(chooseTransport('auto')).toEqual({ transport: native, problem: null })
      expect(chooseTransport('native').transport).toBe(native)
    }
  })
})
