/**
 * SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites, which without arguments end all subscriptions of their kind.
 *
 * Reply: for each argument a push message (an array in RESP2) of the kind, the name and how many subscriptions are left;
 * shard channels are counted apart from channels and patterns. Ending all of none names null.
 * Source: Valkey src/pubsub.c.
 */
import type { Args } from '../../resp/args.ts'
import { subscribeDenied } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { type CommandDefinition, CommandFlag, defineCommand, keyRange } from '../define.ts'
import { ClientFlag, type Session } from '../session.ts'

/** A kind of subscription: how it is counted, begun and ended. */
interface SubscriptionKind {
  readonly subscribed: string
  readonly unsubscribed: string
  /** What the subscriptions of a session are. */
  readonly names: (session: Session) => Set<string>
  readonly count: (session: Session) => number
  readonly add: (ctx: CommandContext, name: string) => void
  readonly remove: (ctx: CommandContext, name: string) => void
}

const CHANNELS: SubscriptionKind = {
  subscribed: 'subscribe',
  unsubscribed: 'unsubscribe',
  names: (session) => session.channels,
  count: (session) => session.channels.size + session.patterns.size,
  add: (ctx, name) => ctx.channels.subscribe(ctx.session, name),
  remove: (ctx, name) => ctx.channels.unsubscribe(ctx.session, name),
}

const PATTERNS: SubscriptionKind = {
  subscribed: 'psubscribe',
  unsubscribed: 'punsubscribe',
  names: (session) => session.patterns,
  count: CHANNELS.count,
  add: (ctx, name) => ctx.channels.subscribePattern(ctx.session, name),
  remove: (ctx, name) => ctx.channels.unsubscribePattern(ctx.session, name),
}

const SHARD_CHANNELS: SubscriptionKind = {
  subscribed: 'ssubscribe',
  unsubscribed: 'sunsubscribe',
  names: (session) => session.shardChannels,
  count: (session) => session.shardChannels.size,
  add: (ctx, name) => ctx.channels.subscribeShard(ctx.session, name),
  remove: (ctx, name) => ctx.channels.unsubscribeShard(ctx.session, name),
}

const FLAGS = CommandFlag.PubSub | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale
const SHARD_KEYS = [keyRange(1, -1, 1, 'not_key')]

export const subscribeCommands: readonly CommandDefinition[] = [
  defineCommand({
    name: 'subscribe',
    summary: 'Subscribes to channels.',
    group: 'pubsub',
    since: '2.0.0',
    complexity: 'O(N), N being the number of channels that are named.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    channels: { which: 'all', arePatterns: false },
    handler: (ctx, args, reply) => subscribe(ctx, args, reply, CHANNELS),
  }),
  defineCommand({
    name: 'psubscribe',
    summary: 'Subscribes to all channels whose names match patterns.',
    group: 'pubsub',
    since: '2.0.0',
    complexity: 'O(N), N being the number of patterns that are named.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    channels: { which: 'all', arePatterns: true },
    handler: (ctx, args, reply) => subscribe(ctx, args, reply, PATTERNS),
  }),
  defineCommand({
    name: 'ssubscribe',
    summary: 'Subscribes to shard channels.',
    group: 'pubsub',
    since: '7.0.0',
    complexity: 'O(N), N being the number of shard channels that are named.',
    arity: -2,
    flags: FLAGS,
    categories: 0,
    keys: SHARD_KEYS,
    channels: { which: 'all', arePatterns: false },
    handler: ssubscribeHandler,
  }),
  defineCommand({
    name: 'unsubscribe',
    summary: 'Ends subscriptions to channels.',
    group: 'pubsub',
    since: '2.0.0',
    complexity: 'O(N), N being the number of channels that are given up.',
    arity: -1,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, args, reply) => unsubscribe(ctx, args, reply, CHANNELS),
  }),
  defineCommand({
    name: 'punsubscribe',
    summary: 'Ends subscriptions to patterns.',
    group: 'pubsub',
    since: '2.0.0',
    complexity: 'O(N), N being the number of patterns that are given up.',
    arity: -1,
    flags: FLAGS,
    categories: 0,
    handler: (ctx, args, reply) => unsubscribe(ctx, args, reply, PATTERNS),
  }),
  defineCommand({
    name: 'sunsubscribe',
    summary: 'Ends subscriptions to shard channels.',
    group: 'pubsub',
    since: '7.0.0',
    complexity: 'O(N), N being the number of shard channels that are given up.',
    arity: -1,
    flags: FLAGS,
    categories: 0,
    keys: SHARD_KEYS,
    handler: (ctx, args, reply) => unsubscribe(ctx, args, reply, SHARD_CHANNELS),
  }),
]

function ssubscribeHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  // Channels and patterns are let through in a transaction for the sake of old clients; shard channels never were.
  if (!ctx.mayBlock) throw subscribeDenied('SSUBSCRIBE')
  subscribe(ctx, args, reply, SHARD_CHANNELS)
}

function subscribe(ctx: CommandContext, args: Args, reply: ReplySink, kind: SubscriptionKind): void {
  const { session } = ctx
  if (!ctx.mayBlock && (session.flags & ClientFlag.Multi) === 0) throw subscribeDenied(kind.subscribed.toUpperCase())
  for (let i = 1; i < args.count; i++) {
    const name = args.text(i)
    kind.add(ctx, name)
    reply.push(3)
    reply.bulkText(kind.subscribed)
    reply.bulkText(name)
    reply.integer(kind.count(session))
  }
}

function unsubscribe(ctx: CommandContext, args: Args, reply: ReplySink, kind: SubscriptionKind): void {
  if (args.count === 1) {
    const names = [...kind.names(ctx.session)]
    for (const name of names) end(ctx, reply, kind, name)
    if (names.length === 0) replyEnded(ctx, reply, kind, null)
    return
  }
  for (let i = 1; i < args.count; i++) end(ctx, reply, kind, args.text(i))
}

function end(ctx: CommandContext, reply: ReplySink, kind: SubscriptionKind, name: string): void {
  kind.remove(ctx, name)
  replyEnded(ctx, reply, kind, name)
}

function replyEnded(ctx: CommandContext, reply: ReplySink, kind: SubscriptionKind, name: string | null): void {
  reply.push(3)
  reply.bulkText(kind.unsubscribed)
  if (name === null) reply.nil()
  else reply.bulkText(name)
  reply.integer(kind.count(ctx.session))
}
