/**
 * PUBLISH channel message and SPUBLISH shardchannel message
 *
 * Reply: integer, how many subscriptions got the message; a client that gets it by a channel and a pattern counts twice.
 * Source: Valkey src/pubsub.c `publishCommand`, `spublishCommand`. Hot path.
 */
import { JournalTarget } from '../../persistence/journal.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand, keyAt } from '../define.ts'

const FLAGS = CommandFlag.PubSub | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.Fast | CommandFlag.MayReplicate

export const publish = defineCommand({
  name: 'publish',
  summary: 'Sends a message to the subscribers of a channel.',
  group: 'pubsub',
  since: '2.0.0',
  complexity: 'O(N+M), N being the number of subscribers of the channel and M the number of patterns of all clients.',
  arity: 3,
  flags: FLAGS,
  categories: 0,
  channels: { which: 'first', arePatterns: false },
  handler: publishHandler,
})

export const spublish = defineCommand({
  name: 'spublish',
  summary: 'Sends a message to the subscribers of a shard channel.',
  group: 'pubsub',
  since: '7.0.0',
  complexity: 'O(N), N being the number of subscribers of the shard channel.',
  arity: 3,
  flags: FLAGS,
  categories: 0,
  keys: keyAt(1, 'not_key'),
  channels: { which: 'first', arePatterns: false },
  handler: spublishHandler,
})

function publishHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { channels } = ctx
  if (ctx.journal.hasReplicas) recordForReplicas(ctx, args)
  reply.integer(channels.isEmpty ? 0 : channels.publish(args.text(1), args.buffer, args.start(2), args.length(2)))
}

function spublishHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (ctx.journal.hasReplicas) recordForReplicas(ctx, args)
  reply.integer(ctx.channels.publishShard(args.text(1), args.buffer, args.start(2), args.length(2)))
}

/** Subscribers of replicas get the message too; a log would be no better for it. */
function recordForReplicas(ctx: CommandContext, args: Args): void {
  const { journal } = ctx
  const outer = journal.narrow(JournalTarget.Replicas)
  journal.command(ctx.db.index, args)
  journal.widen(outer)
}
