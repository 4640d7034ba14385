/**
 * A command on its way to a remote server: one of ioredis', whose reply comes as it is decoded, and which knows whether it
 * was sent. One that was not can be sent again without harm when a connection breaks.
 */
import { Command } from 'ioredis'
import type { Argument, CommandWords } from '../engine.ts'

/** ioredis rewrites arguments of these, found by their names in lower case. */
const REWRITTEN = /^(?:h?mset|msetnx|hset)$/

/** What ioredis decodes: Buffers for strings and statuses, texts for integers, Errors within arrays. */
export type RawReply = Buffer | string | null | Error | readonly RawReply[]

export class RemoteCommand extends Command {
  /** Whether its bytes were handed to a socket. */
  wasSent: boolean = false

  /** @throws TypeError for words that are no arguments */
  constructor(words: CommandWords) {
    if (words.length === 0) throw new TypeError('Cannot call: the command is missing')
    const [name = '', ...args] = words.map((word) => toWord(word, words[0]!))
    const text = String(name)
    super(REWRITTEN.test(text) ? text.toUpperCase() : text, args, { replyEncoding: null })
  }

  override toWritable(socket: object): string | Buffer {
    this.wasSent = true
    return super.toWritable(socket)
  }

  override transformReply(result: Buffer | Buffer[]): Buffer | Buffer[] {
    return result
  }
}

function toWord(word: Argument, name: Argument): string | Buffer {
  if (typeof word === 'string') return word
  if (typeof word === 'number' || typeof word === 'bigint') return String(word)
  if (word instanceof Uint8Array)
    return word instanceof Buffer ? word : Buffer.from(word.buffer, word.byteOffset, word.length)
  const kind = word === null || word === undefined ? String(word) : typeof word
  throw new TypeError(`Cannot call ${String(name)}: an argument is ${kind}`)
}

/** Whether an error is a reply, not a failure of the connection. */
export function isErrorReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** The first word of an error reply. */
export function codeOf(error: Error): string {
  return error.message.split(' ', 1)[0] ?? ''
}
