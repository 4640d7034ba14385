/**
 * `http-rate-limit`: requests a minute for each token, or address without a token. Windows of a minute, each beginning
 * with the first request that it counts. Exact per process, in memory.
 *
 * What is remembered is bounded: beyond that the window that began first is forgotten, so a flood of addresses can give
 * somebody a fresh minute, but neither grows without end nor locks anybody out.
 */
import { isIPv6 } from 'node:net'

export const WINDOW_SECONDS = 60
const WINDOW_MS = WINDOW_SECONDS * 1000
/** Windows that are remembered. */
const WINDOWS_MAX = 100_000
/** Parts of an IPv6 address that name a network (/64): whoever has one address there has them all. */
const IPV6_NETWORK_PARTS = 4
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

interface Window {
  count: number
  startedMs: number
}

/** What is left of a budget after a request. */
export interface Budget {
  readonly max: number
  readonly remaining: number
  /** Until the window ends, in whole seconds. */
  readonly resetSeconds: number
  readonly isExceeded: boolean
}

export class RateLimiter {
  private readonly max: number
  private readonly nowMs: () => number
  private readonly windowsMax: number
  /** In the order in which they began. */
  private readonly windows = new Map<string, Window>()

  /**
   * @param max requests in a window
   * @param nowMs a monotonic clock
   */
  constructor(max: number, nowMs: () => number = () => performance.now(), windowsMax = WINDOWS_MAX) {
    this.max = max
    this.nowMs = nowMs
    this.windowsMax = windowsMax
  }

  /** Counts a request of whoever the key stands for. One that is refused counts, too. */
  take(key: string): Budget {
    const now = this.nowMs()
    let window = this.windows.get(key)
    if (window === undefined || now - window.startedMs >= WINDOW_MS) {
      this.windows.delete(key)
      this.forget(now)
      window = { count: 0, startedMs: now }
      this.windows.set(key, window)
    }
    window.count++
    return {
      max: this.max,
      remaining: Math.max(0, this.max - window.count),
      resetSeconds: Math.ceil((window.startedMs + WINDOW_MS - now) / 1000),
      isExceeded: window.count > this.max,
    }
  }

  /** Whether the next request would be refused. */
  isSpent(key: string): boolean {
    const window = this.windows.get(key)
    return window !== undefined && window.count >= this.max && this.nowMs() - window.startedMs < WINDOW_MS
  }

  get size(): number {
    return this.windows.size
  }

  /** Forgets windows that are over, at most two for each one that begins, and the oldest when there are too many. */
  private forget(now: number): void {
    let looked = 0
    for (const [key, window] of this.windows) {
      const isOver = now - window.startedMs >= WINDOW_MS
      if (!isOver && this.windows.size < this.windowsMax) return
      this.windows.delete(key)
      looked++
      if (looked === 2) return
    }
  }
}

/** What an address is counted as: an IPv4 address is itself, an IPv6 address stands for its network. */
export function addressKey(address: string): string {
  const mapped = MAPPED_IPV4.exec(address)
  if (mapped !== null) return `address ${mapped[1]}`
  if (!isIPv6(address)) return `address ${address}`
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const parts = head === '' ? [] : head.split(':')
  if (tail !== undefined && parts.length < IPV6_NETWORK_PARTS) {
    const rest = tail === '' ? 0 : tail.split(':').length
    const zeros = 8 - parts.length - rest
    for (let i = 0; i < zeros; i++) parts.push('0')
    if (tail !== '') parts.push(...tail.split(':'))
  }
  const network = parts.slice(0, IPV6_NETWORK_PARTS).map((part) => Number.parseInt(part, 16).toString(16))
  return `address ${network.join(':')}::/64`
}
