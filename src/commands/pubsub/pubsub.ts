/**
 * PUBSUB CHANNELS [pattern] | NUMSUB [channel ...] | NUMPAT | SHARDCHANNELS [pattern] | SHARDNUMSUB [channel ...] | HELP
 *
 * Reply: names of channels that have subscribers; pairs of channel and number of subscribers; number of patterns.
 * Source: Valkey src/pubsub.c `pubsubCommand`.
 */
import { GlobCase, globMatch } from '../../bytes/glob.ts'
import type { Args } from '../../resp/args.ts'
import { subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { type CommandDefinition, CommandFlag, defineCommand } from '../define.ts'
import { helpSubcommand } from '../help.ts'

const HELP = [
  'CHANNELS [<pattern>]',
  '    List the channels that have subscribers and match <pattern>; all by default.',
  'NUMPAT',
  '    Count the patterns that have subscribers.',
  'NUMSUB [<channel> ...]',
  '    Count the subscribers of each channel, those of patterns excluded.',
  'SHARDCHANNELS [<pattern>]',
  '    List the shard channels that have subscribers and match <pattern>; all by default.',
  'SHARDNUMSUB [<shardchannel> ...]',
  '    Count the subscribers of each shard channel.',
]

const FLAGS = CommandFlag.PubSub | CommandFlag.Loading | CommandFlag.Stale

const subcommands: readonly CommandDefinition[] = [
  defineCommand({
    name: 'channels',
    summary: 'Returns the channels that have subscribers.',
    group: 'pubsub',
    since: '2.8.0',
    complexity: 'O(N), N being the number of channels with subscribers.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, args, reply) => replyMatching(args, reply, ctx.channels.channelNames()),
  }),
  helpSubcommand({ group: 'pubsub', since: '6.2.0', categories: 0, lines: HELP }),
  defineCommand({
    name: 'numpat',
    summary: 'Returns how many patterns have subscribers.',
    group: 'pubsub',
    since: '2.8.0',
    complexity: 'O(1)',
    arity: 2,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, _args, reply) => reply.integer(ctx.channels.patternCount),
  }),
  defineCommand({
    name: 'numsub',
    summary: 'Returns how many subscribers channels have.',
    group: 'pubsub',
    since: '2.8.0',
    complexity: 'O(N), N being the number of channels that are named.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, args, reply) => replyCounts(args, reply, (channel) => ctx.channels.subscriberCount(channel)),
  }),
  defineCommand({
    name: 'shardchannels',
    summary: 'Returns the shard channels that have subscribers.',
    group: 'pubsub',
    since: '7.0.0',
    complexity: 'O(N), N being the number of shard channels with subscribers.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, args, reply) => replyMatching(args, reply, ctx.channels.shardChannelNames()),
  }),
  defineCommand({
    name: 'shardnumsub',
    summary: 'Returns how many subscribers shard channels have.',
    group: 'pubsub',
    since: '7.0.0',
    complexity: 'O(N), N being the number of shard channels that are named.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, args, reply) => replyCounts(args, reply, (channel) => ctx.channels.shardSubscriberCount(channel)),
  }),
]

export const pubsub = defineCommand({
  name: 'pubsub',
  summary: 'A container for commands that look at subscriptions.',
  group: 'pubsub',
  since: '2.8.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands,
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function replyMatching(args: Args, reply: ReplySink, names: readonly string[]): void {
  if (args.count > 3) throw subcommandSyntax(args.text(1), args.text(0))
  const matching = args.count === 2 ? names : names.filter((name) => globMatch(args.text(2), name, GlobCase.Exact))
  reply.array(matching.length)
  for (const name of matching) reply.bulkText(name)
}

function replyCounts(args: Args, reply: ReplySink, count: (channel: string) => number): void {
  reply.array((args.count - 2) * 2)
  for (let i = 2; i < args.count; i++) {
    reply.bulk(args.buffer, args.start(i), args.length(i))
    reply.integer(count(args.text(i)))
  }
}
