/**
 * Reads what is appended to the streams that are followed: blocking XREADs, each for many streams.
 *
 * A reader starts its call anew when a stream is added. It reads with all rights: who follows a stream was asked for his
 * own before. In a Redis Cluster, where one call must not name streams of two slots, each reader has one stream.
 */
import { messageOf } from '../../files/thrown.ts'
import type { Log } from '../../observe/log.ts'
import { CommandError, Decode, type Engine } from '../engine.ts'
import { type Entry, streamsOf } from './payload.ts'

const STREAMS_PER_READER = 128
/** Entries of each stream that one call returns at most. */
const READ_ENTRIES = 100
/** A call ends after this time, in ms, and is made again. */
const BLOCK_MS = 5000
/** Pause after a failure, in ms: doubles up to the maximum. */
const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 2000

/** A stream that is read. */
export interface ReadStream {
  readonly key: string
  /** Entries behind this ID are wanted. */
  readonly tail: string
  appended(entries: readonly Entry[]): void
  /** The stream cannot be read any more: the key holds something else. */
  failed(error: CommandError): void
}

export class StreamReaders {
  private readonly engine: Engine
  private readonly log: Log
  private readonly readers = new Set<StreamReader>()
  private readonly readerOf = new Map<ReadStream, StreamReader>()
  private streamsPerReader = STREAMS_PER_READER
  private isClosed: boolean = false

  constructor(engine: Engine, log: Log) {
    this.engine = engine
    this.log = log
  }

  add(stream: ReadStream): void {
    if (this.isClosed) return
    let reader: StreamReader | null = null
    for (const candidate of this.readers) if (candidate.streams.size < this.streamsPerReader) reader = candidate
    if (reader === null) {
      reader = new StreamReader(this.engine, this.log, this)
      this.readers.add(reader)
    }
    this.readerOf.set(stream, reader)
    reader.add(stream)
  }

  remove(stream: ReadStream): void {
    const reader = this.readerOf.get(stream)
    if (reader === undefined) return
    this.readerOf.delete(stream)
    reader.remove(stream)
    if (reader.streams.size === 0) this.readers.delete(reader)
  }

  /** The engine is a cluster: each stream gets a reader of its own. */
  split(): void {
    this.streamsPerReader = 1
    for (const reader of [...this.readers]) {
      for (const stream of [...reader.streams.values()].slice(1)) {
        this.remove(stream)
        this.add(stream)
      }
    }
  }

  close(): void {
    this.isClosed = true
    for (const stream of [...this.readerOf.keys()]) this.remove(stream)
  }
}

class StreamReader {
  readonly streams = new Map<string, ReadStream>()
  private readonly engine: Engine
  private readonly log: Log
  private readonly owner: StreamReaders
  private call: AbortController | null = null
  private isRunning: boolean = false
  private isRestartScheduled: boolean = false
  private retryMs = RETRY_MIN_MS

  constructor(engine: Engine, log: Log, owner: StreamReaders) {
    this.engine = engine
    this.log = log
    this.owner = owner
  }

  add(stream: ReadStream): void {
    this.streams.set(stream.key, stream)
    if (!this.isRunning) void this.run()
    else this.scheduleRestart()
  }

  remove(stream: ReadStream): void {
    this.streams.delete(stream.key)
    if (this.streams.size === 0) this.call?.abort()
  }

  /** Ends the call under way, which knows nothing of a new stream; once for all that come in a turn. */
  private scheduleRestart(): void {
    if (this.isRestartScheduled) return
    this.isRestartScheduled = true
    setImmediate(() => {
      this.isRestartScheduled = false
      this.call?.abort()
    })
  }

  private async run(): Promise<void> {
    this.isRunning = true
    while (this.streams.size > 0) {
      this.call = new AbortController()
      const { signal } = this.call
      try {
        await this.read(signal)
        this.retryMs = RETRY_MIN_MS
      } catch (error) {
        if (!signal.aborted) await this.recover(error)
      }
    }
    this.isRunning = false
  }

  private async read(signal: AbortSignal): Promise<void> {
    const streams = [...this.streams.values()]
    const keys = streams.map(({ key }) => key)
    const tails = streams.map(({ tail }) => tail)
    const args = ['XREAD', 'COUNT', READ_ENTRIES, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...tails]
    const reply = await this.engine.call(this.engine.system, args, { decode: Decode.Bytes, signal })
    for (const { key, entries } of streamsOf(reply)) {
      // A stream that was removed and added again has another tail.
      const stream = this.streams.get(key)
      if (stream !== undefined && streams.includes(stream)) stream.appended(entries as readonly Entry[])
    }
  }

  /** After an error: finds the stream that causes it, or waits. */
  private async recover(error: unknown): Promise<void> {
    if (error instanceof CommandError && error.code === 'CROSSSLOT') {
      this.owner.split()
      return
    }
    if (error instanceof CommandError && error.code === 'WRONGTYPE') await this.removeWrong()
    else this.log.debug(`Streams cannot be read: ${messageOf(error)}`)
    await new Promise((resolve) => setTimeout(resolve, this.retryMs).unref())
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS)
  }

  private async removeWrong(): Promise<void> {
    for (const stream of [...this.streams.values()]) {
      try {
        await this.engine.call(this.engine.system, ['XLEN', stream.key])
      } catch (error) {
        if (!(error instanceof CommandError) || error.code !== 'WRONGTYPE') return
        this.owner.remove(stream)
        stream.failed(error)
      }
    }
  }
}
