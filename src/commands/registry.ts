/**
 * The command registry: resolved definitions, looked up by the bytes of the name. Hot path (lookup only).
 */
import type { Args } from '../resp/args.ts'
import { AclCategory, type CommandDefinition, CommandFlag, type Handler } from './define.ts'

/** A registered command with its statistics. */
export class Command {
  readonly definition: CommandDefinition
  readonly name: string
  /** `container|subcommand` for a subcommand, else the name. */
  readonly fullName: string
  readonly arity: number
  readonly flags: number
  readonly categories: number
  /** Takes a moment only, with few arguments: it may be timed together with others (observe/command-timer.ts). */
  readonly isBrief: boolean
  readonly handler: Handler
  readonly container: Command | null
  readonly subcommands: ReadonlyMap<string, Command> | null
  /** Statistics for INFO commandstats. */
  calls = 0
  microseconds = 0
  rejectedCalls = 0
  failedCalls = 0

  constructor(definition: CommandDefinition, container: Command | null) {
    this.definition = definition
    this.name = definition.name
    this.fullName = container === null ? definition.name : `${container.name}|${definition.name}`
    this.arity = definition.arity
    this.flags = definition.flags
    this.categories = definition.categories | impliedCategories(definition.flags, definition.categories)
    const isConstant = definition.complexity === 'O(1)' && definition.keys !== undefined
    this.isBrief =
      (definition.flags & CommandFlag.Blocking) === 0 && ((definition.flags & CommandFlag.Fast) !== 0 || isConstant)
    this.handler = definition.handler
    this.container = container
    this.subcommands =
      definition.subcommands === undefined
        ? null
        : new Map(definition.subcommands.map((sub) => [sub.name, new Command(sub, this)]))
  }

  resetStatistics(): void {
    this.calls = 0
    this.microseconds = 0
    this.rejectedCalls = 0
    this.failedCalls = 0
  }

  /** Whether a call with `count` arguments (name included) fits the arity. */
  accepts(count: number): boolean {
    return this.arity >= 0 ? count === this.arity : count >= -this.arity
  }
}

const BUCKETS = 1024

export class Registry {
  private readonly byName = new Map<string, Command>()
  /** Commands by a hash of length and some letters of the name. */
  private buckets: Command[][] = []

  constructor(families: readonly (readonly CommandDefinition[])[]) {
    for (let i = 0; i < BUCKETS; i++) this.buckets.push([])
    for (const family of families)
      for (const definition of family) this.register(definition.name, new Command(definition, null))
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

  /** The command that argument 0 names, in any case; null when there is none. Subcommands are not resolved. */
  find(args: Args): Command | null {
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

  /** Gives a command another name, or none (''), as rename-command does. Returns why that cannot be, null on success. */
  rename(from: string, to: string): string | null {
    const command = this.byName.get(from.toLowerCase())
    if (command === undefined) return 'No such command in rename-command'
    const name = to.toLowerCase()
    this.byName.delete(command.name)
    if (this.byName.has(name)) return 'Target command name already exists'
    const remaining = [...this.byName.values()]
    this.byName.clear()
    this.buckets = this.buckets.map(() => [])
    for (const other of remaining) this.register(other.name, other)
    if (name !== '') this.register(name, new Command({ ...command.definition, name }, null))
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
