/**
 * Requests that wait for entries or jobs.
 *
 * Their number is bounded (`../waits.ts`), and a connection waits once at a time (`../turns.ts`).
 */
import type { FastifyReply } from 'fastify'
import type { User } from '../../access/user.ts'
import { type CommandWords, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { Problem } from '../problem.ts'
import { hangUpSignal } from '../queues/hang-up.ts'
import { TOO_MANY_WAIT, type Waits } from '../waits.ts'

const RETRY_AFTER_SECONDS = '1'

export class LongPolls {
  private readonly draining: AbortSignal
  private readonly waits: Waits

  constructor({ draining, waits }: { readonly draining: AbortSignal; readonly waits: Waits }) {
    this.draining = draining
    this.waits = waits
  }

  /**
   * Runs what may wait, until the signal that `wait` is given says that the client is gone or the gateway is shutting down.
   *
   * @param blockMs 0: it looks once, and takes no place among those that wait
   * @throws Problem 503 when too many wait
   */
  async run<T>(reply: FastifyReply, blockMs: number, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (blockMs === 0) return wait(hangUpSignal(reply, this.draining))
    if (!this.waits.enter()) throw new Problem(503, TOO_MANY_WAIT, {}, { 'retry-after': RETRY_AFTER_SECONDS })
    try {
      return await wait(hangUpSignal(reply, this.draining))
    } finally {
      this.waits.leave()
    }
  }
}

/**
 * Runs a command that blocks, its strings as bytes; null when it was taken back before it was executed, as when its time is over.
 */
export async function callBlocking(
  engine: Engine,
  user: User,
  words: CommandWords,
  signal: AbortSignal,
): Promise<ReplyValue> {
  if (signal.aborted) return null
  try {
    return await engine.call(user, words, { decode: Decode.Bytes, signal })
  } catch (error) {
    if (signal.aborted) return null
    throw error
  }
}
