/**
 * What the gateway decides about a call before a remote server sees it: whether the user may make it, and to which hash slot
 * it belongs.
 *
 * The server knows one user only, the one that the gateway logs in as. So whatever a command does behind the back of its
 * arguments cannot be checked: scripts and functions, commands that this program does not know (of modules, of newer
 * servers), and what governs the server are for unrestricted users alone. The order of the checks is that of
 * server/execute.ts.
 */
import { KeyAccess, type User } from '../../access/user.ts'
import { authorize, mayUseEveryKey } from '../../commands/acl/authorize.ts'
import { AccessContext } from '../../commands/context.ts'
import { AclCategory, CommandFlag } from '../../commands/define.ts'
import { hasKeys, keyArguments } from '../../commands/key-extraction.ts'
import type { Command, Registry } from '../../commands/registry.ts'
import { type Args, ArgsBuilder } from '../../resp/args.ts'
import {
  AccessDenied,
  DenialReason,
  GETKEYS_INVALID_ARGUMENTS,
  type ReplyError,
  SORT_BY_DENIED,
  SORT_GET_DENIED,
  wrongArity,
} from '../../resp/errors.ts'
import { CommandError, toCommandError } from '../../resp/value-sink.ts'
import { connectionNameError } from '../connection-commands.ts'
import type { CommandWords } from '../engine.ts'
import { buildArgs, wordText } from '../words.ts'
import { keySlot } from './key-slot.ts'

/** Commands, whole containers among them, that need all rights; beside those of the category @scripting. */
const FOR_UNRESTRICTED: ReadonlySet<string> = new Set([
  'cluster',
  'config',
  'debug',
  'failover',
  'function',
  'migrate',
  'module',
  'replicaof',
  'restore-asking',
  'script',
  'shutdown',
  'slaveof',
])
/** Blocking commands that do so only with this word among their arguments. */
const BLOCK_WORD = 'BLOCK'

/** A call that may be made. */
export interface CheckedCall {
  readonly words: CommandWords
  /** Name in lower case, with the subcommand behind `|`. */
  readonly fullName: string
  /** null for a command that this program does not know. */
  readonly command: Command | null
  /** The slot of its first key; null without keys, and where no slots are needed. */
  readonly slot: number | null
  /** Whether it can be made twice without harm. */
  readonly isReadOnly: boolean
  /** Whether it may wait for data. */
  readonly isBlocking: boolean
}

/** Whether keys have to be found for routing. */
export const Routing = { None: 0, BySlot: 1 } as const
export type Routing = (typeof Routing)[keyof typeof Routing]

/** Takes note of a call that a user is not allowed. */
export type NoteDenial = (user: User, denial: AccessDenied, context: AccessContext) => void

export class CallChecker {
  private readonly registry: Registry
  private readonly routing: Routing
  private readonly noteDenial: NoteDenial
  private readonly builder = new ArgsBuilder()

  constructor(registry: Registry, routing: Routing, noteDenial: NoteDenial) {
    this.registry = registry
    this.noteDenial = noteDenial
    this.routing = routing
  }

  /** Returns the error of a call that is refused. @throws TypeError for words that are no arguments */
  check(user: User, words: CommandWords, context: AccessContext = AccessContext.TopLevel): CheckedCall | CommandError {
    if (words.length === 0) throw new TypeError('Cannot call: the command is missing')
    const name = wordText(words[0]!).toLowerCase()
    const container = this.registry.byFullName(name)
    const hasSubcommands = container === null || container.subcommands !== null
    const fullName = hasSubcommands && words.length > 1 ? `${name}|${wordText(words[1]!).toLowerCase()}` : name
    const command = container?.subcommands == null ? container : this.registry.byFullName(fullName)
    const refused =
      connectionNameError(name) ??
      connectionNameError(fullName) ??
      waitError(name) ??
      this.refusal(user, name, command, words, context)
    if (refused !== null) return refused
    return {
      words,
      fullName: command?.fullName ?? fullName,
      command,
      slot: this.routing === Routing.None || command === null ? null : this.slotOf(command, words),
      isReadOnly: command !== null && (command.flags & CommandFlag.ReadOnly) !== 0,
      isBlocking: command !== null && mayBlock(command, words),
    }
  }

  /** The errors of a transaction that the user may not begin, and of one that it may not end; null where it may. */
  transactionDenied(user: User): { readonly begin: CommandError | null; readonly end: CommandError | null } {
    const denied = (name: string): CommandError | null =>
      this.refusal(user, name, this.registry.byFullName(name), [name], AccessContext.Multi)
    return { begin: denied('multi'), end: denied('exec') }
  }

  private refusal(
    user: User,
    name: string,
    command: Command | null,
    words: CommandWords,
    context: AccessContext,
  ): CommandError | null {
    const error = this.denied(user, name, command, words)
    if (error === null) return null
    if (error instanceof AccessDenied) this.noteDenial(user, error, context)
    return toCommandError(error.text)
  }

  private denied(user: User, name: string, command: Command | null, words: CommandWords): ReplyError | null {
    if (user.isUnrestricted) return null
    if (command === null) return commandDenied(user, name)
    if (!command.accepts(words.length)) return wrongArity(command.fullName)
    if (FOR_UNRESTRICTED.has(name) || (command.categories & AclCategory.Scripting) !== 0)
      return commandDenied(user, command.aclName)
    const args = buildArgs(this.builder, words)
    const refused = authorize(user, command, args)
    if (refused !== null) return refused
    // Whose keys are not found here has none for us, but may have some for the server.
    const isObscure = hasKeys(command) && keyArguments(command, args) === null
    if (isObscure && !mayUseEveryKey(user, command, args, KeyAccess.Read | KeyAccess.Write))
      return GETKEYS_INVALID_ARGUMENTS
    const hasPatterns = name === 'sort' || name === 'sort_ro'
    if (!hasPatterns || mayUseEveryKey(user, command, args, KeyAccess.Read)) return null
    return sortPatternError(args)
  }

  private slotOf(command: Command, words: CommandWords): number | null {
    if (!hasKeys(command)) return null
    const [first] = keyArguments(command, buildArgs(this.builder, words)) ?? []
    if (first === undefined) return null
    const key = words[first.index]!
    return keySlot(key instanceof Uint8Array ? key : Buffer.from(String(key)))
  }
}

/** WAIT is about the writes of the connection it is sent on. */
function waitError(name: string): CommandError | null {
  if (name !== 'wait' && name !== 'waitaof') return null
  return new CommandError(
    `ERR Command is not available over HTTP: '${name.toUpperCase()}' is about the writes of a connection`,
  )
}

/** Why somebody who may not read every key cannot use the patterns of SORT. Source: commands/generic/sort.ts `parseOptions`. */
function sortPatternError(args: Args): ReplyError | null {
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'LIMIT')) i += 2
    else if (args.is(i, 'STORE')) i++
    else if (args.is(i, 'BY') && i + 1 < args.count) {
      if (args.text(++i).includes('*')) return SORT_BY_DENIED
    } else if (args.is(i, 'GET') && i + 1 < args.count) return SORT_GET_DENIED
  }
  return null
}

function mayBlock(command: Command, words: CommandWords): boolean {
  if ((command.flags & CommandFlag.Blocking) === 0) return false
  const isOption = command.name === 'xread' || command.name === 'xreadgroup'
  return !isOption || words.some((word) => wordText(word).toUpperCase() === BLOCK_WORD)
}

function commandDenied(user: User, name: string): AccessDenied {
  return new AccessDenied(DenialReason.Command, user, name)
}
