/**
 * Where a snapshot's records go: to a thread that writes the file meanwhile, or straight to the file.
 *
 * The thread gets buffers of records one after the other and sends each back when it has written it, so that a few
 * buffers go round. When all are under way the walk waits; what is about to change does not, and gathers in memory.
 */
import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { type Files, SYSTEM_FILES } from '../../files/files.ts'
import { threadEntry } from '../../files/package-files.ts'
import { asError } from '../../files/thrown.ts'
import type { RecordBuffer } from '../rdb/record-buffer.ts'
import { SnapshotFile, type SnapshotFileOptions } from './snapshot-file.ts'

const THREAD = threadEntry('src/persistence/snapshot/writer-thread.ts')
/** Its stacks name the sources; and it has none of the options of the program, which may load other code with them. */
const THREAD_OPTIONS = ['--enable-source-maps']
/** Buffers on their way to the thread or back, while the walk goes on; and how many of them are kept for more. */
const BUFFERS_MAX = 4
/** Larger buffers, which one large value has made, are not used again. */
const SPARE_BYTES_MAX = 2 * 1024 * 1024

/** From the walk to the thread. The buffers are transferred. */
export type WriterRequest =
  | {
      readonly type: 'records'
      readonly bytes: ArrayBuffer
      readonly length: number
      readonly marks: ArrayBuffer
      readonly markCount: number
    }
  | { readonly type: 'complete' }

/** From the thread to the walk. */
export type WriterReport =
  | {
      readonly type: 'written'
      readonly bytes: ArrayBuffer
      readonly marks: ArrayBuffer
    }
  | { readonly type: 'completed' }
  | { readonly type: 'failed'; readonly message: string }

/** What a writer tells the walk. */
export interface WriterEvents {
  /** There is room again. */
  drained(): void
  completed(): void
  failed(error: Error): void
}

export interface SnapshotWriter {
  /** Whether the walk should wait. */
  readonly isFull: boolean
  /** Memory of what was taken and is not written. */
  readonly heldBytes: number
  /** Takes the content of `records`, which is empty afterwards. Failures are told to the events. */
  write(records: RecordBuffer): void
  /** No more will come. */
  complete(): void
  /** Gives the file up and removes it. No event follows. */
  discard(): void
  /** Calls back when nobody uses the file any more, after its end or `discard`: only then may its name be used again. */
  whenGone(then: () => void): void
}

/**
 * Whether the thread can be started. Its code is not there any more when another version was installed over the one that
 * runs, or its bundle was removed: then snapshots are written without it, or the server could not even end.
 */
export function hasWriterThread(): boolean {
  return existsSync(THREAD)
}

/** Writes in a thread. */
export class ThreadWriter implements SnapshotWriter {
  private readonly worker: Worker
  private readonly path: string
  private readonly events: WriterEvents
  private readonly spare: { bytes: ArrayBuffer; marks: ArrayBuffer }[] = []
  private underWay = 0
  private isOver: boolean = false
  /** Resolves when the thread is no more. */
  private ending: Promise<unknown> | null = null
  heldBytes = 0

  /** @throws the system's error when it has no thread to spare */
  constructor(options: SnapshotFileOptions, events: WriterEvents) {
    this.path = options.path
    this.events = events
    this.worker = new Worker(THREAD, { workerData: options, execArgv: THREAD_OPTIONS })
    this.worker.on('message', (report: WriterReport) => this.received(report))
    this.worker.on('error', (error: unknown) => this.failed(asError(error)))
    this.worker.on('exit', () => this.failed(new Error('the writing thread has ended')))
  }

  get isFull(): boolean {
    return this.underWay >= BUFFERS_MAX
  }

  write(records: RecordBuffer): void {
    if (this.isOver) {
      records.reset()
      return
    }
    this.underWay++
    const { length, markCount } = records
    const { bytes, marks } = records.exchange(this.spare.pop() ?? null)
    this.heldBytes += bytes.byteLength + marks.byteLength
    const request: WriterRequest = { type: 'records', bytes, length, marks, markCount }
    this.worker.postMessage(request, [bytes, marks])
  }

  complete(): void {
    if (!this.isOver) this.worker.postMessage({ type: 'complete' } satisfies WriterRequest)
  }

  discard(): void {
    // At once, because the process may be about to end; and again, as the thread may be about to make it.
    removeQuietly(this.path)
    this.end()
    void this.ending?.then(() => removeQuietly(this.path))
  }

  whenGone(then: () => void): void {
    if (this.ending === null) then()
    else void this.ending.then(then)
  }

  private end(): void {
    this.isOver = true
    this.heldBytes = 0
    this.spare.length = 0
    this.ending ??= this.worker.terminate()
  }

  private received(report: WriterReport): void {
    if (this.isOver) return
    if (report.type === 'failed') {
      this.failed(new Error(report.message))
      return
    }
    if (report.type === 'written') {
      const { bytes, marks } = report
      this.underWay--
      this.heldBytes -= bytes.byteLength + marks.byteLength
      if (this.spare.length < BUFFERS_MAX && bytes.byteLength <= SPARE_BYTES_MAX) this.spare.push({ bytes, marks })
      this.events.drained()
      return
    }
    this.end()
    this.events.completed()
  }

  private failed(error: Error): void {
    if (this.isOver) return
    this.end()
    removeQuietly(this.path)
    this.events.failed(error)
  }
}

/** Writes at once, in the thread of the walk. */
export class DirectWriter implements SnapshotWriter {
  private readonly options: SnapshotFileOptions
  private readonly files: Files
  private readonly events: WriterEvents
  private file: SnapshotFile | null = null
  private isOver: boolean = false
  readonly isFull = false
  readonly heldBytes = 0

  constructor(options: SnapshotFileOptions, files: Files, events: WriterEvents) {
    this.options = options
    this.files = files
    this.events = events
  }

  write(records: RecordBuffer): void {
    this.attempt((file) => file.write(records.bytes, records.length, records.marks, records.markCount))
    records.reset()
  }

  complete(): void {
    if (this.attempt((file) => file.complete())) this.events.completed()
    this.isOver = true
  }

  discard(): void {
    if (!this.isOver) this.file?.discard()
    this.isOver = true
  }

  whenGone(then: () => void): void {
    then()
  }

  /** Returns false when it failed, which the events have been told. */
  private attempt(action: (file: SnapshotFile) => void): boolean {
    if (this.isOver) return false
    try {
      this.file ??= new SnapshotFile(this.options, this.files)
      action(this.file)
      return true
    } catch (error) {
      this.discard()
      this.events.failed(asError(error))
      return false
    }
  }
}

/** The file is of no use to anybody; one that cannot be removed is overwritten by the next snapshot of its name. */
function removeQuietly(path: string): void {
  try {
    SYSTEM_FILES.remove(path)
  } catch {
    // See above.
  }
}
