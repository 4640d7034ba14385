/**
 * Runs the commands of a request and makes the body of the answer. Hot path: batches.
 *
 * Small batches are handed to the engine at once. Others go in chunks, whose replies are written out before the next one
 * is run: what a batch holds in memory is one chunk and the text so far, which has a limit. Commands that may wait are run
 * one by one (`long-polls.ts`).
 */
import type { ServerResponse } from 'node:http'
import type { User } from '../../access/user.ts'
import { CallCancelledError } from '../../server/in-process.ts'
import {
  type CallDecode,
  CommandError,
  type CommandWords,
  type Decode,
  type Engine,
  RAW_RESP,
  type ReplyValue,
} from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { Problem } from '../problem.ts'
import { LongPolls, WAIT_MAX_MS } from './long-polls.ts'
import { batchJson, checkSize, outcomeJson } from './reply-json.ts'
import { WaitingCommands } from './waiting-commands.ts'

/** Commands of the first chunk of a batch, and of a batch that is not cut at all. */
const CHUNK_MIN = 16
const CHUNK_MAX = 1000
/** A chunk has at most so many times the commands of the one before. */
const CHUNK_GROWTH = 8
/** What the replies of a chunk should not exceed, going by those before, in chars or bytes. */
const CHUNK_SIZE = 4 * 1024 * 1024

export class Executor {
  private readonly engine: Engine
  private readonly longPolls: LongPolls
  private readonly waiting: WaitingCommands

  constructor(context: GatewayContext) {
    this.engine = context.engine
    this.longPolls = new LongPolls(context)
    this.waiting = new WaitingCommands(context.engine)
  }

  /** @throws CommandError for an error reply; with RAW_RESP it is the reply */
  one(user: User, words: CommandWords, decode: CallDecode, response: ServerResponse): Promise<ReplyValue> {
    if (!this.waiting.has(words)) return this.engine.call(user, words, { decode })
    return this.longPolls.call(user, words, decode, response, performance.now() + WAIT_MAX_MS)
  }

  /** Resolves to the body of the answer. @throws Problem when it becomes too large */
  batch(
    user: User,
    commands: readonly CommandWords[],
    decode: CallDecode,
    response: ServerResponse,
  ): Promise<string | Buffer> {
    const isShort = commands.length <= CHUNK_MIN && !this.waiting.hasOneOf(commands)
    if (!isShort) return this.inChunks(user, commands, decode, response)
    return this.engine.pipeline(user, commands, decode).then((replies) => {
      const body = newBody(decode)
      for (let i = 0; i < replies.length; i++) body.add(replies[i]!)
      return body.finish()
    })
  }

  async transaction(user: User, commands: readonly CommandWords[], decode: Decode): Promise<string> {
    return batchJson(await this.engine.transaction(user, commands, decode), decode)
  }

  private async inChunks(
    user: User,
    commands: readonly CommandWords[],
    decode: CallDecode,
    response: ServerResponse,
  ): Promise<string | Buffer> {
    const body = newBody(decode)
    const deadlineMs = performance.now() + WAIT_MAX_MS
    let size = CHUNK_MIN
    for (let at = 0; at < commands.length; ) {
      const words = commands[at]!
      if (this.waiting.has(words)) {
        body.add(await this.wait(user, words, decode, response, deadlineMs))
        // Whoever has hung up while a command waited wants none of those that follow.
        if (response.destroyed) break
        at++
        continue
      }
      const end = this.endOfChunk(commands, at, size)
      const before = body.size
      for (const reply of await this.engine.pipeline(user, commands.slice(at, end), decode)) body.add(reply)
      const fitting = Math.floor((CHUNK_SIZE * (end - at)) / (body.size - before))
      size = Math.max(1, Math.min(fitting, size * CHUNK_GROWTH, CHUNK_MAX))
      at = end
    }
    return body.finish()
  }

  private endOfChunk(commands: readonly CommandWords[], start: number, size: number): number {
    let end = start + 1
    while (end < commands.length && end < start + size && !this.waiting.has(commands[end]!)) end++
    return end
  }

  /** An error is the reply of its command, not of the batch. */
  private async wait(
    user: User,
    words: CommandWords,
    decode: CallDecode,
    response: ServerResponse,
    deadlineMs: number,
  ): Promise<ReplyValue> {
    try {
      return await this.longPolls.call(user, words, decode, response, deadlineMs)
    } catch (error) {
      if (error instanceof CommandError) return error
      if (error instanceof CallCancelledError) return new CommandError(`ERR ${error.message}`)
      // Too many wait; others of the batch were executed.
      if (error instanceof Problem) return new CommandError(error.message)
      throw error
    }
  }
}

/** The body of the answer to a batch, as it grows. */
interface BatchBody {
  /** In chars or bytes. */
  readonly size: number
  /** @throws Problem */
  add(reply: ReplyValue): void
  finish(): string | Buffer
}

function newBody(decode: CallDecode): BatchBody {
  return decode === RAW_RESP ? new RespBody() : new JsonBody(decode)
}

class JsonBody implements BatchBody {
  private readonly decode: Decode
  private text = '['

  constructor(decode: Decode) {
    this.decode = decode
  }

  get size(): number {
    return this.text.length
  }

  add(reply: ReplyValue): void {
    const json = outcomeJson(reply, this.decode)
    checkSize(this.text.length + json.length)
    this.text += this.text.length === 1 ? json : `,${json}`
  }

  finish(): string {
    return `${this.text}]`
  }
}

/** RESP needs no frame: the replies one after the other. */
class RespBody implements BatchBody {
  size = 0
  private readonly replies: Buffer[] = []

  add(reply: ReplyValue): void {
    const bytes = respBytes(reply)
    this.size += bytes.length
    checkSize(this.size)
    this.replies.push(bytes)
  }

  finish(): Buffer {
    return Buffer.concat(this.replies, this.size)
  }
}

/** The bytes of a reply that was asked for as such; a command that was not run has an error in its place. */
export function respBytes(reply: ReplyValue): Buffer {
  if (Buffer.isBuffer(reply)) return reply
  if (reply instanceof CommandError) return Buffer.from(`-${reply.message}\r\n`)
  throw new TypeError('A reply that was asked for as bytes is not')
}
