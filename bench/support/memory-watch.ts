/** The memory of a server over a time, its forked child's included. */
import { readFile } from 'node:fs/promises'

const PAGE_BYTES = 4096
const INTERVAL_MS = 100

/**
 * Looks every 100 ms. A forked child shares most pages with its parent, whose resident pages count them; what only the child
 * has is added.
 */
export class MemoryWatch {
  private readonly pid: number
  private readonly timer: NodeJS.Timeout
  private isReading = false
  private peakBytes: number
  /** What the server had at the start. */
  readonly firstBytes: number

  private constructor(pid: number, bytes: number) {
    this.pid = pid
    this.firstBytes = bytes
    this.peakBytes = bytes
    this.timer = setInterval(() => void this.read(), INTERVAL_MS)
  }

  static async start(pid: number): Promise<MemoryWatch> {
    return new MemoryWatch(pid, await memoryBytes(pid))
  }

  /** Ends it. Returns the most that was seen, in bytes. */
  stop(): number {
    clearInterval(this.timer)
    return this.peakBytes
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
