/**
 * The commands that MULTI has queued, in the order in which they came. Hot path: add, next.
 *
 * Their arguments lie in segments, each of which is twice as long as the one before up to a limit; no command is divided:
 *
 *     segment  | number of arguments, length of each (32 bits) | bytes of the arguments | next command …
 *
 * So a queued command costs a few bytes beside its arguments, and no object of its own.
 */
import { readWord, writeWord } from '../bytes/words.ts'
import { Args } from '../resp/args.ts'
import { copyBytes } from '../storage/arena.ts'
import type { Command } from './registry.ts'

const WORD_BYTES = 4
const FIRST_SEGMENT_BYTES = 256
const SEGMENT_BYTES_MAX = 256 * 1024
/** A queue that is emptied keeps a segment up to this length for the next transaction. */
const KEEP_BYTES_MAX = 1024
/** Arrays for so many arguments lie on V8's heap: they cost next to nothing. */
const FEW_ARGUMENTS = 8
/** A place in an array of commands. */
const POINTER_BYTES = 8

export class CommandQueue {
  /** Bytes of all arguments. */
  argumentBytes = 0
  private readonly commands: Command[] = []
  private segments: Buffer[] = []
  private segmentBytes = 0
  /** End of what the last segment holds. */
  private end = 0
  private reader: QueueReader | null = null

  /** Number of commands. */
  get length(): number {
    return this.commands.length
  }

  /** What the queue holds in memory, in bytes. */
  get memoryBytes(): number {
    return this.segmentBytes + this.commands.length * POINTER_BYTES
  }

  /** Adds a command with a copy of its arguments. */
  add(command: Command, args: Args): void {
    const { count } = args
    let argumentBytes = 0
    for (let i = 0; i < count; i++) argumentBytes += args.length(i)
    const segment = this.segmentFor((count + 1) * WORD_BYTES + argumentBytes)
    let word = writeWord(segment, this.end, count)
    let at = word + count * WORD_BYTES
    for (let i = 0; i < count; i++) {
      const length = args.length(i)
      word = writeWord(segment, word, length)
      copyBytes(args.buffer, args.start(i), segment, at, length)
      at += length
    }
    this.end = at
    this.commands.push(command)
    this.argumentBytes += argumentBytes
  }

  /** A reader before the first command; there is one for all callers. */
  read(): QueueReader {
    this.reader ??= new QueueReader(this)
    this.reader.rewind()
    return this.reader
  }

  /** Whether some queued command is so. `args` is valid within the call. */
  some(isSo: (command: Command, args: Args) => boolean): boolean {
    const reader = new QueueReader(this)
    while (reader.next()) if (isSo(reader.command, reader.args)) return true
    return false
  }

  /** Forgets all commands. */
  clear(): void {
    if (this.commands.length === 0) return
    this.commands.length = 0
    this.argumentBytes = 0
    this.end = 0
    const [first] = this.segments
    const isKept = this.segments.length === 1 && first!.length <= KEEP_BYTES_MAX
    if (isKept) return
    this.segments = []
    this.segmentBytes = 0
    // It holds the segment that it has read last, and room for as many arguments as a command had.
    this.reader = null
  }

  /** For QueueReader. */
  commandAt(i: number): Command {
    return this.commands[i]!
  }

  segmentAt(i: number): Buffer {
    return this.segments[i]!
  }

  /** The segment in which so many bytes are free from `end` on. */
  private segmentFor(bytes: number): Buffer {
    const last = this.segments.length - 1
    if (last >= 0 && this.end + bytes <= this.segments[last]!.length) return this.segments[last]!
    // A command that needs more has a segment of its own.
    const usual = last < 0 ? FIRST_SEGMENT_BYTES : Math.min(this.segments[last]!.length * 2, SEGMENT_BYTES_MAX)
    if (last >= 0) terminate(this.segments[last]!, this.end)
    const segment = Buffer.allocUnsafeSlow(Math.max(usual, bytes))
    this.segments.push(segment)
    this.segmentBytes += segment.length
    this.end = 0
    return segment
  }
}

/** Goes through a queue, which may be emptied meanwhile: that ends it. */
export class QueueReader {
  /** Of the current command; valid until `next`. */
  readonly args = new Args(FEW_ARGUMENTS)
  private readonly queue: CommandQueue
  private index = -1
  private segment = 0
  private at = 0

  constructor(queue: CommandQueue) {
    this.queue = queue
  }

  rewind(): void {
    this.index = -1
    this.segment = 0
    this.at = 0
  }

  get command(): Command {
    return this.queue.commandAt(this.index)
  }

  /** Goes to the next command. Returns false behind the last one. */
  next(): boolean {
    const { queue, args } = this
    if (++this.index >= queue.length) return false
    let buffer = queue.segmentAt(this.segment)
    let count = this.at + WORD_BYTES <= buffer.length ? readWord(buffer, this.at) : ENDED
    if (count === ENDED) {
      buffer = queue.segmentAt(++this.segment)
      this.at = 0
      count = readWord(buffer, 0)
    }
    args.buffer = buffer
    args.reserve(count)
    args.count = count
    let at = this.at + (count + 1) * WORD_BYTES
    for (let i = 0; i < count; i++) {
      const length = readWord(buffer, this.at + (i + 1) * WORD_BYTES)
      args.offsets[i] = at
      args.lengths[i] = length
      at += length
    }
    this.at = at
    return true
  }
}

/** Stands for the number of arguments where a segment has ended. */
const ENDED = 0

function terminate(segment: Buffer, at: number): void {
  if (at + WORD_BYTES <= segment.length) writeWord(segment, at, ENDED)
}
