/**
 * XINFO STREAM key [FULL [COUNT count]]
 * XINFO GROUPS key
 * XINFO CONSUMERS key group
 * XINFO HELP
 *
 * The fields about idempotent IDs (8.6) are there for streams that know some, or have a setting for them; `nacked-count`
 * (8.8) for groups in which entries were released.
 *
 * Reply: maps (RESP2: flat arrays). Errors: missing key, WRONGTYPE, then options or NOGROUP.
 * Source: Valkey src/t_stream.c `xinfoCommand`, `xinfoReplyWithStreamInfo`; src/commands/xinfo-*.json.
 */
import type { Args } from '../../resp/args.ts'
import { NO_SUCH_KEY, noGroup, subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { type ConsumerGroup, ENTRIES_READ_UNKNOWN } from '../../structures/consumer-group.ts'
import { NO_POSITION } from '../../structures/id-table.ts'
import type { IdempotentIds } from '../../structures/idempotent-ids.ts'
import { type Consumer, NEVER_ACTIVE } from '../../structures/pending-entries.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamCursor } from '../../structures/stream-cursor.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { radixNodes } from '../../structures/stream-radix.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyHelp } from '../help.ts'
import { findGroup, readStream } from './stream-access.ts'
import { MAX_ID, MIN_ID, replyDeliveries, replyEntries, replyEntry, replyId } from './stream-reply.ts'

/** Entries, and pending entries of each list, that FULL shows unless told otherwise; 0 shows all. */
const FULL_COUNT = 10
/** Pairs about idempotent IDs. */
const IDEMPOTENCY_FIELDS = 6
/** Idempotent IDs whose time is over that are removed before they would be counted. */
const EXPIRED_MAX = 10000

const HELP = [
  'CONSUMERS <key> <groupname>',
  '    Show consumers of <groupname>.',
  'GROUPS <key>',
  '    Show the stream consumer groups.',
  'STREAM <key> [FULL [COUNT <count>]',
  '    Show information about the stream.',
]

const cursor = new StreamCursor()
const id = new StreamId()

const stream = defineCommand({
  name: 'stream',
  summary: 'Returns what is known about a stream.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1) in entries; O(N) in what FULL shows.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RO', 'access'),
  handler: streamHandler,
})

const groups = defineCommand({
  name: 'groups',
  summary: 'Returns the consumer groups of a stream.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(N) in the groups.',
  arity: 3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RO', 'access'),
  handler: groupsHandler,
})

const consumers = defineCommand({
  name: 'consumers',
  summary: 'Returns the consumers of a consumer group.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(N) in the consumers.',
  arity: 4,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: consumersHandler,
})

const help = defineCommand({
  name: 'help',
  summary: 'Shows the subcommands of XINFO.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Loading | CommandFlag.Stale,
  categories: AclCategory.Stream,
  handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
})

export const xinfo = defineCommand({
  name: 'xinfo',
  summary: 'Streams, groups and consumers: what is known about them.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [consumers, groups, help, stream],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function existingStream(ctx: CommandContext, args: Args): Stream {
  const found = readStream(ctx, args, 2)
  if (found === null) throw NO_SUCH_KEY
  return found
}

function streamHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const found = existingStream(ctx, args)
  const isFull = args.count > 3
  const count = isFull ? parseFullCount(args) : 0
  reply.map((isFull ? 9 : 10) + (found.idempotentIds === null ? 0 : IDEMPOTENCY_FIELDS))
  reply.bulkText('length')
  reply.integer(found.length)
  reply.bulkText('radix-tree-keys')
  reply.integer(found.blocks.size)
  reply.bulkText('radix-tree-nodes')
  reply.integer(radixNodes(found.blocks))
  replyIdField(reply, 'last-generated-id', found.lastId)
  replyIdField(reply, 'max-deleted-entry-id', found.maxDeletedId)
  reply.bulkText('entries-added')
  reply.integer(found.entriesAdded)
  replyIdField(reply, 'recorded-first-entry-id', found.firstId)
  if (found.idempotentIds !== null) replyIdempotency(ctx, reply, found.idempotentIds)
  if (isFull) replyFull(reply, found, count)
  else replyBrief(reply, found)
}

function replyIdempotency(ctx: CommandContext, reply: ReplySink, ids: IdempotentIds): void {
  ids.removeExpired(ctx.now, EXPIRED_MAX)
  reply.bulkText('idmp-duration')
  reply.integer(ids.durationSeconds)
  reply.bulkText('idmp-maxsize')
  reply.integer(ids.maxSize)
  reply.bulkText('pids-tracked')
  reply.integer(ids.producerCount)
  reply.bulkText('iids-tracked')
  reply.integer(ids.size)
  reply.bulkText('iids-added')
  reply.integer(ids.added)
  reply.bulkText('iids-duplicates')
  reply.integer(ids.duplicates)
}

function parseFullCount(args: Args): number {
  const isValid =
    (args.count === 4 || args.count === 6) && args.is(3, 'FULL') && (args.count === 4 || args.is(4, 'COUNT'))
  if (!isValid) throw subcommandSyntax(args.text(1), args.text(0))
  if (args.count === 4) return FULL_COUNT
  const count = args.integer(5)
  return count < 0 ? FULL_COUNT : count
}

