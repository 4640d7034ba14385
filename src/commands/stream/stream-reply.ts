/** How entries and IDs are replied. Hot path. */
import type { ReplySink } from '../../resp/reply.ts'
import { DELIVERIES_MAX, deliveriesText } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { STREAM_ID_TEXT_BYTES, StreamId } from '../../structures/stream-id.ts'

const text = Buffer.alloc(STREAM_ID_TEXT_BYTES)
const single = new StreamCursor()
const MIN_ID = new StreamId()
const MAX_ID = new StreamId()
MAX_ID.setMax()

export { MAX_ID, MIN_ID }

/** Replies an ID as a bulk string. */
export function replyId(reply: ReplySink, id: StreamId): void {
  reply.bulk(text, 0, id.write(text, 0))
}

/** Replies the entry on which the cursor stands: its ID and its fields and values in turn. */
export function replyEntry(reply: ReplySink, cursor: StreamCursor): void {
  reply.array(2)
  replyIdAndFields(reply, cursor)
}

/** As `replyEntry`, with how long the entry was idle and how often it was delivered before (XREADGROUP with CLAIM). */
export function replyClaimed(reply: ReplySink, cursor: StreamCursor, idleMs: number, deliveries: number): void {
  reply.array(4)
  replyIdAndFields(reply, cursor)
  reply.integer(idleMs)
  replyDeliveries(reply, deliveries)
}

/** Replies how often an entry was delivered. */
export function replyDeliveries(reply: ReplySink, count: number): void {
  if (count === DELIVERIES_MAX) reply.bigInteger(BigInt(deliveriesText(count)))
  else reply.integer(count)
}

function replyIdAndFields(reply: ReplySink, cursor: StreamCursor): void {
  replyId(reply, cursor.id)
  const fields = cursor.fieldCount
  reply.array(fields * 2)
  for (let i = 0; i < fields; i++) {
    cursor.readField()
    replyElement(reply, cursor)
    cursor.readValue()
    replyElement(reply, cursor)
  }
}

/**
 * Replies the entries of an open cursor's range as an array.
 *
 * @param count how many at most, 0: all
 */
export function replyEntries(reply: ReplySink, cursor: StreamCursor, count: number): void {
  const mark = reply.begin()
  let replied = 0
  while (cursor.next()) {
    replyEntry(reply, cursor)
    replied++
    if (replied === count) break
  }
  reply.closeArray(mark, replied)
}

/** Replies one entry. Returns false, and replies nothing, when it does not exist. */
export function replyEntryOf(reply: ReplySink, stream: Stream, id: StreamId): boolean {
  single.openForward(stream, id, id, stream.hint)
  if (!single.next()) return false
  replyEntry(reply, single)
  return true
}

function replyElement(reply: ReplySink, cursor: StreamCursor): void {
  if (cursor.isInteger) reply.bulkInteger(cursor.integer)
  else reply.bulk(cursor.buffer, cursor.start, cursor.length)
}
