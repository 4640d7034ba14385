/**
 * How far loading has come, and when it lets others have their turn. Hot path: isSliceOver.
 *
 * Data are loaded in slices. What loads asks after each key or command whether its slice is over: after some 10 ms, or
 * after `loading-process-events-interval-bytes`. What `key-load-delay` wants loading to wait for is summed up here and
 * waited for by whoever drives it, between slices.
 */

/** What INFO tells of loading. */
export interface LoadStatus {
  /** Whether data are being loaded: commands that need them are refused. */
  readonly isActive: boolean
  readonly startedMs: number
  /** Size of all files that are loaded, in bytes, and what has been read of it. */
  readonly totalBytes: number
  readonly loadedBytes: number
  /** Memory that the server used which wrote the snapshot, in bytes; 0 when it does not say. */
  readonly rdbUsedMemory: number
  /** Keys of snapshots that were taken, and those that were dropped because their time was over, since loading began. */
  readonly keysLoaded: number
  readonly keysExpired: number
}

/** Loads data in slices. */
export interface Loader {
  /** Loads until its slice is over. Returns true when all is loaded. @throws AofLoadError, RdbLoadError, system errors */
  step(): boolean
  /** Closes files and frees what is half loaded. */
  close(): void
}

/** Time of a slice, in ms. */
const SLICE_MS = 10
/** The clock is read once in so many keys or commands. */
const CLOCK_INTERVAL = 32
/** Delays are waited for when they have come to so much, in ms. */
const OWED_MS_MAX = SLICE_MS

export class LoadProgress implements LoadStatus {
  isActive: boolean = false
  startedMs = 0
  totalBytes = 0
  rdbUsedMemory = 0
  keysLoaded = 0
  keysExpired = 0
  /** `loading-process-events-interval-bytes` */
  intervalBytes = 2 * 1024 * 1024
  /** `key-load-delay`, in µs; negative: one µs for each so many keys. */
  delayUs = 0
  /** What is to be waited for before the next slice, in ms. */
  owedMs = 0
  /** Size of the files before the current one, in bytes. */
  private earlierBytes = 0
  private offset = 0
  private sliceEndMs = 0
  private sliceEndBytes = 0
  private untilClock = CLOCK_INTERVAL

  get loadedBytes(): number {
    return this.earlierBytes + this.offset
  }

  /** Loading begins; counters start afresh. */
  begin(totalBytes: number, nowMs: number): void {
    this.isActive = true
    this.startedMs = nowMs
    this.totalBytes = totalBytes
    this.rdbUsedMemory = 0
    this.keysLoaded = 0
    this.keysExpired = 0
    this.earlierBytes = 0
    this.offset = 0
    this.owedMs = 0
  }

  /** Loading is over; the counters stay. */
  end(): void {
    this.isActive = false
  }

  /** The current file is read to its end. */
  endFile(bytes: number): void {
    this.earlierBytes += bytes
    this.offset = 0
  }

  beginSlice(): void {
    this.sliceEndMs = performance.now() + SLICE_MS
    this.sliceEndBytes = this.offset + this.intervalBytes
    this.untilClock = CLOCK_INTERVAL
    this.owedMs = 0
  }

  /** To be asked after each key or command, with the offset behind it in its file: whether to go on in another turn. */
  isSliceOver(offset: number): boolean {
    this.offset = offset
    if (this.delayUs !== 0) {
      this.owedMs += this.delayUs > 0 ? this.delayUs / 1000 : -1 / (this.delayUs * 1000)
      if (this.owedMs >= OWED_MS_MAX) return true
    }
    if (offset >= this.sliceEndBytes) return true
    if (--this.untilClock > 0) return false
    this.untilClock = CLOCK_INTERVAL
    return this.isTimeOver()
  }

  /** As `isSliceOver`, in the midst of a long key or command. */
  isTimeOver(): boolean {
    return performance.now() >= this.sliceEndMs
  }
}
