/**
 * CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix …] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
 * CLIENT CACHING YES|NO
 * CLIENT GETREDIR
 * CLIENT TRACKINGINFO
 *
 * Client-side caching (pubsub/tracking.ts).
 *
 * Reply: TRACKING and CACHING: OK. GETREDIR: the ID of the client that is told, 0: this one, -1: nothing is tracked.
 * TRACKINGINFO: a map of flags, redirect and prefixes. Errors: options that exclude each other or the mode in force, in
 * the order of Redis; prefixes that overlap.
 * Source: Valkey src/networking.c `clientCommand`, src/tracking.c `checkPrefixCollisionsOrReply`.
 */
import { firstOverlapping, nextOverlapping, overlapWithOwn } from '../../pubsub/prefix-overlap.ts'
import { type ClientTracking, TrackingOption } from '../../pubsub/tracking.ts'
import type { Args } from '../../resp/args.ts'
import {
  CACHING_NO_NEEDS_OPTOUT,
  CACHING_WITHOUT_TRACKING,
  CACHING_YES_NEEDS_OPTIN,
  NOT_AN_INTEGER,
  overlappingOwnPrefix,
  overlappingPrefixes,
  SYNTAX_ERROR,
  TRACKING_BCAST_OPT,
  TRACKING_BOTH_OPTS,
  TRACKING_PREFIX_NEEDS_BCAST,
  TRACKING_REDIRECT_ABSENT,
  TRACKING_REDIRECT_TWICE,
  TRACKING_SWITCHES_BCAST,
  TRACKING_SWITCHES_OPT,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, type CommandDefinition, CommandFlag, defineCommand } from '../define.ts'

const COMMON = {
  group: 'connection',
  flags: CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale,
  categories: AclCategory.Connection,
} as const

export const clientTracking: CommandDefinition = defineCommand({
  ...COMMON,
  name: 'tracking',
  summary: 'Says whether this connection is told when keys change that its client caches.',
  since: '6.0.0',
  complexity: 'O(1). Some options may introduce additional complexity.',
  arity: -3,
  handler: trackingHandler,
})

export const clientCaching: CommandDefinition = defineCommand({
  ...COMMON,
  name: 'caching',
  summary: 'Says whether the client caches the keys of the next command.',
  since: '6.0.0',
  complexity: 'O(1)',
  arity: 3,
  handler: cachingHandler,
})

export const clientGetredir: CommandDefinition = defineCommand({
  ...COMMON,
  name: 'getredir',
  summary: 'Returns the ID of the client that is told of changes on behalf of this one.',
  since: '6.0.0',
  complexity: 'O(1)',
  arity: 2,
  handler: (ctx, _args, reply) => reply.integer(redirectOf(ctx.session.tracking)),
})

export const clientTrackinginfo: CommandDefinition = defineCommand({
  ...COMMON,
  name: 'trackinginfo',
  summary: 'Returns what this connection is told of changes of keys.',
  since: '6.2.0',
  complexity: 'O(1)',
  arity: 2,
  handler: trackinginfoHandler,
})

interface TrackingArguments {
  redirectId: number
  /** Bits of TrackingOption. */
  options: number
  readonly prefixes: string[]
}

function trackingHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { session, server } = ctx
  const wanted = parseOptions(ctx, args)
  if (args.is(2, 'ON')) {
    checkOptions(wanted, session.tracking)
    server.tracking.enable(session, wanted.options, wanted.redirectId, wanted.prefixes)
  } else if (args.is(2, 'OFF')) server.tracking.disable(session)
  else throw SYNTAX_ERROR
  reply.ok()
}

