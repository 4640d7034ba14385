/**
 * A selector: one set of permissions of a user, for commands, keys and channels. A call is allowed when one selector of
 * the user allows all of it. Warm: asked for each command of a user who may not do everything.
 *
 * What a selector may run is a bit per command, kept beside the text of the rules that made it, which ACL LIST shows.
 * Source: Valkey src/acl.c `aclSelector`, `ACLSelectorCheckKey`, `ACLCheckChannelAgainstList`.
 */
import { GlobCase, globMatch } from '../bytes/glob.ts'

/** What a key pattern allows, as bits. */
export const KeyAccess = { Read: 1, Write: 2, ReadWrite: 3 } as const
export type KeyAccess = (typeof KeyAccess)[keyof typeof KeyAccess]

/** IDs of commands are below this; there are some 300 (Valkey USER_COMMAND_BITS_COUNT). */
export const COMMAND_IDS_MAX = 1024
const GLOB_CHARS = /[*?[\\]/

interface KeyPattern {
  readonly pattern: string
  access: number
}

/** A command, as far as permissions go; the registry's commands are such. */
export interface ControlledCommand {
  readonly aclId: number
  /** `container|subcommand` for a subcommand, else the name; lower case, not affected by rename-command. */
  readonly aclName: string
  /** Bits of AclCategory. */
  readonly categories: number
  readonly container: ControlledCommand | null
  readonly subcommands: ReadonlyMap<string, ControlledCommand> | null
}

export class Selector {
  allowsAllCommands: boolean = false
  allowsAllKeys: boolean = false
  allowsAllChannels: boolean
  /** Whether the rules start from all commands (`+@all`) and take away, or start from none. */
  startsFromAll: boolean = false
  /** Rules about commands behind the first `+@all` or `-@all`, in force, in order. */
  commandRules: string[] = []
  keyPatterns: KeyPattern[] = []
  channelPatterns: string[] = []
  private readonly allowed: Uint32Array
  /** First arguments with which a command is allowed that is not allowed as such, by the ID of the command; lower case. */
  private firstArguments: Map<number, string[]> | null = null

  constructor(allowsAllChannels: AllChannels) {
    this.allowsAllChannels = allowsAllChannels === AllChannels.Allowed
    this.allowed = new Uint32Array(COMMAND_IDS_MAX / 32)
  }

  copy(): Selector {
    const copied = new Selector(this.allowsAllChannels ? AllChannels.Allowed : AllChannels.Denied)
    copied.allowsAllCommands = this.allowsAllCommands
    copied.allowsAllKeys = this.allowsAllKeys
    copied.startsFromAll = this.startsFromAll
    copied.commandRules = [...this.commandRules]
    copied.keyPatterns = this.keyPatterns.map(({ pattern, access }) => ({ pattern, access }))
    copied.channelPatterns = [...this.channelPatterns]
    copied.allowed.set(this.allowed)
    if (this.firstArguments !== null)
      copied.firstArguments = new Map([...this.firstArguments].map(([id, list]) => [id, [...list]]))
    return copied
  }

  get allowsEverything(): boolean {
    return this.allowsAllCommands && this.allowsAllKeys && this.allowsAllChannels
  }

  // Commands

  /** `+@all` and `-@all`: forgets all other rules about commands. */
  startFrom(start: 'all' | 'none'): void {
    const isAll = start === 'all'
    this.allowed.fill(isAll ? 0xffffffff : 0)
    this.allowsAllCommands = isAll
    this.startsFromAll = isAll
    this.commandRules = []
    this.firstArguments = null
  }

  /** Allows or denies a command with its subcommands. Returns whether that makes a difference. */
  setCommand(command: ControlledCommand, verdict: '+' | '-'): boolean {
    let isChange = this.setBit(command.aclId, verdict)
    if (this.firstArguments?.delete(command.aclId) === true) isChange = true
    if (command.subcommands === null) return isChange
    for (const sub of command.subcommands.values()) if (this.setBit(sub.aclId, verdict)) isChange = true
    return isChange
  }

  /** Allows a command when its first argument is this text. */
  allowFirstArgument(command: ControlledCommand, text: string): void {
    this.firstArguments ??= new Map()
    const list = this.firstArguments.get(command.aclId)
    const lower = text.toLowerCase()
    if (list === undefined) this.firstArguments.set(command.aclId, [lower])
    else if (!list.includes(lower)) list.push(lower)
  }

  /** Keeps the text of a rule; older ones about the same command (and its subcommands) or category go. */
  noteCommandRule(rule: string, verdict: '+' | '-'): void {
    const name = rule.toLowerCase()
    this.commandRules = this.commandRules.filter((old) => {
      const oldName = old.slice(1)
      return oldName !== name && !oldName.startsWith(`${name}|`)
    })
    this.commandRules.push(`${verdict}${name}`)
  }

  /** Whether the bit of a command is set: it is allowed whatever its arguments. */
  hasCommand(id: number): boolean {
    return id < COMMAND_IDS_MAX && (this.allowed[id >>> 5]! & (1 << (id & 31))) !== 0
  }

  /** First arguments (lower case) with which a command is allowed that is not allowed as such; null when there are none. */
  firstArgumentsOf(id: number): readonly string[] | null {
    return this.firstArguments?.get(id) ?? null
  }

  private setBit(id: number, verdict: '+' | '-'): boolean {
    const wasAllowed = this.hasCommand(id)
    const bit = 1 << (id & 31)
    if (verdict === '+') this.allowed[id >>> 5]! |= bit
    else {
      this.allowed[id >>> 5]! &= ~bit
      this.allowsAllCommands = false
    }
    return wasAllowed !== (verdict === '+')
  }

  // Keys and channels

  /** Adds a pattern; one that is there already gets the access in addition. */
  addKeyPattern(pattern: string, access: number): void {
    const known = this.keyPatterns.find((other) => other.pattern === pattern)
    if (known === undefined) this.keyPatterns.push({ pattern, access })
    else known.access |= access
  }

  addChannelPattern(pattern: string): void {
    if (!this.channelPatterns.includes(pattern)) this.channelPatterns.push(pattern)
  }

  /** Whether a key may be used with all of `access` (bits of KeyAccess; 0: its name may be mentioned). */
  allowsKey(key: string, access: number): boolean {
    if (this.allowsAllKeys) return true
    for (const known of this.keyPatterns) {
      if ((known.access & access) === access && globMatch(known.pattern, key, GlobCase.Exact)) return true
    }
    return false
  }

  /** Whether every key may be used with all of `access`. */
  allowsEveryKey(access: number): boolean {
    return (
      this.allowsAllKeys ||
      this.keyPatterns.some((known) => (known.access & access) === access && known.pattern === '*')
    )
  }

  /**
   * Whether all keys that start with `prefix` may be used with all of `access`. Only patterns are seen that are plain
   * text followed by `*`; so the answer may be false although another pattern, or several together, cover them all.
   */
  coversPrefix(prefix: string, access: number): boolean {
    if (this.allowsAllKeys) return true
    return this.keyPatterns.some((known) => {
      const head = known.pattern.slice(0, -1)
      if ((known.access & access) !== access || !known.pattern.endsWith('*') || GLOB_CHARS.test(head)) return false
      return prefix.startsWith(head)
    })
  }

  allowsChannel(channel: string): boolean {
    return this.allowsAllChannels || this.channelPatterns.some((known) => globMatch(known, channel, GlobCase.Exact))
  }

  /** A pattern must be allowed by its own text: what it matches may be more than another pattern allows. */
  allowsPattern(pattern: string): boolean {
    return this.allowsAllChannels || this.channelPatterns.includes(pattern)
  }
}

/** Whether a new selector allows all channels (`acl-pubsub-default`). */
export const AllChannels = { Denied: 0, Allowed: 1 } as const
export type AllChannels = (typeof AllChannels)[keyof typeof AllChannels]
