/**
 * Many WebSocket clients that cost little: raw sockets, frames counted and not looked at. Run as processes by fan-out.ts and
 * idle-sockets.ts, told what to do by messages of the parent.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  readonly port: number
  readonly sockets: number
  /** Subscribed to by each; null: they stay idle. */
  readonly channel: string | null
}

export interface LoadReport {
  /** Sockets that are connected, and subscribed if they are to be. */
  readonly ready: number
  /** Messages received since the last report. */
  readonly messages: number
  /** Sockets that were closed. */
  readonly closed: number
  /** Latencies of a sample since the last report, in ms. */
  readonly latenciesMs: readonly number[]
}

/** Sockets that connect at the same time. */
const CONNECTING_MAX = 100
/** 127.0.0.1, 127.0.0.2 …: each has ports of its own. */
const SOCKETS_PER_ADDRESS = 15_000
const REPORT_MS = 100

let ready = 0
let messages = 0
let closed = 0
let latenciesMs: number[] = []

/** Counts the frames of one socket. */
class FrameCounter {
  /** Bytes of the current frame that are still to come. */
  private rest = 0
  private head: number[] = []

  /** Returns how many frames begin in a chunk. */
  count(chunk: Buffer): number {
    let found = 0
    let at = 0
    while (at < chunk.length) {
      if (this.rest > 0) {
        const taken = Math.min(this.rest, chunk.length - at)
        this.rest -= taken
        at += taken
        continue
      }
      this.head.push(chunk[at++]!)
      const [first, length] = this.head
      if (length === undefined) continue
      const extra = length === 126 ? 2 : length === 127 ? 8 : 0
      if (this.head.length < 2 + extra) continue
      this.rest = extra === 0 ? length : this.head.slice(2).reduce((sum, byte) => sum * 256 + byte, 0)
      this.head = []
      if (first === 0x81) found++
    }
    return found
  }
}

function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const mask = randomBytes(4)
  for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i & 3]!
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload])
}

function open({ port, channel }: LoadOptions, index: number): Promise<void> {
  return new Promise((resolve) => {
    const localAddress = `127.0.0.${2 + Math.floor(index / SOCKETS_PER_ADDRESS)}`
    const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true })
    const counter = new FrameCounter()
    const isSample = index % 100 === 0
    let isOpen = false
    // The greeting, and the reply to the subscription.
    let toCome = channel === null ? 1 : 2
    socket.write(
      `GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    )
    socket.on('data', (bytes: Buffer) => {
      let chunk = bytes
      if (!isOpen) {
        const end = chunk.indexOf('\r\n\r\n')
        if (end < 0) return
        if (!chunk.includes('101')) throw new Error(chunk.latin1Slice(0, end))
        isOpen = true
        if (channel !== null) socket.write(maskedFrame(JSON.stringify({ id: 1, op: 'subscribe', channel })))
        chunk = chunk.subarray(end + 4)
      }
      let count = counter.count(chunk)
      if (toCome > 0) {
        const greeting = Math.min(toCome, count)
        toCome -= greeting
        count -= greeting
        if (toCome > 0) return
        if (greeting > 0) ready++
        resolve()
      }
      messages += count
      if (isSample && count > 0) sampleLatency(chunk)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      closed++
      resolve()
    })
    answerPings(socket)
  })
}

/** An empty ping comes alone; its answer is as empty. */
function answerPings(socket: Socket): void {
  const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0])
  socket.on('data', (chunk: Buffer) => {
    if (chunk.length >= 2 && chunk[chunk.length - 2] === 0x89 && chunk[chunk.length - 1] === 0) socket.write(pong)
  })
}

function sampleLatency(chunk: Buffer): void {
  const at = chunk.lastIndexOf('"data":"')
  const sentMs = Number(chunk.latin1Slice(at + 8, at + 8 + 13))
  if (at >= 0 && sentMs > 0) latenciesMs.push(Date.now() - sentMs)
}

async function run(options: LoadOptions): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < options.sockets) {
      next++
      await open(options, next - 1)
    }
  }
  setInterval(() => {
    const report: LoadReport = { ready, messages, closed, latenciesMs }
    messages = 0
    latenciesMs = []
    process.send?.(report)
  }, REPORT_MS)
  await Promise.all(Array.from({ length: CONNECTING_MAX }, worker))
}

process.once('message', (options: LoadOptions) => void run(options))
process.on('disconnect', () => process.exit(0))
