/**
 * How long a server lets others wait: a connection in a thread of its own sends PING every millisecond. A stall is the
 * longest time that the server's thread ran while one of these waited for its reply: what else runs on the machine does
 * not count (without Linux' /proc, the time by the clock).
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setPriority } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { BenchServer } from './servers.ts'

const PING_EACH_MS = 1
const PROBE_PRIORITY = -15

/** Sends PING every millisecond; told `reset` it forgets, told `read` it tells the longest wait. */
async function probe({ port, pid }: { readonly port: number; readonly pid: number }): Promise<void> {
  // A thread that has to wait for the processor would take that for a stall.
  try {
    setPriority(0, PROBE_PRIORITY)
  } catch {
    process.stderr.write('The measuring thread cannot have priority: other load on the machine will show\n')
  }
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  let longest = 0
  let sentMs = 0
  let sentRunMs = 0
  let isAsked = false
  const send = (): void => {
    sentMs = performance.now()
    sentRunMs = runMs(pid)
    socket.write('PING\r\n')
  }
  socket.on('data', () => {
    longest = Math.max(longest, Math.min(performance.now() - sentMs, runMs(pid) - sentRunMs))
    if (isAsked) parentPort?.postMessage(longest)
    isAsked = false
    setTimeout(send, PING_EACH_MS)
  })
  send()
  parentPort?.on('message', (message: string) => {
    // The answer waits for the reply to the PING that is under way: it may be the one that waits longest.
    if (message === 'read') isAsked = true
    else {
      longest = 0
      parentPort?.postMessage(0)
    }
  })
}

/** How long the first thread of a process has run, in ms; where that is not known, the time by the clock. */
function runMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

export class Probe {
  private readonly worker: Worker

  constructor({ port, pid }: BenchServer) {
    this.worker = new Worker(new URL(import.meta.url), { workerData: { port, pid } })
  }

  async ask(message: 'reset' | 'read'): Promise<number> {
    this.worker.postMessage(message)
    const [longest] = (await once(this.worker, 'message')) as [number]
    return longest
  }

  stop(): Promise<number> {
    return this.worker.terminate()
  }
}

if (!isMainThread) await probe(workerData)