function parseOptions(ctx: CommandContext, args: Args): TrackingArguments {
  const wanted: TrackingArguments = { redirectId: 0, options: 0, prefixes: [] }
  for (let i = 3; i < args.count; i++) {
    const hasMore = i + 1 < args.count
    if (args.is(i, 'REDIRECT') && hasMore) {
      if (wanted.redirectId !== 0) throw TRACKING_REDIRECT_TWICE
      wanted.redirectId = args.integer(++i, NOT_AN_INTEGER)
      if (ctx.server.session(wanted.redirectId) === null) throw TRACKING_REDIRECT_ABSENT
    } else if (args.is(i, 'BCAST')) wanted.options |= TrackingOption.Bcast
    else if (args.is(i, 'OPTIN')) wanted.options |= TrackingOption.OptIn
    else if (args.is(i, 'OPTOUT')) wanted.options |= TrackingOption.OptOut
    else if (args.is(i, 'NOLOOP')) wanted.options |= TrackingOption.NoLoop
    else if (args.is(i, 'PREFIX') && hasMore) wanted.prefixes.push(args.text(++i))
    else throw SYNTAX_ERROR
  }
  return wanted
}

/** Whether options fit each other and what is in force. @throws */
function checkOptions({ options, prefixes }: TrackingArguments, current: ClientTracking | null): void {
  const { Bcast, OptIn, OptOut } = TrackingOption
  const isBcast = (options & Bcast) !== 0
  if (!isBcast && prefixes.length > 0) throw TRACKING_PREFIX_NEEDS_BCAST
  if (current !== null && ((current.options ^ options) & Bcast) !== 0) throw TRACKING_SWITCHES_BCAST
  if (isBcast && (options & (OptIn | OptOut)) !== 0) throw TRACKING_BCAST_OPT
  if ((options & OptIn) !== 0 && (options & OptOut) !== 0) throw TRACKING_BOTH_OPTS
  const before = current === null ? 0 : current.options
  const isSwitched =
    ((options & OptIn) !== 0 && (before & OptOut) !== 0) || ((options & OptOut) !== 0 && (before & OptIn) !== 0)
  if (isSwitched) throw TRACKING_SWITCHES_OPT
  if (isBcast) checkPrefixes(prefixes, current === null ? [] : current.prefixes)
}

/** The error names the first prefix that overlaps, with those that the client has before those beside it. @throws */
function checkPrefixes(prefixes: readonly string[], own: readonly string[]): void {
  const first = firstOverlapping(prefixes)
  for (let i = 0; i < prefixes.length; i++) {
    const prefix = prefixes[i]!
    const existing = overlapWithOwn(own, prefix)
    if (existing !== null) throw overlappingOwnPrefix(prefix, existing)
    if (i === first) throw overlappingPrefixes(prefix, prefixes[nextOverlapping(prefixes, i)]!)
  }
}

function cachingHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { tracking } = ctx.session
  if (tracking === null) throw CACHING_WITHOUT_TRACKING
  if (args.is(2, 'YES')) {
    if ((tracking.options & TrackingOption.OptIn) === 0) throw CACHING_YES_NEEDS_OPTIN
  } else if (args.is(2, 'NO')) {
    if ((tracking.options & TrackingOption.OptOut) === 0) throw CACHING_NO_NEEDS_OPTOUT
  } else throw SYNTAX_ERROR
  tracking.isCachingGiven = true
  reply.ok()
}

function trackinginfoHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const { tracking } = ctx.session
  const flags = flagNames(tracking)
  const prefixes = tracking === null ? [] : tracking.prefixes
  reply.map(3)
  reply.bulkText('flags')
  reply.set(flags.length)
  for (const flag of flags) reply.bulkText(flag)
  reply.bulkText('redirect')
  reply.integer(redirectOf(tracking))
  reply.bulkText('prefixes')
  reply.array(prefixes.length)
  for (const prefix of prefixes) reply.bulkText(prefix)
}

function redirectOf(tracking: ClientTracking | null): number {
  return tracking === null ? -1 : tracking.redirectId
}

function flagNames(tracking: ClientTracking | null): string[] {
  if (tracking === null) return ['off']
  const { options, isCachingGiven, isBroken } = tracking
  const names = ['on']
  if ((options & TrackingOption.Bcast) !== 0) names.push('bcast')
  if ((options & TrackingOption.OptIn) !== 0) names.push('optin', ...(isCachingGiven ? ['caching-yes'] : []))
  if ((options & TrackingOption.OptOut) !== 0) names.push('optout', ...(isCachingGiven ? ['caching-no'] : []))
  if ((options & TrackingOption.NoLoop) !== 0) names.push('noloop')
  if (isBroken) names.push('broken_redirect')
  return names
}
