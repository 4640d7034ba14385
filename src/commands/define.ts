/**
 * Command definitions: one object per command says all that is known about it. COMMAND, ACL categories, key extraction,
 * arity checks and the docs are derived from it; nothing is written twice.
 *
 * When you add a command: its file (definition and handler), the `index.ts` of its family, its test.
 */
import { KeyAccess } from '../access/selector.ts'
import type { Args } from '../resp/args.ts'
import type { ReplySink } from '../resp/reply.ts'
import type { CommandContext } from './context.ts'

/** Properties of a command, as COMMAND INFO names them. Source: flags comment above struct redisCommand in server.h. */
export const CommandFlag = {
  Write: 1 << 0,
  ReadOnly: 1 << 1,
  DenyOom: 1 << 2,
  Admin: 1 << 3,
  PubSub: 1 << 4,
  NoScript: 1 << 5,
  Blocking: 1 << 6,
  Loading: 1 << 7,
  Stale: 1 << 8,
  SkipMonitor: 1 << 9,
  SkipSlowlog: 1 << 10,
  Asking: 1 << 11,
  Fast: 1 << 12,
  NoAuth: 1 << 13,
  MayReplicate: 1 << 14,
  NoAsyncLoading: 1 << 15,
  NoMulti: 1 << 16,
  MovableKeys: 1 << 17,
  AllowBusy: 1 << 18,
  NoMandatoryKeys: 1 << 19,
  /** Needs enable-debug-command or the like. */
  Protected: 1 << 20,
  /** Hidden behind a container in lists; not reported. */
  Sentinel: 1 << 21,
} as const

/** Names of the reported flags, in Redis' order. */
export const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [CommandFlag.Write, 'write'],
  [CommandFlag.ReadOnly, 'readonly'],
  [CommandFlag.DenyOom, 'denyoom'],
  [CommandFlag.Admin, 'admin'],
  [CommandFlag.PubSub, 'pubsub'],
  [CommandFlag.NoScript, 'noscript'],
  [CommandFlag.Blocking, 'blocking'],
  [CommandFlag.Loading, 'loading'],
  [CommandFlag.Stale, 'stale'],
  [CommandFlag.SkipMonitor, 'skip_monitor'],
  [CommandFlag.SkipSlowlog, 'skip_slowlog'],
  [CommandFlag.Asking, 'asking'],
  [CommandFlag.Fast, 'fast'],
  [CommandFlag.NoAuth, 'no_auth'],
  [CommandFlag.NoMandatoryKeys, 'no_mandatory_keys'],
  [CommandFlag.NoAsyncLoading, 'no_async_loading'],
  [CommandFlag.NoMulti, 'no_multi'],
  [CommandFlag.MovableKeys, 'movablekeys'],
  [CommandFlag.AllowBusy, 'allow_busy'],
]

/** ACL categories, as bits. */
export const AclCategory = {
  Keyspace: 1 << 0,
  Read: 1 << 1,
  Write: 1 << 2,
  Set: 1 << 3,
  SortedSet: 1 << 4,
  List: 1 << 5,
  Hash: 1 << 6,
  String: 1 << 7,
  Bitmap: 1 << 8,
  HyperLogLog: 1 << 9,
  Geo: 1 << 10,
  Stream: 1 << 11,
  PubSub: 1 << 12,
  Admin: 1 << 13,
  Fast: 1 << 14,
  Slow: 1 << 15,
  Blocking: 1 << 16,
  Dangerous: 1 << 17,
  Connection: 1 << 18,
  Transaction: 1 << 19,
  Scripting: 1 << 20,
} as const

export const CATEGORY_NAMES: readonly (readonly [number, string])[] = [
  [AclCategory.Keyspace, 'keyspace'],
  [AclCategory.Read, 'read'],
  [AclCategory.Write, 'write'],
  [AclCategory.Set, 'set'],
  [AclCategory.SortedSet, 'sortedset'],
  [AclCategory.List, 'list'],
  [AclCategory.Hash, 'hash'],
  [AclCategory.String, 'string'],
  [AclCategory.Bitmap, 'bitmap'],
  [AclCategory.HyperLogLog, 'hyperloglog'],
  [AclCategory.Geo, 'geo'],
  [AclCategory.Stream, 'stream'],
  [AclCategory.PubSub, 'pubsub'],
  [AclCategory.Admin, 'admin'],
  [AclCategory.Fast, 'fast'],
  [AclCategory.Slow, 'slow'],
  [AclCategory.Blocking, 'blocking'],
  [AclCategory.Dangerous, 'dangerous'],
  [AclCategory.Connection, 'connection'],
  [AclCategory.Transaction, 'transaction'],
  [AclCategory.Scripting, 'scripting'],
]

/** Group of a command in the documentation (COMMAND DOCS). */
export type CommandGroup =
  | 'string'
  | 'list'
  | 'hash'
  | 'set'
  | 'sorted-set'
  | 'stream'
  | 'pubsub'
  | 'generic'
  | 'transactions'
  | 'connection'
  | 'server'
  | 'scripting'
  | 'hyperloglog'
  | 'bitmap'
  | 'geo'
  | 'cluster'

