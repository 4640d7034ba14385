/** Watches a server from outside: round trips of PING, without a pause, and its memory, its forked child's included. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'

const PING: Buffer = Buffer.from('PING\r\n')
const PONG_BYTES = '+PONG\r\n'.length
const SAMPLES_MAX = 8_000_000
const PAGE_BYTES = 4096
const MEMORY_INTERVAL_MS = 100

/** Percentiles of round trips, in ms. */
export interface RoundTrips {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
}

/** One connection that always has one PING under way: no stall of the server's loop escapes it. */
export class PingProbe {
  private readonly socket: Socket
  private readonly samples = new Float64Array(SAMPLES_MAX)
  private count = 0
  private sentMs = 0

  private constructor(socket: Socket) {
    this.socket = socket
    let received = 0
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received < PONG_BYTES) return
      received = 0
      if (this.count < SAMPLES_MAX) this.samples[this.count++] = performance.now() - this.sentMs
      this.send()
    })
    this.send()
  }

  static async open(port: number): Promise<PingProbe> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.setNoDelay(true)
    return new PingProbe(socket)
  }

  /** Forgets what was measured so far. */
  reset(): void {
    this.count = 0
  }

  /** What was measured since the last reset; the PING that is under way counts with the time that it has taken. */
  result(): RoundTrips {
    const sorted = this.samples.slice(0, this.count).sort()
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    const pending = performance.now() - this.sentMs
    const longest = Math.max(sorted.at(-1) ?? 0, pending)
    return { count: this.count, p50: at(0.5), p99: at(0.99), p999: at(0.999), longest }
  }

  close(): void {
    this.socket.destroy()
  }

  private send(): void {
    this.sentMs = performance.now()
    this.socket.write(PING)
  }
}

/**
 * Memory of a server over a time. A forked child shares most pages with its parent, whose resident pages count them; what
 * only the child has is added.
 */
export class MemoryProbe {
  private readonly pid: number
  private readonly timer: NodeJS.Timeout
  private isReading: boolean = false
  peakBytes = 0

  constructor(pid: number) {
    this.pid = pid
    this.timer = setInterval(() => void this.read(), MEMORY_INTERVAL_MS)
  }

  /** Begins anew. Returns what the server takes now, in bytes. */
  async reset(): Promise<number> {
    const bytes = await memoryBytes(this.pid)
    this.peakBytes = bytes
    return bytes
  }

  close(): void {
    clearInterval(this.timer)
  }

  private async read(): Promise<void> {
    // Pages of a big process take their time to be counted, which this process must not wait for.
    if (this.isReading) return
    this.isReading = true
    try {
      this.peakBytes = Math.max(this.peakBytes, await memoryBytes(this.pid))
    } finally {
      this.isReading = false
    }
  }
}

async function memoryBytes(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/statm`, 'latin1')).split(' ')
  let bytes = Number(fields[1]) * PAGE_BYTES
  for (const child of await childrenOf(pid)) bytes += await privateBytes(child)
  return bytes
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1')
  return text.split(' ').filter(Boolean).map(Number)
}

/** Pages of which no other process has a copy; 0 when the process has ended. */
async function privateBytes(pid: number): Promise<number> {
  let text: string
  try {
    text = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1')
  } catch {
    return 0
  }
  let kilobytes = 0
  for (const [, number] of text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm)) kilobytes += Number(number)
  return kilobytes * 1024
}
