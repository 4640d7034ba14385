/**
 * XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [IDMPAUTO producer | IDMP producer idempotent-id]
 *      [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]
 *
 * Appends an entry, creating the stream, and trims it. With IDMP and IDMPAUTO (8.6) an entry that its producer has added
 * lately is not added again; the reply is the ID that it got then, be it deleted since.
 *
 * Reply: bulk string, the entry's ID; null with NOMKSTREAM for a missing key. Errors: options, ID, arity, ID 0-0,
 * WRONGTYPE, ID not above the last one, size; in this order.
 * Source: Valkey src/t_stream.c `xaddCommand`, src/commands/xadd.json. Hot path.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import {
  STREAM_ENTRY_TOO_LARGE,
  STREAM_IDS_EXHAUSTED,
  wrongArity,
  XADD_ID_TOO_SMALL,
  XADD_ID_ZERO,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { IdempotencyKey } from '../../structures/idempotent-ids.ts'
import { Kind } from '../../structures/kind.ts'
import { STREAM_ENTRY_MAX_BYTES, Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { findStream, idempotentIdsOf } from './stream-access.ts'
import { replyId } from './stream-reply.ts'
import { AddId, TrimCaller, TrimOptions } from './trim-options.ts'

const options = new TrimOptions()
const id = new StreamId()
const key = new IdempotencyKey()

export const xadd = defineCommand({
  name: 'xadd',
  summary: 'Appends an entry to a stream, which is created if it does not exist.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1) to append; trimming is O(N) in the entries it removes.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: [
    {
      ...keyRange(1, 0, 1, 'RW', 'update'),
      notes: 'UPDATE instead of INSERT because of the optional trimming feature',
    },
  ],
  tips: ['nondeterministic_output'],
  handler: xaddHandler,
})

function xaddHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  options.parse(ctx, args, TrimCaller.Xadd)
  const first = options.idArgument + 1
  const count = args.count - first
  if (count < 2 || count % 2 === 1) throw wrongArity('xadd')
  // Before the stream is created: no empty key may be left behind.
  if (options.addId === AddId.Given && options.id.isMin()) throw XADD_ID_ZERO
  let stream = findStream(ctx, args, 1)
  if (stream === null && options.isNoCreate) {
    reply.nil()
    return
  }
  if (options.isIdempotent) {
    options.openKey(args, key)
    if (stream !== null && isDuplicate(ctx, stream)) {
      replyDuplicate(ctx, args, reply, stream)
      return
    }
  }
  chooseId(ctx, stream)
  if (bytesOf(args, first, count) > STREAM_ENTRY_MAX_BYTES) throw STREAM_ENTRY_TOO_LARGE

  if (stream === null) {
    stream = new Stream(ctx.arena)
    ctx.db.addObject(args, 1, Kind.Stream, stream)
  }
  const limits = ctx.keyspace.limits
  stream.append(
    id,
    args.buffer,
    args.offsets,
    args.lengths,
    first,
    count,
    limits.streamNodeMaxBytes,
    limits.streamNodeMaxEntries,
  )
  if (options.isIdempotent) {
    const known = idempotentIdsOf(ctx, stream)
    known.record(key, id, ctx.now)
    known.added++
  }
  replyId(reply, id)
  ctx.changed(args, 1, Notify.Stream, 'xadd')
  if (options.isTrimming && options.trim(stream) > 0) ctx.notify(args, 1, Notify.Stream, 'xtrim')
  if (options.addId !== AddId.Given) options.record(ctx, args, stream, id)
  else if (options.isApproximate) options.record(ctx, args, stream, null)
}

/** Whether the entry was added before; puts its ID into `id`. */
function isDuplicate(ctx: CommandContext, stream: Stream): boolean {
  // Where the call was made it was found out which it is: a duplicate was recorded with the ID of the first. So that this
  // can be told, what was added before XSETID has set the stream back behind it is none there either.
  if (ctx.session.isReplay) id.copy(options.id)
  else if (stream.idempotentIds === null || !stream.idempotentIds.find(key, ctx.now, id)) return false
  return id.compare(stream.lastId) <= 0
}

/** Replies `id` for an entry that is not added again. It counts as a change: how many there were is kept. */
function replyDuplicate(ctx: CommandContext, args: Args, reply: ReplySink, stream: Stream): void {
  idempotentIdsOf(ctx, stream).duplicates++
  replyId(reply, id)
  ctx.markDirty(1)
  options.record(ctx, args, stream, id)
}

/** Settles the ID of the new entry. `stream` is null when it is yet to be created. */
function chooseId(ctx: CommandContext, stream: Stream | null): void {
  id.copy(options.id)
  if (stream === null) {
    if (options.addId === AddId.Auto) id.set(ctx.now, ctx.now === 0 ? 1 : 0)
    // 0-* is 0-1 in a new stream: 0-0 is no ID.
    else if (id.isMin()) id.increment()
    return
  }
  if (stream.lastId.isMax()) throw STREAM_IDS_EXHAUSTED
  if (options.addId === AddId.Auto) {
    stream.nextId(ctx.now, id)
  } else if (options.addId === AddId.AutoSequence && !stream.nextSequence(id)) {
    throw XADD_ID_TOO_SMALL
  }
  if (id.compare(stream.lastId) <= 0) throw XADD_ID_TOO_SMALL
}

function bytesOf(args: Args, first: number, count: number): number {
  let bytes = 0
  for (let i = first; i < first + count; i++) bytes += args.length(i)
  return bytes
}
