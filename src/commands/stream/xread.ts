/**
 * XREAD [COUNT count] [MAXCOUNT count] [MAXSIZE bytes] [BLOCK ms] STREAMS key [key ...] id [id ...]
 * XREADGROUP GROUP group consumer [COUNT count] [MAXCOUNT count] [MAXSIZE bytes] [BLOCK ms] [CLAIM min-idle] [NOACK]
 *            STREAMS key [key ...] id [id ...]
 *
 * Entries behind an ID of each stream, `$` being the last one; `+` is the last entry itself, and those behind it (7.4). XREADGROUP reads for a consumer: `>` delivers entries that
 * no consumer of the group has got and makes them pending, an ID repeats what is pending for this consumer.
 *
 * CLAIM (8.4) first takes over what is pending in the group and idle for so many ms, the longest first, and then reads on. It
 * acts with `>` only; entries are then replied with how long they were idle and how often delivered before, new ones with
 * two 0. One that waits looks again when something may have become idle enough.
 *
 * COUNT holds for each stream, MAXCOUNT and MAXSIZE (8.10) for all together: how many entries, and how many bytes of
 * fields and values in them. The first entry is replied whatever its size; no later one that would be too much, and none
 * behind it.
 *
 * Reply: RESP2 array of [key, entries], RESP3 map of them, with the streams that have something; null array for none.
 * A history entry that was deleted has null for fields. Errors: options, then for each stream WRONGTYPE, NOGROUP, ID.
 *
 * A blocked client runs the command again when a key is ready, so `$` is settled when it blocks; XREADGROUP also when the
 * key is gone, to get NOGROUP. What is recorded: XCLAIM for each delivered entry; with NOACK, XGROUP CREATECONSUMER
 * and SETID. Source: Valkey src/t_stream.c `xreadCommand`, `streamReplyWithRange`; src/commands/xread.json,
 * xreadgroup.json. Hot path.
 */
