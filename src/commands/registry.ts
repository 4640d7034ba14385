/**
 * The command registry: resolved definitions, looked up by the bytes of the name. Hot path (lookup only).
 */
import type { CommandCatalog } from '../access/rules.ts'
import { COMMAND_IDS_MAX, type ControlledCommand } from '../access/selector.ts'
import { readWord } from '../bytes/words.ts'
import type { LatencyHistogram } from '../observe/latency-histogram.ts'
import type { Args } from '../resp/args.ts'
import { absentCommands } from './absent-commands.ts'
import {
  AclCategory,
  CATEGORY_NAMES,
  type ChannelArguments,
  type CommandDefinition,
  CommandFlag,
  type Handler,
  keyAccess,
  soleKeySpec,
} from './define.ts'

/** Commands after which a connection receives messages instead of replies, or beside them. */
const TAKES_CONNECTION: ReadonlySet<string> = new Set([
  'subscribe',
  'psubscribe',
  'ssubscribe',
  'unsubscribe',
  'punsubscribe',
  'sunsubscribe',
  'monitor',
  'client|tracking',
  'sync',
  'psync',
])

/** A registered command with its statistics. */
export class Command implements ControlledCommand {
  readonly definition: CommandDefinition
  readonly name: string
  /** `container|subcommand` for a subcommand, else the name. */
  readonly fullName: string
  /** Its bit in the permissions of users, and its name in their rules: rename-command changes neither. */
  readonly aclId: number
  readonly aclName: string
  readonly arity: number
  readonly flags: number
  readonly categories: number
  /** Takes a moment only, with few arguments: it may be timed together with others (observe/command-timer.ts). */
  readonly isBrief: boolean
  /** Makes the connection receive messages, which are no replies. */
  readonly takesConnection: boolean
  /** Has one reply, at once: it has no subcommands, does not block and does not take the connection. */
  readonly isPlain: boolean
  /** Whether clients that track are told of changes of its keys; of a script, those of the commands it calls. */
  readonly isTracked: boolean
  readonly handler: Handler
  /** The one key of every call: index of its argument, 0 when it is not that simple; and what is done with it (KeyAccess). */
  readonly soleKey: number
  readonly soleKeyAccess: number
  readonly channels: ChannelArguments | null
  readonly container: Command | null
  readonly subcommands: ReadonlyMap<string, Command> | null
  private readonly subcommandList: readonly Command[]
  /** Statistics for INFO commandstats. */
  calls = 0
  microseconds = 0
  rejectedCalls = 0
  failedCalls = 0
  latency: LatencyHistogram | null = null

  constructor(definition: CommandDefinition, container: Command | null, identities: Identities) {
    this.definition = definition
    this.name = definition.name
    this.fullName = container === null ? definition.name : `${container.name}|${definition.name}`
    const identity = identities.of(definition, container)
    this.aclId = identity.id
    this.aclName = identity.name
    this.arity = definition.arity
    this.flags = definition.flags
    this.categories = definition.categories | impliedCategories(definition.flags, definition.categories)
    const isConstant = definition.complexity === 'O(1)' && definition.keys !== undefined
    this.isBrief =
      (definition.flags & CommandFlag.Blocking) === 0 && ((definition.flags & CommandFlag.Fast) !== 0 || isConstant)
    this.takesConnection = TAKES_CONNECTION.has(this.aclName)
    this.isPlain =
      definition.subcommands === undefined && (definition.flags & CommandFlag.Blocking) === 0 && !this.takesConnection
    this.isTracked =
      (definition.flags & CommandFlag.ReadOnly) !== 0 && (definition.categories & AclCategory.Scripting) === 0
    this.handler = definition.handler
    const key = soleKeySpec(definition)
    this.soleKey = key !== null && key.begin.type === 'index' ? key.begin.index : 0
    this.soleKeyAccess = key === null ? 0 : keyAccess(key.flags)
    this.channels = definition.channels ?? null
    this.container = container
    this.subcommands =
      definition.subcommands === undefined
        ? null
        : new Map(definition.subcommands.map((sub) => [sub.name, new Command(sub, this, identities)]))
    this.subcommandList = [...(this.subcommands?.values() ?? [])]
  }

  resetStatistics(): void {
    this.calls = 0
    this.microseconds = 0
    this.rejectedCalls = 0
    this.failedCalls = 0
    this.latency = null
  }

  /** The subcommand that argument 1 names, in any case; null when there is none. */
  findSubcommand(args: Args): Command | null {
    const { buffer } = args
    const start = args.start(1)
    const length = args.length(1)
    for (let i = 0; i < this.subcommandList.length; i++) {
      const command = this.subcommandList[i]!
      if (matches(command.name, buffer, start, length)) return command
    }
    return null
  }

