/**
 * Mixed requests at a fixed rate, run as a process by bench/pauses.ts. A request is due at its time, whether the server keeps up
 * or not: latency counts from then, so that a stall is seen by all the requests that it holds up. The process polls its clock
 * all the time, and says how late it was itself.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { encode, keyName, valueText } from './support/fill.ts'
import { type Latency, LatencyHistogram, nowUs } from './support/numbers.ts'
import { serveTasks } from './support/task-process.ts'

export interface PausesTask {
  readonly port: number
  readonly keys: number
  readonly connections: number
  /** Requests per second. */
  readonly rate: number
  readonly seconds: number
}

export interface PausesResult {
  readonly latency: Latency
  readonly rate: number
  /** How long this process did not look at its clock at most, in ms: latencies of such a moment may be its own. */
  readonly ownLongestMs: number
  /** The longest latency of each window, in ms, by the seconds at which the window begins. */
  readonly timeline: readonly (readonly [seconds: number, ms: number])[]
}

const WINDOW_US = 100_000
/** Requests under way on a connection, a power of two: more than come due in any stall that is worth measuring. */
const UNDER_WAY_MAX = 65_536
const DRAIN_US = 5_000_000
/** Prepared requests, which are sent over and over. */
const REQUESTS = 200_000
const COLLECTIONS = 10_000
const CR = 0x0d

/** 60 % GET, 30 % SET, and what brokers do beside: all of it is answered by a status, an integer or a string. */
function requestText(index: number, keys: number): string {
  const number = Math.floor(index * 0.6180339887 * 2 ** 32) % keys
  const kind = index % 20
  if (kind < 12) return encode('GET', keyName(number))
  if (kind < 18) return encode('SET', keyName(number), valueText(index))
  if (kind === 18) return encode('HSET', `hash:${number % COLLECTIONS}`, `field:${index % 100}`, valueText(index))
  return encode('XADD', `stream:${number % 100}`, 'MAXLEN', '~', '1000', '*', 'value', valueText(index))
}

/** One connection: what it was sent and when that was due, and where its replies stand. */
class Connection {
  readonly socket: Socket
  /** Requests that wait for the end of the turn. */
  pending = ''
  private readonly dueUs = new Float64Array(UNDER_WAY_MAX)
  private sent = 0
  private answered = 0
  /** Bytes of a string that are still to be skipped, its line end included. */
  private skip = 0
  /** First byte of the line that is being read; 0: none. */
  private kind = 0
  private length = 0
  private readonly onLatency: (us: number, at: number) => void

  constructor(socket: Socket, onLatency: (us: number, at: number) => void) {
    this.socket = socket
    this.onLatency = onLatency
    socket.on('data', (chunk: Buffer) => this.receive(chunk))
  }

  get underWay(): number {
    return this.sent - this.answered
  }

  add(request: string, dueUs: number): void {
    if (this.underWay === UNDER_WAY_MAX) throw new Error('The server is too far behind')
    this.dueUs[this.sent++ & (UNDER_WAY_MAX - 1)] = dueUs
    this.pending += request
  }

  flush(): void {
    if (this.pending === '') return
    this.socket.write(this.pending, 'latin1')
    this.pending = ''
  }

  private receive(chunk: Buffer): void {
    const now = nowUs()
    let at = 0
    while (at < chunk.length) {
      if (this.skip > 0) {
        const taken = Math.min(this.skip, chunk.length - at)
        this.skip -= taken
        at += taken
        if (this.skip === 0) this.answer(now)
        continue
      }
      const byte = chunk[at++]!
      if (this.kind === 0) {
        if (byte === 0x2d) throw new Error(`An error: ${chunk.toString('latin1', at, at + 100)}`)
        this.kind = byte
        this.length = 0
      } else if (byte === 0x0a) {
        const isString = this.kind === 0x24 && this.length >= 0
        this.kind = 0
        if (isString) this.skip = this.length + 2
        else this.answer(now)
      } else if (this.kind === 0x24 && byte !== CR) {
        // `$-1` is an answer without a string.
        this.length = byte === 0x2d ? Number.NEGATIVE_INFINITY : this.length * 10 + byte - 0x30
      }
    }
  }

  private answer(now: number): void {
    const due = this.dueUs[this.answered++ & (UNDER_WAY_MAX - 1)]!
    this.onLatency(now - due, due)
  }
}

async function run({ port, keys, connections: count, rate, seconds }: PausesTask): Promise<PausesResult> {
  const histogram = new LatencyHistogram()
  const windows = new Float64Array(Math.ceil((seconds * 1e6) / WINDOW_US) + 1)
  let begunUs = 0
  const onLatency = (us: number, dueUs: number): void => {
    histogram.add(us)
    const window = Math.floor((dueUs - begunUs) / WINDOW_US)
    if (us > windows[window]!) windows[window] = us
  }
  const connections = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.setNoDelay(true)
      return new Connection(socket, onLatency)
    }),
  )
  const requests = Array.from({ length: REQUESTS }, (_, i) => requestText(i, keys))

  const total = Math.round(rate * seconds)
  begunUs = nowUs()
  let sent = 0
  let lookedUs = begunUs
  let ownLongestUs = 0
  const isDone = (): boolean => sent === total && connections.every(({ underWay }) => underWay === 0)
  while (!isDone()) {
    const now = nowUs()
    ownLongestUs = Math.max(ownLongestUs, now - lookedUs)
    lookedUs = now
    if (now - begunUs > seconds * 1e6 + DRAIN_US) throw new Error('The server does not keep up')
    for (; sent < total && begunUs + (sent * 1e6) / rate <= now; sent++) {
      connections[sent % count]!.add(requests[sent % REQUESTS]!, begunUs + (sent * 1e6) / rate)
    }
    for (const connection of connections) connection.flush()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const passedSeconds = (nowUs() - begunUs) / 1e6
  for (const { socket } of connections) socket.destroy()
  return {
    latency: histogram.latency(),
    rate: total / passedSeconds,
    ownLongestMs: ownLongestUs / 1000,
    timeline: [...windows.subarray(0, -1)].map((us, i) => [(i * WINDOW_US) / 1e6, us / 1000]),
  }
}

serveTasks(run)
