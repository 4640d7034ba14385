import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../src/transport/contract.ts'
import { connectMemory, type MemorySocket } from '../../src/transport/memory.ts'

/** The server's side, written down. */
class Peer {
  readonly received: string[] = []
  drainedCount = 0
  endedCount = 0
  closedCount = 0
  connection: Connection | null = null
  readonly socket: MemorySocket

  constructor() {
    this.socket = connectMemory((connection) => {
      this.connection = connection
      return {
        turns: null,
        received: (buffer, start, end) => {
          this.received.push(buffer.latin1Slice(start, end))
        },
        drained: () => {
          this.drainedCount++
        },
        ended: () => {
          this.endedCount++
          this.send('answer')
          connection.end()
        },
        closed: () => {
          this.closedCount++
        },
      }
    })
  }

  send(text: string): void {
    const bytes = Buffer.from(text, 'latin1')
    this.connection!.send(bytes, 0, bytes.length)
    // The server's buffer is its own again.
    bytes.fill(0)
  }
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('an in-process connection', () => {
  test('delivers the writes of a tick together, and not from within write()', async () => {
    const peer = new Peer()
    peer.socket.write('é')
    peer.socket.write(Buffer.from('\xff', 'latin1'))
    peer.socket.write('c')
    expect(peer.received).toEqual([])
    await tick()
    expect(peer.received.join('')).toBe('\xc3\xa9\xffc')
    expect(peer.received.length).toBe(1)
  })

  test('delivers writes of any size in their order', async () => {
    const peer = new Peer()
    const chunks = [10, 70_000, 1, 65_536, 200_000, 3].map((size, i) => String(i).repeat(size))
    for (const [i, chunk] of chunks.entries()) peer.socket.write(i % 2 === 0 ? chunk : Buffer.from(chunk))
    while (peer.received.join('').length < chunks.join('').length) await tick()
    expect(peer.received.join('') === chunks.join('')).toBe(true)
  })

  test('pushes what is sent, and not from within send()', async () => {
    const peer = new Peer()
    const seen: string[] = []
    peer.socket.on('data', (chunk: Buffer) => seen.push(chunk.toString('latin1')))
    peer.send('a\xff')
    peer.send('b')
    expect(seen).toEqual([])
    await tick()
    expect(seen.join('')).toBe('a\xffb')
  })

  test('holds the writer back while the server has paused it, without losing or reordering anything', async () => {
    const peer = new Peer()
    peer.connection!.pause()
    const chunk = 'x'.repeat(100_000)
    let written = 0
    for (let i = 0; i < 10; i++) peer.socket.write(`${i}${chunk}`, () => written++)
    await tick()
    expect(peer.received).toEqual([])
    expect(written).toBeLessThan(10)
    expect(peer.socket.writableNeedDrain).toBe(true)
    peer.connection!.resume()
    while (written < 10) await tick()
    await tick()
    expect(peer.received.join('').replaceAll(chunk, '')).toBe('0123456789')
  })

  test('stops delivering when the server pauses in the middle', async () => {
    const peer = new Peer()
    const { connection, received } = peer
    for (let i = 0; i < 4; i++) peer.socket.write(String(i).repeat(60_000))
    const push = received.push.bind(received)
    received.push = (text) => {
      connection!.pause()
      return push(text)
    }
    await tick()
    expect(received.length).toBe(1)
    while (received.join('').length < 240_000) {
      connection!.resume()
      await tick()
    }
    expect(received.join('')).toBe([0, 1, 2, 3].map((i) => String(i).repeat(60_000)).join(''))
  })

  test('counts output as queued once the reader has fallen behind, and says when it reads again', async () => {
    const peer = new Peer()
    peer.send('x'.repeat(10))
    await tick()
    expect(peer.connection!.queuedBytes).toBe(0)
    peer.send('x'.repeat(1_000_000))
    await tick()
    expect(peer.connection!.queuedBytes).toBe(1_000_010)
    expect(peer.drainedCount).toBe(0)
    peer.socket.resume()
    await tick()
    expect(peer.connection!.queuedBytes).toBe(0)
    expect(peer.drainedCount).toBe(1)
  })

  test('ends for the client after all that was sent', async () => {
    const peer = new Peer()
    const seen: string[] = []
    peer.socket.on('data', (chunk: Buffer) => seen.push(String(chunk)))
    peer.send('last')
    peer.connection!.end()
    await once(peer.socket, 'close')
    expect(seen).toEqual(['last'])
    expect([peer.endedCount, peer.closedCount]).toEqual([0, 1])
  })

  test('ends for the server when the client ends it, after what the client has written, and is answered', async () => {
    const peer = new Peer()
    const seen: string[] = []
    peer.socket.on('data', (chunk: Buffer) => seen.push(String(chunk)))
    peer.socket.end('bye')
    await once(peer.socket, 'close')
    expect(peer.received).toEqual(['bye'])
    expect(seen).toEqual(['answer'])
    expect([peer.endedCount, peer.closedCount]).toEqual([1, 1])
  })

  test('is destroyed from both sides, once', async () => {
    for (const destroy of [(peer: Peer) => peer.socket.destroy(), (peer: Peer) => peer.connection!.destroy()]) {
      const peer = new Peer()
      peer.socket.write('lost')
      destroy(peer)
      await once(peer.socket, 'close')
      peer.send('late')
      peer.connection!.end()
      await tick()
      expect(peer.closedCount).toBe(1)
      expect(peer.received).toEqual([])
    }
  })
})