/** What a command does with the keys of a spec, as COMMAND INFO names it. */
export type KeySpecFlag =
  | 'RO'
  | 'RW'
  | 'OW'
  | 'RM'
  | 'access'
  | 'update'
  | 'insert'
  | 'delete'
  | 'not_key'
  | 'incomplete'
  | 'variable_flags'

/** Where keys stand in a call. Source: redis.io/docs/reference/key-specs. */
export interface KeySpec {
  readonly flags: readonly KeySpecFlag[]
  readonly begin:
    | { readonly type: 'index'; readonly index: number }
    | { readonly type: 'keyword'; readonly keyword: string; readonly startFrom: number }
    | { readonly type: 'unknown' }
  readonly find:
    | { readonly type: 'range'; readonly lastKey: number; readonly step: number; readonly limit: number }
    | { readonly type: 'keynum'; readonly keyNumIndex: number; readonly firstKey: number; readonly step: number }
    | { readonly type: 'unknown' }
  readonly notes?: string
}

/** Which arguments are channels that the user must be allowed to use; patterns have to be allowed word for word. */
export interface ChannelArguments {
  readonly which: 'first' | 'all'
  readonly arePatterns: boolean
}

export type Handler = (ctx: CommandContext, args: Args, reply: ReplySink) => void

export interface CommandDefinition {
  /** Lower case; of a subcommand, without its container. */
  readonly name: string
  /** One sentence. */
  readonly summary: string
  readonly group: CommandGroup
  /** First Redis version that has it. */
  readonly since: string
  readonly complexity: string
  /** Counts the name (and the container's); negative: at least. */
  readonly arity: number
  /** Bits of CommandFlag. */
  readonly flags: number
  /** Bits of AclCategory beyond those that follow from the flags. */
  readonly categories: number
  readonly keys?: readonly KeySpec[]
  /** Hints for clients and proxies, e.g. 'nondeterministic_output'. */
  readonly tips?: readonly string[]
  /** Set when the command is deprecated. */
  readonly deprecated?: { readonly since: string; readonly replacedBy: string }
  /** Commands below this container. */
  readonly subcommands?: readonly CommandDefinition[]
  /** Key positions that no spec describes (SORT … STORE, EVAL): indices of key arguments. */
  readonly extractKeys?: (args: Args) => number[]
  /** What the command does with its keys where that depends on options (key specs with `variable_flags`). */
  readonly keyFlags?: (args: Args) => readonly KeySpecFlag[]
  /** Channels that a call sends to or begins to listen to. */
  readonly channels?: ChannelArguments
  /** Flags of one call, where they depend on its arguments: a script that declares not to write. */
  readonly callFlags?: (ctx: CommandContext, args: Args) => number
  /** Indices of arguments that are secrets: SLOWLOG and MONITOR do not show them. */
  readonly sensitiveArguments?: (args: Args) => number[]
  readonly handler: Handler
}

/** What a command does with the content of a key, as bits of KeyAccess; 0 when it is only named. */
export function keyAccess(flags: readonly KeySpecFlag[]): number {
  let access = 0
  for (const flag of flags) {
    if (flag === 'access') access |= KeyAccess.Read
    else if (flag === 'update' || flag === 'insert' || flag === 'delete') access |= KeyAccess.Write
  }
  return access
}

/** The spec of a command of which each call has one key, always at the same place and for the same use; else null. */
export function soleKeySpec({ keys, extractKeys, keyFlags }: CommandDefinition): KeySpec | null {
  const [spec] = keys ?? []
  if (spec === undefined || keys?.length !== 1 || extractKeys !== undefined || keyFlags !== undefined) return null
  if (spec.begin.type !== 'index' || spec.find.type !== 'range' || spec.find.lastKey !== 0) return null
  return spec.flags.includes('not_key') || spec.flags.includes('incomplete') ? null : spec
}

/** Declares a command; here for the type check and so that definitions are found by one name. */
export function defineCommand(definition: CommandDefinition): CommandDefinition {
  return definition
}

/** One key at argument `index`. */
export function keyAt(index: number, ...flags: KeySpecFlag[]): readonly KeySpec[] {
  return [keyRange(index, 0, 1, ...flags)]
}

/** Keys from argument `index` to `lastKey`, relative to the first (negative: from the end of the call), every `step`. */
export function keyRange(index: number, lastKey: number, step: number, ...flags: KeySpecFlag[]): KeySpec {
  return { flags, begin: { type: 'index', index }, find: { type: 'range', lastKey, step, limit: 0 } }
}

/** A key count at argument `index`, followed by that many keys. */
export function keyCountAt(index: number, ...flags: KeySpecFlag[]): KeySpec {
  return { flags, begin: { type: 'index', index }, find: { type: 'keynum', keyNumIndex: 0, firstKey: 1, step: 1 } }
}

/**
 * Keys behind a keyword (STREAMS, STORE), searched from argument `startFrom` (negative: backwards from the end).
 * `limit`: 2 means only the first half of what follows is keys.
 */
export function keysAfter(
  keyword: string,
  startFrom: number,
  lastKey: number,
  step: number,
  limit: number,
  ...flags: KeySpecFlag[]
): KeySpec {
  return { flags, begin: { type: 'keyword', keyword, startFrom }, find: { type: 'range', lastKey, step, limit } }
}
