/**
 * Requests that wait for entries, and how many may.
 *
 * Each takes a session of the engine while it waits. So their number is bounded, well below `maxclients`; and a connection
 * waits once at a time, as its answers leave in order anyway: else a few kilobytes of pipelined requests were thousands of sessions.
 */
import type { FastifyReply } from 'fastify'
import type { User } from '../../access/user.ts'
import { type CommandWords, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { Problem } from '../problem.ts'
import { hangUpSignal } from '../queues/hang-up.ts'

const WAITS_MAX = 5000
const RETRY_AFTER_SECONDS = '1'

export class LongPolls {
  private readonly draining: AbortSignal
  private readonly waitsMax: number
  /** Connections of requests that wait. */
  private readonly waiting = new Set<object>()

  constructor(draining: AbortSignal, waitsMax: number = WAITS_MAX) {
    this.draining = draining
    this.waitsMax = waitsMax
  }

  /**
   * Waits, until the signal that `wait` is given says that the client is gone or the gateway is shutting down.
   *
   * @throws Problem 503 when too many wait
   */
  async run<T>(reply: FastifyReply, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { socket } = reply.request.raw
    if (this.waiting.has(socket)) throw tooMany('This connection waits already: wait for that answer, or use another')
    if (this.waiting.size >= this.waitsMax) throw tooMany('Too many requests wait already')
    this.waiting.add(socket)
    try {
      return await wait(hangUpSignal(reply, this.draining))
    } finally {
      this.waiting.delete(socket)
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

function tooMany(detail: string): Problem {
  return new Problem(503, detail, {}, { 'retry-after': RETRY_AFTER_SECONDS })
}
