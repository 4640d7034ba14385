/**
 * Calls that may wait for their reply: commands that block, run as long polls.
 *
 * A client over HTTP has no way to end a wait but to hang up, and many have no timeout. So no request waits longer than
 * the cap; then the command ends as by its own timeout. It ends likewise, and takes no element, when the client has hung
 * up and when the gateway shuts down. How many may wait is bounded (`../waits.ts`).
 */
import type { ServerResponse } from 'node:http'
import type { User } from '../../access/user.ts'
import type { CallDecode, CommandWords, Engine, ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { Problem } from '../problem.ts'
import { TOO_MANY_WAIT, type Waits } from '../waits.ts'

/** Time that all waits of one request may take together, in ms. */
export const WAIT_MAX_MS = 30_000
const RETRY_AFTER_SECONDS = '1'

export class LongPolls {
  private readonly engine: Engine
  private readonly waits: Waits
  private readonly waiting = new Set<AbortController>()
  private isDraining: boolean = false

  constructor({ engine, draining, waits }: GatewayContext) {
    this.engine = engine
    this.waits = waits
    draining.addEventListener('abort', () => {
      this.isDraining = true
      for (const wait of this.waiting) wait.abort()
    })
  }

  /**
   * Runs a command that may wait.
   *
   * @param response of the request; when it closes the client is gone
   * @param deadlineMs when the wait ends, on the clock of `performance.now()`
   * @throws Problem 503 when too many wait
   */
  async call(
    user: User,
    words: CommandWords,
    decode: CallDecode,
    response: ServerResponse,
    deadlineMs: number,
  ): Promise<ReplyValue> {
    if (!this.waits.enter()) throw new Problem(503, `ERR ${TOO_MANY_WAIT}`, {}, { 'retry-after': RETRY_AFTER_SECONDS })
    const wait = new AbortController()
    const end = (): void => wait.abort()
    const timer = setTimeout(end, Math.max(deadlineMs - performance.now(), 0))
    response.once('close', end)
    this.waiting.add(wait)
    if (this.isDraining || response.destroyed) end()
    try {
      return await this.engine.call(user, words, { decode, signal: wait.signal })
    } finally {
      clearTimeout(timer)
      response.removeListener('close', end)
      this.waiting.delete(wait)
      this.waits.leave()
    }
  }
}
