/**
 * From a key to its stream, and from arguments to entry IDs. Hot path.
 *
 * All IDs of a call are parsed into an `IdList` before anything changes.
 */
import { KindMask } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { INVALID_END_ID, INVALID_START_ID, INVALID_STREAM_ID, type ReplyError } from '../../resp/errors.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { IdempotentIds } from '../../structures/idempotent-ids.ts'
import { Stream } from '../../structures/stream.ts'
import { IdSyntax, ParsedId, parseStreamId, type StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'

const WORDS_PER_ID = 4
const FIRST_IDS = 16
/** A longer list is given back when it is cleared. */
const KEEP_IDS_MAX = 65536
const OPEN_BRACKET = 40
/** Sequence words of an incomplete ID at the end of an interval. */
const ALL_BITS = -1

/** The stream in argument `i` for a reading command, null when the key is missing. @throws WRONGTYPE */
export function readStream(ctx: CommandContext, args: Args, i: number): Stream | null {
  return streamAt(ctx, ctx.db.readKind(args, i, KindMask.Stream))
}

/** The stream in argument `i` for a writing command, null when the key is missing. @throws WRONGTYPE */
export function findStream(ctx: CommandContext, args: Args, i: number): Stream | null {
  const row = ctx.db.findKind(args, i, KindMask.Stream)
  if (row !== NO_ROW) ctx.db.renewAccess(row)
  return streamAt(ctx, row)
}

function streamAt(ctx: CommandContext, row: number): Stream | null {
  if (row === NO_ROW) return null
  const object = ctx.db.object(row)
  if (object instanceof Stream) return object
  throw new TypeError(`Cannot open a value of kind ${ctx.db.kind(row)} as a stream`)
}

/** The group that argument `i` names, null when there is none. */
export function findGroup(stream: Stream, args: Args, i: number): ConsumerGroup | null {
  return stream.group(args.buffer, args.start(i), args.length(i))
}

/** What a stream remembers of idempotent IDs, with the settings of the server if it has none of its own yet. */
export function idempotentIdsOf(ctx: CommandContext, stream: Stream): IdempotentIds {
  const { limits, seed } = ctx.keyspace
  stream.idempotentIds ??= new IdempotentIds(ctx.arena, seed, limits.streamIdmpDuration, limits.streamIdmpMaxsize)
  return stream.idempotentIds
}

/** Reads argument `i` as `ms` or `ms-seq`. @throws INVALID_STREAM_ID */
export function parseId(args: Args, i: number, id: StreamId): void {
  if (!tryParseId(args, i, id)) throw INVALID_STREAM_ID
}

/** As `parseId`, but returns false for what is no ID. */
export function tryParseId(args: Args, i: number, id: StreamId): boolean {
  return parseStreamId(args.buffer, args.start(i), args.length(i), id, IdSyntax.Strict, 0) === ParsedId.Given
}

/** Reads argument `i` as an ID, `-` or `+`. @throws INVALID_STREAM_ID */
export function parseIdOrEnd(args: Args, i: number, id: StreamId): void {
  parseOrThrow(args, args.start(i), args.length(i), id, IdSyntax.Range, 0)
}

/** Reads argument `i` as the start of an interval: an ID, `-`, `+`, or `(` and an ID. @throws when it is none */
export function parseIntervalStart(args: Args, i: number, id: StreamId): void {
  if (parseIntervalId(args, i, id, 0) && !id.increment()) throw INVALID_START_ID
}

/** Reads argument `i` as the end of an interval. @throws when it is none */
export function parseIntervalEnd(args: Args, i: number, id: StreamId): void {
  if (parseIntervalId(args, i, id, ALL_BITS) && !id.decrement()) throw INVALID_END_ID
}

/** Returns whether the ID itself is excluded. */
function parseIntervalId(args: Args, i: number, id: StreamId, missingSeqWord: number): boolean {
  const start = args.start(i)
  const length = args.length(i)
  if (length > 1 && args.buffer[start] === OPEN_BRACKET) {
    parseOrThrow(args, start + 1, length - 1, id, IdSyntax.Strict, missingSeqWord)
    return true
  }
  parseOrThrow(args, start, length, id, IdSyntax.Range, missingSeqWord)
  return false
}

function parseOrThrow(
  args: Args,
  start: number,
  length: number,
  id: StreamId,
  syntax: number,
  missingSeqWord: number,
): void {
  const found = parseStreamId(args.buffer, start, length, id, syntax, missingSeqWord)
  if (found === ParsedId.Invalid) throw INVALID_STREAM_ID
}

/** An integer argument that must stay exact: counters are kept below 2^53. @throws NOT_AN_INTEGER or the given error */
export function parseCounter(args: Args, i: number, error?: ReplyError): number {
  return Math.min(args.integer(i, error), Number.MAX_SAFE_INTEGER)
}

/** A reusable list of entry IDs. */
export class IdList {
  count = 0
  private words = new Int32Array(FIRST_IDS * WORDS_PER_ID)

  clear(): void {
    this.count = 0
    if (this.words.length > KEEP_IDS_MAX * WORDS_PER_ID) this.words = new Int32Array(FIRST_IDS * WORDS_PER_ID)
  }

  push(id: StreamId): void {
    const at = this.count * WORDS_PER_ID
    if (at === this.words.length) {
      const words = new Int32Array(at * 2)
      words.set(this.words)
      this.words = words
    }
    this.count++
    this.write(at, id)
  }

  set(index: number, id: StreamId): void {
    this.write(index * WORDS_PER_ID, id)
  }

  /** Reads ID `index` into `id`. */
  get(index: number, id: StreamId): void {
    const at = index * WORDS_PER_ID
    const words = this.words
    id.msHigh = words[at]!
    id.msLow = words[at + 1]!
    id.seqHigh = words[at + 2]!
    id.seqLow = words[at + 3]!
  }

  private write(at: number, id: StreamId): void {
    const words = this.words
    words[at] = id.msHigh
    words[at + 1] = id.msLow
    words[at + 2] = id.seqHigh
    words[at + 3] = id.seqLow
  }
}