  /** Whether a call with `count` arguments (name included) fits the arity. */
  accepts(count: number): boolean {
    return this.arity >= 0 ? count === this.arity : count >= -this.arity
  }
}

/** What commands are to rules about users. */
interface Identity {
  readonly id: number
  readonly name: string
}

/** Gives commands their identities, by definition: a subcommand's stays when its container is renamed. */
class Identities {
  private readonly byDefinition = new Map<CommandDefinition, Identity>()
  private next = 0

  nextId(): number {
    if (this.next === COMMAND_IDS_MAX) throw new Error(`More than ${COMMAND_IDS_MAX} commands`)
    return this.next++
  }

  of(definition: CommandDefinition, container: Command | null): Identity {
    const known = this.byDefinition.get(definition)
    if (known !== undefined) return known
    const id = this.nextId()
    const name = container === null ? definition.name : `${container.aclName}|${definition.name}`
    const identity = { id, name }
    this.byDefinition.set(definition, identity)
    return identity
  }

  /** Gives a definition the identity of another one. */
  inherit(definition: CommandDefinition, from: CommandDefinition): void {
    this.byDefinition.set(definition, this.byDefinition.get(from)!)
  }
}

const BUCKETS = 1024
/** Spellings of names that are remembered; all commands in upper and lower case are fewer. */
const SPELLINGS_MAX = 2048
/** Names of this many bytes are recognised as they were sent before. */
const SEEN_BYTES_MIN = 3
const SEEN_BYTES_MAX = 10
const SEEN_SLOTS = 64
const CATEGORY_BITS: ReadonlyMap<string, number> = new Map(CATEGORY_NAMES.map(([bit, name]) => [name, bit]))

export class Registry implements CommandCatalog {
  private readonly byName = new Map<string, Command>()
  /** As they were before any was renamed. */
  private readonly originals = new Map<string, Command>()
  private readonly identities = new Identities()
  /** Made when a rule first names a command that is not there. */
  private absent: ReadonlyMap<string, ControlledCommand> | null = null
  /** By the spellings that calls in the process have used. */
  private readonly bySpelling = new Map<string, Command>()
  /** Commands by a hash of length and some letters of the name. */
  private buckets: Command[][] = []
  /**
   * Commands by their names as they were sent last: four words a slot, made of the bytes; the last is the length. Nearly
   * every request is found here without a look at its letters.
   */
  private readonly seenWords = new Int32Array(SEEN_SLOTS * 4)
  private readonly seen: (Command | null)[] = new Array<Command | null>(SEEN_SLOTS).fill(null)

  constructor(families: readonly (readonly CommandDefinition[])[]) {
    for (let i = 0; i < BUCKETS; i++) this.buckets.push([])
    for (const family of families)
      for (const definition of family) {
        const command = new Command(definition, null, this.identities)
        this.originals.set(definition.name, command)
        this.register(definition.name, command)
      }
  }

  byAclName(aclName: string): ControlledCommand | null {
    const command = this.original(aclName)
    if (command !== null) return command
    this.absent ??= absentCommands(
      (name) => this.original(name),
      () => this.identities.nextId(),
    )
    return this.absent.get(aclName) ?? null
  }

  /** A command or subcommand by its full name as it was before rename-command, null when there is none. */
  original(aclName: string): Command | null {
    const bar = aclName.indexOf('|')
    if (bar < 0) return this.originals.get(aclName) ?? null
    return this.originals.get(aclName.slice(0, bar))?.subcommands?.get(aclName.slice(bar + 1)) ?? null
  }

  controlled(): Iterable<Command> {
    return this.originals.values()
  }

  category(name: string): number {
    return CATEGORY_BITS.get(name) ?? 0
  }

  /** All commands, containers but not their subcommands. */
  all(): IterableIterator<Command> {
    return this.byName.values()
  }

  get count(): number {
    return this.byName.size
  }

  /** A command or subcommand (`config|get`) by its full name in lower case, null when there is none. */
  byFullName(fullName: string): Command | null {
    const bar = fullName.indexOf('|')
    if (bar < 0) return this.byName.get(fullName) ?? null
    return this.byName.get(fullName.slice(0, bar))?.subcommands?.get(fullName.slice(bar + 1)) ?? null
  }

  /** The command of a call by its first two words, in any case: the subcommand where there is one of that name. */
  byWords(name: string, second: string): Command | null {
    const command = this.byName.get(name.toLowerCase()) ?? null
    return command?.subcommands?.get(second.toLowerCase()) ?? command
  }

