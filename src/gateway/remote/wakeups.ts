/** Waiting until something changes, or a time is over, or the caller is gone. */
import { CallCancelledError } from '../../server/in-process.ts'

/** Until when somebody waits, and what ends it before. */
export interface Patience {
  /** As by performance.now(). */
  readonly deadlineMs: number
  readonly signal: AbortSignal | null
}

export class Wakeups {
  private readonly waiting = new Set<() => void>()

  /** Wakes everybody who waits, in the order of their coming. */
  wake(): void {
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Resolves at the next `wake`, or at the deadline. @throws CallCancelledError when the caller is gone */
  wait({ deadlineMs, signal }: Patience, atMostMs = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new CallCancelledError())
        return
      }
      const end = (): void => {
        this.waiting.delete(end)
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancel)
        resolve()
      }
      const cancel = (): void => {
        reject(new CallCancelledError())
        end()
      }
      const timer = setTimeout(end, Math.max(0, Math.min(deadlineMs - performance.now(), atMostMs)))
      this.waiting.add(end)
      signal?.addEventListener('abort', cancel, { once: true })
    })
  }
}

/** Nobody is waited for: time passes. */
const NOBODY = new Wakeups()

/** Resolves after a time, or at the deadline. @throws CallCancelledError */
export function pause(ms: number, patience: Patience): Promise<void> {
  return NOBODY.wait(patience, ms)
}
