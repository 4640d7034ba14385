/**
 * SPOP key [count]
 *
 * Removes random members from a set and returns them; the set goes with its last member.
 *
 * Reply: without count a bulk string or null; else a set. Errors, in this order: syntax; the count; WRONGTYPE.
 * Recorded as SREM of the members, in calls of at most 1024, or as DEL when a count took all of them.
 * Source: Valkey src/t_set.c `spopCommand`, `spopWithCountCommand`.
 */
import { FreeReason } from '../../keyspace/lazy-free.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { OUT_OF_RANGE_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import { randomIndex, sampleDistinct } from '../../structures/sampling.ts'
import type { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { recordDeletion } from '../delete-key.ts'
import { replyElement } from '../reply-element.ts'
import { findSet, finishRemoval } from './set-access.ts'

export const spop = defineCommand({
  name: 'spop',
  summary: 'Removes and returns one or more random members of a set.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(1) without a count, else O(N) where N is the count.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RW', 'access', 'delete'),
  tips: ['nondeterministic_output'],
  handler: spopHandler,
})

/** Members of one recorded SREM at most. */
const RECORDED_MEMBERS_MAX = 1024
/** When fewer than one in this many stays, what stays gets the smallest encoding that it fits. */
const REBUILD_FRACTION = 5

const member = new Element()

function spopHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw SYNTAX_ERROR
  if (args.count === 3) popSeveral(ctx, args, reply)
  else popOne(ctx, args, reply)
}

function popOne(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = findSet(ctx, args, 1)
  if (row === NO_ROW) {
    reply.nil()
    return
  }
  const set = ctx.set
  const index = randomIndex(set.size(), ctx.random)
  set.showAt(index, member)
  replyElement(reply, member)
  beginRemoval(ctx, args, 1)
  record(ctx)
  set.removeAt(index)
  finishRemoval(ctx, args, 1, row, set, 'spop')
}

function popSeveral(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const count = args.integerIn(2, 0, Number.POSITIVE_INFINITY, OUT_OF_RANGE_POSITIVE)
  const row = findSet(ctx, args, 1)
  const set = ctx.set
  const size = set.size()
  if (row === NO_ROW || count === 0) {
    reply.set(0)
    return
  }
  if (count >= size) {
    popAll(ctx, args, row, reply)
    return
  }
  reply.set(count)
  popSample(ctx, args, count, reply)
  if ((size - count) * REBUILD_FRACTION <= count) set.becomePacked(ctx.keyspace.limits)
  finishRemoval(ctx, args, 1, row, set, 'spop')
}

function popAll(ctx: CommandContext, args: Args, row: number, reply: ReplySink): void {
  reply.set(ctx.set.size())
  const cursor = ctx.set.walk()
  while (cursor.advance(member)) replyElement(reply, member)
  ctx.db.remove(row)
  ctx.changed(args, 1, Notify.Set, 'spop')
  ctx.notify(args, 1, Notify.Generic, 'del')
  recordDeletion(ctx, args, 1, FreeReason.ServerDel)
}

/** Replies, records and removes `count` members; fewer than all. */
function popSample(ctx: CommandContext, args: Args, count: number, reply: ReplySink): void {
  const set = ctx.set
  const sample = sampleDistinct(set.size(), count, ctx.random)
  const cursor = set.walk()
  for (let i = 0; i < count; i++) {
    if (i % RECORDED_MEMBERS_MAX === 0) beginRemoval(ctx, args, Math.min(RECORDED_MEMBERS_MAX, count - i))
    cursor.moveTo(sample[i]!)
    cursor.advance(member)
    replyElement(reply, member)
    record(ctx)
  }
  // From the last index down: what a removal moves then lies behind the indices that are still to be removed.
  removeSample(set, sample)
}

function removeSample(set: SetView, sample: Uint32Array): void {
  for (let i = sample.length - 1; i >= 0; i--) set.removeAt(sample[i]!)
}

function beginRemoval(ctx: CommandContext, args: Args, members: number): void {
  ctx.journal.begin(ctx.db.index, 2 + members)
  ctx.journal.text('SREM')
  ctx.journal.arg(args, 1)
}

function record(ctx: CommandContext): void {
  if (member.isInteger) ctx.journal.integer(member.integer)
  else ctx.journal.bytes(member.buffer, member.start, member.length)
}