import { BlockedOn } from '../../keyspace/blocked.ts'
import { type Args, ArgsBuilder } from '../../resp/args.ts'
import {
  AWAITED_GROUP_IS_GONE,
  AWAITED_STREAM_IS_GONE,
  blockInScript,
  CLAIM_ONLY_IN_XREADGROUP,
  DOLLAR_IN_XREADGROUP,
  GROUP_ONLY_IN_XREADGROUP,
  GROUP_OPTION_MISSING,
  MAXCOUNT_BELOW_COUNT,
  MIN_IDLE_NEGATIVE,
  MIN_IDLE_NOT_AN_INTEGER,
  NEW_ENTRIES_IN_XREAD,
  NOACK_ONLY_IN_XREADGROUP,
  noGroupInXreadgroup,
  OUT_OF_RANGE_POSITIVE,
  PLUS_IN_XREADGROUP,
  SYNTAX_ERROR,
  unbalancedStreams,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { ConsumerGroup } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import { Kind } from '../../structures/kind.ts'
import { type Consumer, type IdleEntry, nextDelivery } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { deadlineInMs } from '../block-timeout.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keysAfter } from '../define.ts'
import { ClientFlag } from '../session.ts'
import { findGroup, IdList, parseId, readStream } from './stream-access.ts'
import { createConsumer, findConsumer, recordClaim, recordConsumer, recordGroupPosition } from './stream-effects.ts'
import { MAX_ID, replyClaimed, replyEntry, replyId } from './stream-reply.ts'

const DOLLAR = 36
const PLUS = 43
const GREATER = 62
const NO_BLOCK = -1
const NO_CLAIM = -1
/** A client that waits to claim looks again no more often than this, in ms. */
const POLL_MS_MIN = 20

/** Which of the two commands runs. */
const Reader = { Plain: 0, Group: 1 } as const

/** Parsed options, reused by every call. */
const options = {
  /** When to stop waiting, in ms; 0: never; NO_BLOCK: do not wait. */
  deadlineMs: NO_BLOCK as number,
  /** 0: all. */
  count: 0,
  /** For all streams; 0: no limit. */
  countMax: 0,
  bytesMax: 0,
  isNoAck: false,
  /** How long entries must be idle to be taken over, in ms; NO_CLAIM: none are. */
  claimMs: NO_CLAIM as number,
  /** Argument of the group's name, the consumer's follows; 0: not given. */
  group: 0,
  /** First key. */
  keys: 0,
  streamCount: 0,
}

/** What the running call has replied, as far as there is a limit for all streams. */
const replied = { entries: 0, bytes: 0, isFull: false }

/** IDs behind which is read, by stream. MAX_ID stands for `>`. */
const ids = new IdList()
const streams: (Stream | null)[] = []
const groups: (ConsumerGroup | null)[] = []
const cursor = new StreamCursor()
const after = new StreamId()
const newest = new StreamId()
const pendingId = new StreamId()
const rewritten = new ArgsBuilder()
const NONE: readonly IdleEntry[] = []

export const xread = defineCommand({
  name: 'xread',
  summary: 'Returns entries of streams behind given IDs, or waits for them.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(N) in the entries returned, for each stream.',
  arity: -4,
  flags: CommandFlag.ReadOnly | CommandFlag.Blocking,
  categories: AclCategory.Stream,
  keys: [keysAfter('STREAMS', 1, -1, 1, 2, 'RO', 'access')],
  handler: (ctx, args, reply) => read(ctx, args, reply, Reader.Plain),
})

export const xreadgroup = defineCommand({
  name: 'xreadgroup',
  summary: 'Returns new entries of streams, or those pending, to a consumer of a group, or waits for them.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(N) in the entries returned, for each stream.',
  arity: -7,
  flags: CommandFlag.Write | CommandFlag.Blocking,
  categories: AclCategory.Stream,
  keys: [keysAfter('STREAMS', 4, -1, 1, 2, 'RO', 'access')],
  handler: (ctx, args, reply) => read(ctx, args, reply, Reader.Group),
})

function read(ctx: CommandContext, args: Args, reply: ReplySink, reader: number): void {
  parseOptions(ctx, args, reader)
  try {
    resolveStreams(ctx, args, reader)
    // What was delivered is recorded as its effects.
    if (reader === Reader.Group) ctx.recordNothing()
    if (replyStreams(ctx, args, reply) > 0) return
    if (options.claimMs !== NO_CLAIM && options.deadlineMs !== NO_BLOCK) ctx.session.pollMs = pollInterval(ctx)
  } finally {
    streams.length = 0
    groups.length = 0
  }
  if (options.deadlineMs === NO_BLOCK || !ctx.mayBlock) {
    ctx.session.pollMs = 0
    reply.nilArray()
    return
  }
  ctx.server.waiting.block(
    ctx.session,
    withSettledIds(args),
    options.keys,
    options.streamCount,
    BlockedOn.Stream,
    options.deadlineMs,
    reader === Reader.Group,
  )
}

function parseOptions(ctx: CommandContext, args: Args, reader: number): void {
  options.deadlineMs = NO_BLOCK
  options.count = 0
  options.countMax = 0
  options.bytesMax = 0
  options.isNoAck = false
  options.claimMs = NO_CLAIM
  options.group = 0
  options.keys = 0
  options.streamCount = 0
  for (let i = 1; i < args.count && options.keys === 0; i++) {
    const more = args.count - i - 1
    if (more > 0 && args.is(i, 'BLOCK')) {
      if (ctx.inScript) throw blockInScript(args.text(0))
      options.deadlineMs = deadlineInMs(args, ++i, ctx.now)
    } else if (more > 0 && args.is(i, 'COUNT')) {
      options.count = Math.max(0, args.integer(++i))
    } else if (more > 0 && args.is(i, 'MAXCOUNT')) {
      options.countMax = args.integerIn(++i, 1, Number.POSITIVE_INFINITY, OUT_OF_RANGE_POSITIVE)
    } else if (more > 0 && args.is(i, 'MAXSIZE')) {
      options.bytesMax = args.integerIn(++i, 1, Number.POSITIVE_INFINITY, OUT_OF_RANGE_POSITIVE)
    } else if (more > 0 && args.is(i, 'CLAIM')) {
      if (reader === Reader.Plain) throw CLAIM_ONLY_IN_XREADGROUP
      options.claimMs = args.integer(++i, MIN_IDLE_NOT_AN_INTEGER)
      if (options.claimMs < 0) throw MIN_IDLE_NEGATIVE
    } else if (more > 0 && args.is(i, 'STREAMS')) {
      if (more % 2 !== 0) {
        const [name, symbol] = reader === Reader.Group ? ['xreadgroup', '>'] : ['xread', '$']
        throw unbalancedStreams(name!, symbol!, ctx.release)
      }
      options.keys = i + 1
      options.streamCount = more / 2
    } else if (more >= 2 && args.is(i, 'GROUP')) {
      if (reader === Reader.Plain) throw GROUP_ONLY_IN_XREADGROUP
      options.group = i + 1
      i += 2
    } else if (args.is(i, 'NOACK')) {
      if (reader === Reader.Plain) throw NOACK_ONLY_IN_XREADGROUP
      options.isNoAck = true
    } else {
      throw SYNTAX_ERROR
    }
  }
  if (options.keys === 0) throw SYNTAX_ERROR
  if (options.countMax > 0 && options.countMax < options.count) throw MAXCOUNT_BELOW_COUNT
  if (reader === Reader.Group && options.group === 0) throw GROUP_OPTION_MISSING
}

/** Looks up each stream and its group, and settles the ID behind which it is read. */
function resolveStreams(ctx: CommandContext, args: Args, reader: number): void {
  ids.clear()
  const isWoken = reader === Reader.Group && (ctx.session.flags & ClientFlag.Reexecuting) !== 0 && ctx.release === '7.0'
  for (let n = 0; n < options.streamCount; n++) {
    const key = options.keys + n
    const idArgument = key + options.streamCount
    const stream = isWoken ? awaitedStream(ctx, args, key) : readStream(ctx, args, key)
    let group: ConsumerGroup | null = null
    if (reader === Reader.Group) {
      group = stream === null ? null : findGroup(stream, args, options.group)
      if (group === null)
        throw isWoken ? AWAITED_GROUP_IS_GONE : noGroupInXreadgroup(args.text(key), args.text(options.group))
    }
    streams.push(stream)
    groups.push(group)
    if (args.isByte(idArgument, DOLLAR)) {
      if (reader === Reader.Group) throw DOLLAR_IN_XREADGROUP
      if (stream === null) after.setMin()
      else after.copy(stream.lastId)
    } else if (args.isByte(idArgument, PLUS)) {
      if (reader === Reader.Group) throw PLUS_IN_XREADGROUP
      if (stream === null || !stream.newestEntryId(after)) after.setMin()
      else after.decrement()
    } else if (args.isByte(idArgument, GREATER)) {
      if (reader === Reader.Plain) throw NEW_ENTRIES_IN_XREAD
      after.setMax()
    } else {
      parseId(args, idArgument, after)
    }
    ids.push(after)
  }
}

/** A stream that XREADGROUP has waited for, in 7.0: another one at its place is none either. @throws AWAITED_STREAM_IS_GONE */
function awaitedStream(ctx: CommandContext, args: Args, key: number): Stream | null {
  const row = ctx.db.find(args, key)
  if (row === NO_ROW || ctx.db.kind(row) !== Kind.Stream) throw AWAITED_STREAM_IS_GONE
  return readStream(ctx, args, key)
}

/** Replies the streams that have something. Returns how many; nothing is replied for 0. */
function replyStreams(ctx: CommandContext, args: Args, reply: ReplySink): number {
  // One stream is the usual case: its header needs no room to be made for it afterwards.
  const isSingle = options.streamCount === 1
  replied.entries = 0
  replied.bytes = 0
  replied.isFull = false
  const mark = isSingle ? 0 : reply.begin()
  let shown = 0
  for (let n = 0; n < options.streamCount && !isFull(); n++) {
    const stream = streams[n]!
    if (stream === null) continue
    const group = groups[n]!
    ids.get(n, after)
    const isHistory = group !== null && !after.isMax()
    let consumer: Consumer | null = null
    if (group !== null) {
      consumer = findConsumer(group, args, options.group + 1)
      if (consumer !== null) consumer.seenTime = ctx.now
      // 7.0 creates none that gets nothing.
      else if (ctx.release !== '7.0') consumer = newConsumer(ctx, args, options.keys + n, group)
      if (!isHistory) after.copy(group.lastId)
    }
    const claimed = group === null || isHistory ? NONE : claimable(ctx, stream, group)
    const hasNew = stream.newestEntryId(newest) && newest.compare(after) > 0
    if (!isHistory && !hasNew && claimed.length === 0) continue
    if (group !== null) consumer ??= newConsumer(ctx, args, options.keys + n, group)
    after.increment()
    if (replied.entries > 0 && !firstFits(stream, consumer, isHistory, claimed)) break
    shown++
    if (isSingle) replySize(reply, 1)
    if (reply.version === 2) reply.array(2)
    reply.bulk(args.buffer, args.start(options.keys + n), args.length(options.keys + n))
    if (group === null || consumer === null) replyBehind(reply, stream)
    else if (isHistory) replyHistory(ctx, reply, stream, group, consumer)
    else if (options.claimMs !== NO_CLAIM) {
      claimAndDeliver(ctx, args, options.keys + n, reply, stream, group, consumer, claimed)
    } else deliver(ctx, args, options.keys + n, reply, stream, group, consumer)
    if (group !== null) ctx.markDirty(1)
  }
  if (isSingle || shown === 0) return shown
  if (reply.version === 2) reply.closeArray(mark, shown)
  else reply.closeMap(mark, shown)
  return shown
}

/** Whether nothing more may be replied. */
function isFull(): boolean {
  return replied.isFull || (options.countMax > 0 && replied.entries >= options.countMax)
}

/** Whether `bytes` more are within what all streams together may reply; the first entry always is. */
function fits(bytes: number): boolean {
  return options.bytesMax === 0 || replied.entries === 0 || replied.bytes + bytes <= options.bytesMax
}

/** Whether the entry on which the cursor stands may be replied, and counts it if so. */
function admit(): boolean {
  return admitBytes(options.bytesMax === 0 ? 0 : cursor.payloadBytes())
}

function admitBytes(bytes: number): boolean {
  if (isFull() || !fits(bytes)) {
    replied.isFull = true
    return false
  }
  replied.entries++
  replied.bytes += bytes
  return true
}

/** Whether a stream has an entry that may be replied: one that has none, because all is full, is not shown. */
function firstFits(
  stream: Stream,
  consumer: Consumer | null,
  isHistory: boolean,
  claimed: readonly IdleEntry[],
): boolean {
  if (options.bytesMax === 0) return true
  const first = claimed[0]
  if (isHistory && consumer !== null) {
    const at = consumer.pending.ceiling(after)
    // A list of no entries takes no bytes.
    if (at === NO_POSITION) return true
    consumer.pending.readId(at, 0, pendingId)
    cursor.openForward(stream, pendingId, pendingId, null)
  } else if (first !== undefined) {
    cursor.openForward(stream, first.id, first.id, null)
  } else {
    cursor.openForward(stream, after, MAX_ID, null)
  }
  return !cursor.next() || fits(cursor.payloadBytes())
}

function replySize(reply: ReplySink, streamCount: number): void {
  if (reply.version === 2) reply.array(streamCount)
  else reply.map(streamCount)
}

/** Creates the reading consumer, seen now. */
function newConsumer(ctx: CommandContext, args: Args, key: number, group: ConsumerGroup): Consumer {
  const consumer = createConsumer(ctx, args, key, group, options.group + 1)
  // Otherwise the XCLAIM of the first delivery creates it.
  if (options.isNoAck) recordConsumer(ctx, args, key, options.group, consumer)
  consumer.seenTime = ctx.now
  return consumer
}

/** Replies the entries from `after` on. */
function replyBehind(reply: ReplySink, stream: Stream): void {
  cursor.openForward(stream, after, MAX_ID, stream.hint)
  // There is one at least: the newest one is not before `after`.
  if (options.count === 1 && cursor.next() && admit()) {
    reply.array(1)
    replyEntry(reply, cursor)
    return
  }
  const mark = reply.begin()
  let count = 0
  while (cursor.next() && admit()) {
    replyEntry(reply, cursor)
    if (++count === options.count) break
  }
  reply.closeArray(mark, count)
}

/** Delivers the entries from `after` on to a consumer. */
function deliver(
  ctx: CommandContext,
  args: Args,
  key: number,
  reply: ReplySink,
  stream: Stream,
  group: ConsumerGroup,
  consumer: Consumer,
): void {
  cursor.openForward(stream, after, MAX_ID, group.hint)
  const isSingle = options.count === 1
  if (isSingle) reply.array(1)
  const mark = isSingle ? 0 : reply.begin()
  let count = 0
  let hasAdvanced = false
  while (cursor.next() && admit()) {
    if (stream.advanceGroup(group, cursor.id)) hasAdvanced = true
    replyEntry(reply, cursor)
    if (!options.isNoAck) {
      const position = group.pending.deliver(cursor.id, consumer, ctx.now)
      consumer.activeTime = ctx.now
      recordClaim(ctx, args, key, options.group, group, position, cursor.id)
    }
    if (++count === options.count) break
  }
  if (!isSingle) reply.closeArray(mark, count)
  if (options.isNoAck && hasAdvanced) recordGroupPosition(ctx, args, key, options.group, group)
}

/** What CLAIM takes over in a group: entries that are there, the longest idle first. */
function claimable(ctx: CommandContext, stream: Stream, group: ConsumerGroup): readonly IdleEntry[] {
  if (options.claimMs === NO_CLAIM) return NONE
  const countLeft = options.countMax > 0 ? options.countMax - replied.entries : options.count
  const count = options.count > 0 ? Math.min(options.count, countLeft) : countLeft
  return group.pending.idlest(ctx.now - options.claimMs, count, (id) => stream.has(id))
}

/** Takes entries over for a consumer, and delivers those from `after` on, as far as COUNT allows. */
function claimAndDeliver(
  ctx: CommandContext,
  args: Args,
  key: number,
  reply: ReplySink,
  stream: Stream,
  group: ConsumerGroup,
  consumer: Consumer,
  claimed: readonly IdleEntry[],
): void {
  const { pending } = group
  const mark = reply.begin()
  let count = 0
  for (const { id } of claimed) {
    const position = pending.find(id)
    const deliveries = pending.deliveryCount(position)
    cursor.openForward(stream, id, id, stream.hint)
    if (!cursor.next() || !admit()) break
    count++
    replyClaimed(reply, cursor, ctx.now - pending.deliveryTime(position), deliveries)
    pending.assign(position, id, consumer)
    pending.setDelivery(position, ctx.now, nextDelivery(deliveries))
    consumer.activeTime = ctx.now
    recordClaim(ctx, args, key, options.group, group, position, id)
  }
  let hasAdvanced = false
  cursor.openForward(stream, after, MAX_ID, group.hint)
  while ((options.count === 0 || count < options.count) && cursor.next() && admit()) {
    if (stream.advanceGroup(group, cursor.id)) hasAdvanced = true
    replyClaimed(reply, cursor, 0, 0)
    if (!options.isNoAck) {
      const position = pending.deliver(cursor.id, consumer, ctx.now)
      consumer.activeTime = ctx.now
      recordClaim(ctx, args, key, options.group, group, position, cursor.id)
    }
    count++
  }
  reply.closeArray(mark, count)
  if (options.isNoAck && hasAdvanced) recordGroupPosition(ctx, args, key, options.group, group)
}

/**
 * In how many ms one that waits may find something to claim. What is delivered to others from now on becomes idle enough after
 * `claimMs` at the earliest.
 */
function pollInterval(ctx: CommandContext): number {
  let wait = options.claimMs
  for (const group of groups) {
    if (group === null) continue
    wait = Math.min(wait, group.pending.firstDeliveryAfter(ctx.now - options.claimMs) + options.claimMs - ctx.now)
  }
  return Math.max(wait, POLL_MS_MIN)
}

/** Replies what is pending for a consumer, from `after` on; each entry counts as delivered once more. */
function replyHistory(
  ctx: CommandContext,
  reply: ReplySink,
  stream: Stream,
  group: ConsumerGroup,
  consumer: Consumer,
): void {
  const mark = reply.begin()
  const owned = consumer.pending
  let count = 0
  for (let at = owned.ceiling(after); at !== NO_POSITION; at = owned.next(at)) {
    owned.readId(at, 0, pendingId)
    cursor.openForward(stream, pendingId, pendingId, stream.hint)
    const isThere = cursor.next()
    if (!(isThere ? admit() : admitBytes(0))) break
    if (isThere) {
      replyEntry(reply, cursor)
      const position = group.pending.find(pendingId)
      group.pending.setDelivery(position, ctx.now, nextDelivery(group.pending.deliveryCount(position)))
    } else {
      reply.array(2)
      replyId(reply, pendingId)
      reply.nilArray()
    }
    if (++count === options.count) break
  }
  reply.closeArray(mark, count)
}

/** The arguments with each `$` and `+` replaced by the ID that it stood for. */
function withSettledIds(args: Args): Args {
  const firstId = options.keys + options.streamCount
  let hasSigns = false
  for (let i = firstId; i < args.count; i++) if (isSign(args, i)) hasSigns = true
  if (!hasSigns) return args
  rewritten.clear()
  for (let i = 0; i < args.count; i++) {
    if (i >= firstId && isSign(args, i)) {
      ids.get(i - firstId, after)
      rewritten.text(after.text())
    } else {
      rewritten.bytes(args.buffer, args.start(i), args.length(i))
    }
  }
  return rewritten.args
}

function isSign(args: Args, i: number): boolean {
  return args.isByte(i, DOLLAR) || args.isByte(i, PLUS)
}
