/**
 * XDELEX key [KEEPREF | DELREF | ACKED] IDS count id [id ...]
 * XACKDEL key group [KEEPREF | DELREF | ACKED] IDS count id [id ...]
 *
 * Deletes entries of a stream with regard to the groups that have them pending: KEEPREF leaves them pending, DELREF does
 * not, ACKED deletes only what no group needs any more. XACKDEL acknowledges them for a group first.
 *
 * Reply: array with an integer for each ID: 1 deleted, 2 still needed (ACKED), -1 when the stream has no such entry, or
 * (XACKDEL) the group has not got it pending. Errors: options, invalid ID, WRONGTYPE.
 * Source: redis.io/commands/xdelex, redis.io/commands/xackdel (8.2).
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { dropReferences, isReferenced, ReferencePolicy } from '../../structures/stream-references.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { parseDeletion } from './delete-options.ts'
import { findGroup, findStream, IdList } from './stream-access.ts'

/** What became of one ID. */
const Outcome = { Absent: -1, Deleted: 1, Referenced: 2 } as const

const ids = new IdList()
const id = new StreamId()

/** What the running call has changed. */
const changes = { deleted: 0, references: 0, isFirstDeleted: false }

export const xdelex = defineCommand({
  name: 'xdelex',
  summary: 'Deletes entries of a stream by ID, with or without what groups have pending of them.',
  group: 'stream',
  since: '8.2.0',
  complexity: 'O(G log N) for each ID, with G groups of N pending entries.',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'delete'),
  handler: xdelexHandler,
})

export const xackdel = defineCommand({
  name: 'xackdel',
  summary: 'Acknowledges pending entries of a consumer group and deletes them.',
  group: 'stream',
  since: '8.2.0',
  complexity: 'O(G log N) for each ID, with G groups of N pending entries.',
  arity: -6,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update', 'delete'),
  handler: xackdelHandler,
})

function xdelexHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const policy = parseDeletion(args, 2, ids)
  const stream = findStream(ctx, args, 1)
  replyEach(ctx, args, reply, stream, (found) => deleteEntry(found, policy, Outcome.Absent))
}

function xackdelHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const policy = parseDeletion(args, 3, ids)
  const stream = findStream(ctx, args, 1)
  const group = stream === null ? null : findGroup(stream, args, 2)
  replyEach(ctx, args, reply, group === null ? null : stream, (found) => {
    if (group === null || !group.pending.acknowledge(id)) return Outcome.Absent
    changes.references++
    // Acknowledged it is, whether it is still there or not.
    return deleteEntry(found, policy, Outcome.Deleted)
  })
}

/** Replies what becomes of each ID, and announces the changes. */
function replyEach(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  stream: Stream | null,
  handle: (stream: Stream) => number,
): void {
  changes.deleted = 0
  changes.references = 0
  changes.isFirstDeleted = false
  reply.array(ids.count)
  for (let n = 0; n < ids.count; n++) {
    ids.get(n, id)
    reply.integer(stream === null ? Outcome.Absent : handle(stream))
  }
  if (stream === null) return
  if (changes.deleted > 0) {
    if (changes.isFirstDeleted || stream.length === 0) stream.updateFirstId()
    ctx.changed(args, 1, Notify.Stream, 'xdel')
  } else if (changes.references > 0) ctx.markDirty(changes.references)
}

/** Deletes the entry `id` as the policy allows. Returns one of Outcome, `ifAbsent` when it is not there. */
function deleteEntry(stream: Stream, policy: ReferencePolicy, ifAbsent: number): number {
  if (policy === ReferencePolicy.Acknowledged && isReferenced(stream, id)) {
    return stream.has(id) ? Outcome.Referenced : ifAbsent
  }
  // Also of an entry that is gone: then its references dangle.
  if (policy === ReferencePolicy.Drop) changes.references += dropReferences(stream, id)
  if (!stream.delete(id)) return ifAbsent
  if (id.equals(stream.firstId)) changes.isFirstDeleted = true
  changes.deleted++
  return Outcome.Deleted
}
