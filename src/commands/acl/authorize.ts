/**
 * Whether a user may make a call: command, keys and channels. Warm: asked for each call of a user who may not do
 * everything. Needs no server, so that other doors than RESP can ask before they run anything.
 *
 * One selector has to allow all of a call. When none does, the error is the one that came furthest: a denied channel
 * before a denied key before a denied command. Source: Valkey src/acl.c `ACLSelectorCheckCmd`,
 * `ACLCheckAllUserCommandPerm`.
 */
import type { Selector } from '../../access/selector.ts'
import type { User } from '../../access/user.ts'
import type { Args } from '../../resp/args.ts'
import { AccessDenied, DenialReason } from '../../resp/errors.ts'
import { AclCategory, type ChannelArguments, CommandFlag, keyAccess } from '../define.ts'
import { hasKeys, type KeyArgument, keyArguments } from '../key-extraction.ts'
import type { Command } from '../registry.ts'

/** What a read-only user may not do, whatever its selectors say. Logging in as somebody else would end the restriction. */
const READ_ONLY_DENIED_FLAGS = CommandFlag.Write | CommandFlag.MayReplicate | CommandFlag.Admin | CommandFlag.NoAuth
const READ_ONLY_DENIED_CATEGORIES =
  AclCategory.Write | AclCategory.Admin | AclCategory.Dangerous | AclCategory.Scripting

/** Why a selector does not allow a call; `at` is the argument, 0 for the command. */
interface Refusal {
  readonly reason: DenialReason
  readonly at: number
}

const COMMAND_REFUSED: Refusal = { reason: DenialReason.Command, at: 0 }

/** The error of a call that a user is not allowed, null when it is. */
export function authorize(user: User, command: Command, args: Args): AccessDenied | null {
  if (user.isUnrestricted) return null
  if (user.isReadOnly && !isForReadOnly(command)) return denied(user, command, args, COMMAND_REFUSED)
  let worst = COMMAND_REFUSED
  // Keys are looked for once, whatever the number of selectors.
  let keys: KeyArgument[] | null = null
  for (const selector of user.selectors) {
    if (keys === null && command.soleKey === 0 && !selector.allowsAllKeys && hasKeys(command))
      keys = keyArguments(command, args) ?? []
    const refusal = refusalOf(selector, command, args, keys ?? NO_KEYS)
    if (refusal === null) return null
    if (refusal.reason > worst.reason || (refusal.reason === worst.reason && refusal.at > worst.at)) worst = refusal
  }
  return denied(user, command, args, worst)
}

/** Whether one selector allows the call and every key besides, with all of `access` (bits of KeyAccess): SORT BY and GET. */
export function mayUseEveryKey(user: User, command: Command, args: Args, access: number): boolean {
  if (user.isUnrestricted) return true
  const keys = command.soleKey === 0 && hasKeys(command) ? (keyArguments(command, args) ?? NO_KEYS) : NO_KEYS
  return user.selectors.some(
    (selector) => selector.allowsEveryKey(access) && refusalOf(selector, command, args, keys) === null,
  )
}

const NO_KEYS: readonly KeyArgument[] = []

function denied(user: User, command: Command, args: Args, refusal: Refusal): AccessDenied {
  const { reason, at } = refusal
  return new AccessDenied(reason, user, reason === DenialReason.Command ? command.aclName : args.text(at))
}

function isForReadOnly(command: Command): boolean {
  return (
    (command.flags & READ_ONLY_DENIED_FLAGS) === 0 &&
    (command.categories & READ_ONLY_DENIED_CATEGORIES) === 0 &&
    command.name !== 'scan'
  )
}

/** `keys` are those of a command that has not one sole key. */
function refusalOf(selector: Selector, command: Command, args: Args, keys: readonly KeyArgument[]): Refusal | null {
  if (!allowsCommand(selector, command, args)) return COMMAND_REFUSED
  if (!selector.allowsAllKeys) {
    const { soleKey } = command
    if (soleKey > 0 && soleKey < args.count && !selector.allowsKey(args.text(soleKey), command.soleKeyAccess))
      return { reason: DenialReason.Key, at: soleKey }
    for (const { index, flags } of keys) {
      if (!selector.allowsKey(args.text(index), keyAccess(flags))) return { reason: DenialReason.Key, at: index }
    }
  }
  const { channels } = command
  if (channels === null || selector.allowsAllChannels) return null
  return channelRefusal(selector, args, channels)
}

/** Commands that need no login need no permission either. */
function allowsCommand(selector: Selector, command: Command, args: Args): boolean {
  if (selector.allowsAllCommands || (command.flags & CommandFlag.NoAuth) !== 0) return true
  if (selector.hasCommand(command.aclId)) return true
  const firstArguments = selector.firstArgumentsOf(command.aclId)
  return firstArguments !== null && args.count > 1 && firstArguments.includes(args.text(1).toLowerCase())
}

function channelRefusal(selector: Selector, args: Args, channels: ChannelArguments): Refusal | null {
  const end = channels.which === 'first' ? Math.min(2, args.count) : args.count
  for (let i = 1; i < end; i++) {
    const name = args.text(i)
    const isAllowed = channels.arePatterns ? selector.allowsPattern(name) : selector.allowsChannel(name)
    if (!isAllowed) return { reason: DenialReason.Channel, at: i }
  }
  return null
}
