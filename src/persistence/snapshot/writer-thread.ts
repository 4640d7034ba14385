/** The thread that writes a snapshot's file: takes buffers of records, sends them back when they are written. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { SYSTEM_FILES } from '../../files/files.ts'
import { messageOf } from '../../files/thrown.ts'
import { SnapshotFile, type SnapshotFileOptions } from './snapshot-file.ts'
import type { WriterReport, WriterRequest } from './snapshot-writer.ts'

/** On a machine whose processors are busy the loop comes before the file. */
const NICENESS = 10

yieldToLoop()
const port = parentPort!
let file: SnapshotFile | null = null

attempt(() => {
  file = new SnapshotFile(workerData as SnapshotFileOptions, SYSTEM_FILES)
})

port.on('message', (request: WriterRequest) => attempt(() => serve(request)))

function serve(request: WriterRequest): void {
  if (file === null) return
  if (request.type === 'complete') {
    file.complete()
    report({ type: 'completed' })
    return
  }
  const { bytes, length, marks, markCount } = request
  file.write(Buffer.from(bytes), length, new Int32Array(marks), markCount)
  port.postMessage({ type: 'written', bytes, marks } satisfies WriterReport, [bytes, marks])
}

/** A file that failed once is given up: what follows is not looked at. */
function attempt(action: () => void): void {
  try {
    action()
  } catch (error) {
    file?.discard()
    file = null
    report({ type: 'failed', message: messageOf(error) })
  }
}

function report(message: WriterReport): void {
  port.postMessage(message)
}

/** Lowers the priority of this thread alone. Only Linux gives threads priorities of their own. */
function yieldToLoop(): void {
  if (process.platform !== 'linux') return
  try {
    // The link reads `process/task/thread`.
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICENESS)
  } catch {
    // Without /proc, or in a sandbox that forbids it, the thread works as it is.
  }
}
