/**
 * A thread of our own that makes files durable (transport/native/sync.cc), where it was built: the thread pool takes longer
 * to begin and to tell of the end, and may be busy. One for each thread of JavaScript. Hot path: sync, collect.
 */
import { getSystemErrorMap } from 'node:util'
import { loadAddon } from './addon.ts'
import type { FileDone } from './files.ts'

/** What native/sync.cc exports. */
interface NativeSync {
  start(state: Int32Array, onEnd: () => void): number
  request(fd: number): number
  collect(): boolean
}

/** A request that has not ended. */
interface Waiting {
  readonly number: number
  readonly done: FileDone
}

export class SyncThread {
  private readonly native: NativeSync
  /** The number of the last request that has ended, and errno. */
  private readonly state = new Int32Array(2)
  private waiting: Waiting[] = []
  /** The file that they are for, and whether it has been closed since: another one may have its number then. */
  private fd = -1
  private isClosed: boolean = false

  private constructor(native: NativeSync) {
    this.native = native
  }

  /** Null where there is none. */
  static start(): SyncThread | null {
    if (process.platform !== 'linux') return null
    try {
      const native = loadAddon('sync') as NativeSync
      const thread = new SyncThread(native)
      return native.start(thread.state, thread.ended) === 0 ? thread : null
    } catch {
      // It was not built: the log says for the sake of the transport that there is no compiler.
      return null
    }
  }

  /**
   * Makes the content of a file durable that was written before; `done` is called in the order of the requests. Those that
   * come while one is under way end together. Returns false when it cannot be done here.
   */
  sync(fd: number, done: FileDone): boolean {
    if (this.isClosed) return false
    const number = this.native.request(fd)
    if (number === 0) return false
    this.fd = fd
    this.waiting.push({ number, done })
    return true
  }

  /** Takes note that a file is closed: requests that are under way for it may end as those of no file. */
  closed(fd: number): void {
    if (this.waiting.length > 0 && fd === this.fd) this.isClosed = true
  }

  /** Calls back at once for what has ended by now. */
  collect(): void {
    if (this.waiting.length > 0 && this.native.collect()) this.ended()
  }

  private readonly ended = (): void => {
    const { waiting, state } = this
    const last = state[0]!
    const error = state[1] === 0 ? null : syncError(state[1]!)
    let count = 0
    // Numbers begin anew behind the greatest one.
    while (count < waiting.length && ((waiting[count]!.number - last) | 0) <= 0) count++
    this.waiting = waiting.slice(count)
    if (this.waiting.length === 0) this.isClosed = false
    for (let i = 0; i < count; i++) waiting[i]!.done(error)
  }
}

/** An error as node:fs would give it. */
function syncError(errno: number): Error {
  const [code = 'UNKNOWN', text = 'unknown error'] = getSystemErrorMap().get(-errno) ?? []
  return Object.assign(new Error(`${code}: ${text}, fdatasync`), { code, errno: -errno, syscall: 'fdatasync' })
}