  /** The command that argument 0 names, in any case; null when there is none. Subcommands are not resolved. */
  find(args: Args): Command | null {
    const length = args.length(0)
    if (length < SEEN_BYTES_MIN || length > SEEN_BYTES_MAX) return this.search(args)
    const buffer = args.buffer
    const start = args.start(0)
    const end = start + length
    // Three bytes at each end, which may overlap, and the four behind the first three.
    const first = buffer[start]! | (buffer[start + 1]! << 8) | (buffer[start + 2]! << 16)
    const last = buffer[end - 1]! | (buffer[end - 2]! << 8) | (buffer[end - 3]! << 16)
    const inner = length <= 6 ? 0 : readWord(buffer, start + 3)
    const words = this.seenWords
    const slot = (first ^ (first >>> 11) ^ (last >>> 3) ^ length) & (SEEN_SLOTS - 1)
    const at = slot * 4
    if (words[at] === first && words[at + 1] === last && words[at + 2] === inner && words[at + 3] === length)
      return this.seen[slot]!
    const command = this.search(args)
    if (command === null) return null
    words[at] = first
    words[at + 1] = last
    words[at + 2] = inner
    words[at + 3] = length
    this.seen[slot] = command
    return command
  }

  /** As `find`, letter by letter. */
  private search(args: Args): Command | null {
    const length = args.length(0)
    if (length === 0) return null
    const buffer = args.buffer
    const start = args.start(0)
    const bucket = this.buckets[bucketOf(buffer, start, length)]!
    for (let i = 0; i < bucket.length; i++) {
      const command = bucket[i]!
      if (matches(command.name, buffer, start, length)) return command
    }
    return null
  }

  /** As `find`, for the name as a string. */
  findSpelled(name: string): Command | null {
    const known = this.bySpelling.get(name)
    if (known !== undefined) return known
    const command = this.byName.get(name.toLowerCase()) ?? null
    if (command !== null && this.bySpelling.size < SPELLINGS_MAX) this.bySpelling.set(name, command)
    return command
  }

  /** Gives a command another name, or none (''), as rename-command does. Returns why that cannot be, null on success. */
  rename(from: string, to: string): string | null {
    const command = this.byName.get(from.toLowerCase())
    if (command === undefined) return 'No such command in rename-command'
    const name = to.toLowerCase()
    this.byName.delete(command.name)
    if (this.byName.has(name)) return 'Target command name already exists'
    this.bySpelling.clear()
    const remaining = [...this.byName.values()]
    this.byName.clear()
    this.buckets = this.buckets.map(() => [])
    this.seenWords.fill(0)
    for (const other of remaining) this.register(other.name, other)
    if (name === '') return null
    const definition = { ...command.definition, name }
    this.identities.inherit(definition, command.definition)
    this.register(name, new Command(definition, null, this.identities))
    return null
  }

  private register(name: string, command: Command): void {
    if (this.byName.has(name)) throw new Error(`Command ${name} is defined twice`)
    this.byName.set(name, command)
    const bytes = Buffer.from(name, 'latin1')
    this.buckets[bucketOf(bytes, 0, bytes.length)]!.push(command)
  }
}

function bucketOf(buffer: Buffer, start: number, length: number): number {
  const first = buffer[start]! | 32
  const middle = buffer[start + (length >> 1)]! | 32
  const last = buffer[start + length - 1]! | 32
  return (first * 31 + middle * 131 + last * 17 + length * 257) & (BUCKETS - 1)
}

function matches(name: string, buffer: Buffer, start: number, length: number): boolean {
  if (name.length !== length) return false
  for (let i = 0; i < length; i++) {
    const byte = buffer[start + i]!
    const lower = byte >= 65 && byte <= 90 ? byte | 32 : byte
    if (lower !== name.charCodeAt(i)) return false
  }
  return true
}

/** Categories that follow from the flags. Source: Valkey src/server.c setImplicitACLCategories. */
function impliedCategories(flags: number, declared: number): number {
  let categories = 0
  if (flags & CommandFlag.Write) categories |= AclCategory.Write
  // Scripts that only read are no reading commands: what they call is checked by itself.
  if (flags & CommandFlag.ReadOnly && (declared & AclCategory.Scripting) === 0) categories |= AclCategory.Read
  if (flags & CommandFlag.Admin) categories |= AclCategory.Admin | AclCategory.Dangerous
  if (flags & CommandFlag.PubSub) categories |= AclCategory.PubSub
  if (flags & CommandFlag.Fast) categories |= AclCategory.Fast
  if (flags & CommandFlag.Blocking) categories |= AclCategory.Blocking
  if ((categories & AclCategory.Fast) === 0) categories |= AclCategory.Slow
  return categories
}