function replyBrief(reply: ReplySink, found: Stream): void {
  reply.bulkText('groups')
  reply.integer(found.groups.length)
  reply.bulkText('first-entry')
  cursor.openForward(found, MIN_ID, MAX_ID, null)
  replyNext(reply)
  reply.bulkText('last-entry')
  cursor.openBackward(found, MIN_ID, MAX_ID)
  replyNext(reply)
}

/** Replies the next entry of the cursor, null when there is none. */
function replyNext(reply: ReplySink): void {
  if (cursor.next()) replyEntry(reply, cursor)
  else reply.nil()
}

function replyFull(reply: ReplySink, found: Stream, count: number): void {
  reply.bulkText('entries')
  cursor.openForward(found, MIN_ID, MAX_ID, null)
  replyEntries(reply, cursor, count)
  reply.bulkText('groups')
  reply.array(found.groups.length)
  for (const group of found.groups) {
    const released = group.pending.releasedCount
    reply.map(released === 0 ? 7 : 8)
    reply.bulkText('name')
    reply.bulkText(group.name)
    replyProgress(reply, found, group)
    reply.bulkText('pel-count')
    reply.integer(group.pending.size)
    if (released > 0) {
      reply.bulkText('nacked-count')
      reply.integer(released)
    }
    reply.bulkText('pending')
    replyGroupPending(reply, group, count)
    reply.bulkText('consumers')
    reply.array(group.consumers.length)
    for (const consumer of group.consumers) replyFullConsumer(reply, group, consumer, count)
  }
}

/** Last delivered ID, read counter and lag: three pairs. */
function replyProgress(reply: ReplySink, found: Stream, group: ConsumerGroup): void {
  replyIdField(reply, 'last-delivered-id', group.lastId)
  reply.bulkText('entries-read')
  if (group.entriesRead === ENTRIES_READ_UNKNOWN) reply.nil()
  else reply.integer(group.entriesRead)
  reply.bulkText('lag')
  const lag = found.lag(group)
  if (lag === null) reply.nil()
  else reply.integer(lag)
}

function replyGroupPending(reply: ReplySink, group: ConsumerGroup, count: number): void {
  const pending = group.pending
  const shown = count === 0 ? pending.size : Math.min(count, pending.size)
  reply.array(shown)
  let position = pending.first()
  for (let i = 0; i < shown; i++) {
    pending.readId(position, id)
    reply.array(4)
    replyId(reply, id)
    reply.bulkText(pending.owner(position)?.name ?? '')
    reply.integer(pending.deliveryTime(position))
    replyDeliveries(reply, pending.deliveryCount(position))
    position = pending.next(position)
  }
}

function replyFullConsumer(reply: ReplySink, group: ConsumerGroup, consumer: Consumer, count: number): void {
  reply.map(5)
  reply.bulkText('name')
  reply.bulkText(consumer.name)
  reply.bulkText('seen-time')
  reply.integer(consumer.seenTime)
  reply.bulkText('active-time')
  reply.integer(consumer.activeTime)
  reply.bulkText('pel-count')
  reply.integer(consumer.pending.size)
  reply.bulkText('pending')
  const owned = consumer.pending
  const shown = count === 0 ? owned.size : Math.min(count, owned.size)
  reply.array(shown)
  let at = owned.first()
  for (let i = 0; i < shown && at !== NO_POSITION; i++) {
    owned.readId(at, 0, id)
    const position = group.pending.find(id)
    reply.array(3)
    replyId(reply, id)
    reply.integer(group.pending.deliveryTime(position))
    replyDeliveries(reply, group.pending.deliveryCount(position))
    at = owned.next(at)
  }
}

function groupsHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const found = existingStream(ctx, args)
  reply.array(found.groups.length)
  for (const group of found.groups) {
    reply.map(6)
    reply.bulkText('name')
    reply.bulkText(group.name)
    reply.bulkText('consumers')
    reply.integer(group.consumers.length)
    reply.bulkText('pending')
    reply.integer(group.pending.size)
    replyProgress(reply, found, group)
  }
}

function consumersHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const group = findGroup(existingStream(ctx, args), args, 3)
  if (group === null) throw noGroup(args.text(3), args.text(2))
  reply.array(group.consumers.length)
  for (const consumer of group.consumers) {
    reply.map(4)
    reply.bulkText('name')
    reply.bulkText(consumer.name)
    reply.bulkText('pending')
    reply.integer(consumer.pending.size)
    reply.bulkText('idle')
    reply.integer(Math.max(0, ctx.now - consumer.seenTime))
    reply.bulkText('inactive')
    reply.integer(consumer.activeTime === NEVER_ACTIVE ? NEVER_ACTIVE : ctx.now - consumer.activeTime)
  }
}

function replyIdField(reply: ReplySink, name: string, value: StreamId): void {
  reply.bulkText(name)
  replyId(reply, value)
}
