/**
 * The rules of ACL SETUSER, of `user` lines and of ACL files: reading them, and describing a user by them.
 *
 * Rules are byte strings. A rule that cannot be applied throws a RuleError with Redis' text. The order of checks, and that
 * only the first parts of some rules are looked at, is Redis'. Source: Valkey src/acl.c `ACLSetUser`, `ACLSetSelector`,
 * `ACLMergeSelectorArguments`, `ACLDescribeUser`.
 */
import { createHash } from 'node:crypto'
import { splitQuoted } from '../bytes/quoting.ts'
import type { Release } from '../config/version.ts'
import { AllChannels, type ControlledCommand, KeyAccess, Selector } from './selector.ts'
import type { User } from './user.ts'

/** The commands and categories that rules name. */
export interface CommandCatalog {
  /** A command or subcommand (`config|get`) by its full name in lower case as it was before rename-command; null when there is none. */
  byAclName(aclName: string): ControlledCommand | null
  /** All commands, containers but not their subcommands. */
  controlled(): Iterable<ControlledCommand>
  /** Bits of a category by its name in lower case, 0 when there is none. */
  category(name: string): number
}

/** What rules are read by. */
export interface RuleContext {
  readonly catalog: CommandCatalog
  /** Whether new selectors allow all channels. */
  readonly newChannels: AllChannels
  /** 7.2 keeps the text of rules about commands that change nothing, for what later releases may add; 7.0 does not. */
  readonly release: Release
}

/** A rule that cannot be applied. */
export class RuleError extends Error {
  /** Whether it names a command or category that does not exist. */
  readonly isUnknownName: boolean

  constructor(message: string) {
    super(message)
    this.isUnknownName = message === UNKNOWN_NAME
  }
}

const UNKNOWN_NAME = 'Unknown command or category name in ACL'
const SYNTAX = 'Syntax error'
const KEYS_AFTER_ALL =
  "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
const CHANNELS_AFTER_ALL =
  "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
const NO_SUCH_PASSWORD = 'The password you are trying to remove from the user does not exist'
const BAD_HASH = 'The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters'
const FIRST_ARGUMENT_OF_SUBCOMMAND = 'Allowing first-arg of a subcommand is not supported'

const HASH = /^[0-9a-f]{64}$/
/** Whitespace of C's isspace, and NUL: what would break the line that describes a user. */
const BLANK_OR_NUL = /[ \t\n\v\f\r\0]/

/** Whether a text can stand in a line of rules. */
export function isOneWord(text: string): boolean {
  return !BLANK_OR_NUL.test(text)
}

/** Selectors may be spread over several words; makes them one each. Returns the index of the one that does not end. */
export function mergeSelectors(words: readonly string[]): string[] | number {
  const merged: string[] = []
  let open = ''
  let openedAt = -1
  for (const [i, word] of words.entries()) {
    if (openedAt < 0) {
      if (word.startsWith('(') && !word.endsWith(')')) {
        open = word
        openedAt = i
      } else merged.push(word)
      continue
    }
    open += ` ${word}`
    if (!word.endsWith(')')) continue
    merged.push(open)
    openedAt = -1
  }
  return openedAt < 0 ? merged : openedAt
}

/** Applies one rule to a user. @throws RuleError */
export function applyRule(user: User, rule: string, context: RuleContext): void {
  // A C string ends at its first NUL; passwords are compared with their length.
  const nul = rule.indexOf('\0')
  const word = (nul < 0 ? rule : rule.slice(0, nul)).toLowerCase()
  switch (word) {
    case '':
      if (rule !== '') throw new RuleError(SYNTAX)
      return
    case 'on':
      user.isEnabled = true
      return
    case 'off':
      user.isEnabled = false
      return
    case 'sanitize-payload':
    case 'skip-sanitize-payload':
      user.payloadFlag = word
      return
    case 'nopass':
      user.needsNoPassword = true
      user.passwordHashes = []
      return
    case 'resetpass':
      user.needsNoPassword = false
      user.passwordHashes = []
      return
    case 'clearselectors':
      user.selectors.length = 1
      return
    case 'reset':
      reset(user, context)
      return
  }
  switch (rule.charAt(0)) {
    case '>':
    case '#':
      addPassword(user, rule)
      return
    case '<':
    case '!':
      removePassword(user, rule)
      return
    case '(':
      if (!rule.endsWith(')')) break
      user.selectors.push(selectorOf(rule, context))
      return
  }
  applySelectorRule(user.root, rule, context)
}

/** As a user is when it is new. */
function reset(user: User, context: RuleContext): void {
  const rules = ['resetpass', 'resetkeys', 'resetchannels', 'off', 'sanitize-payload', 'clearselectors', '-@all']
  for (const rule of rules) applyRule(user, rule, context)
  user.root.allowsAllChannels = context.newChannels === AllChannels.Allowed
}

function hashOf(rule: string): string {
  if (rule.startsWith('>') || rule.startsWith('<'))
    return createHash('sha256').update(rule.slice(1), 'latin1').digest('hex')
  const hash = rule.slice(1)
  if (!HASH.test(hash)) throw new RuleError(BAD_HASH)
  return hash
}

function addPassword(user: User, rule: string): void {
  const hash = hashOf(rule)
  if (!user.passwordHashes.includes(hash)) user.passwordHashes.push(hash)
  user.needsNoPassword = false
}

function removePassword(user: User, rule: string): void {
  const at = user.passwordHashes.indexOf(hashOf(rule))
  if (at < 0) throw new RuleError(NO_SUCH_PASSWORD)
  user.passwordHashes.splice(at, 1)
}

function selectorOf(rule: string, context: RuleContext): Selector {
  const selector = new Selector(context.newChannels)
  for (const word of splitQuoted(rule.slice(1, -1)) ?? []) applySelectorRule(selector, word, context)
  return selector
}

/** A rule that is about commands, keys or channels. */
function applySelectorRule(selector: Selector, rule: string, context: RuleContext): void {
  switch (rule.toLowerCase()) {
    case 'allkeys':
    case '~*':
      selector.allowsAllKeys = true
      selector.keyPatterns = []
      return
    case 'resetkeys':
      selector.allowsAllKeys = false
      selector.keyPatterns = []
      return
    case 'allchannels':
    case '&*':
      selector.allowsAllChannels = true
      selector.channelPatterns = []
      return
    case 'resetchannels':
      selector.allowsAllChannels = false
      selector.channelPatterns = []
      return
    case 'allcommands':
    case '+@all':
      selector.startFrom('all')
      return
    case 'nocommands':
    case '-@all':
      selector.startFrom('none')
      return
  }
  const first = rule.charAt(0)
  if (first === '~' || first === '%') addKeyPattern(selector, rule)
  else if (first === '&') addChannelPattern(selector, rule)
  else if (first !== '+' && first !== '-') throw new RuleError(SYNTAX)
  else if (rule.charAt(1) === '@') setCategory(selector, rule.slice(2), first, context)
  else if (first === '+' && rule.includes('|')) allowPart(selector, rule.slice(1), context)
  else setCommand(selector, rule.slice(1), first, context)
}

function addKeyPattern(selector: Selector, rule: string): void {
  if (selector.allowsAllKeys) throw new RuleError(KEYS_AFTER_ALL)
  let access: number = KeyAccess.ReadWrite
  let at = 1
  if (rule.startsWith('%')) {
    access = 0
    for (; at < rule.length && rule.charAt(at) !== '~'; at++) {
      const letter = rule.charAt(at).toUpperCase()
      const bit = letter === 'R' ? KeyAccess.Read : letter === 'W' ? KeyAccess.Write : 0
      // A letter twice is refused like a letter that is none.
      if (bit === 0 || (access & bit) !== 0) throw new RuleError(SYNTAX)
      access |= bit
    }
    // Redis takes a pattern without access here, and cannot describe it afterwards (sdsCatPatternString panics).
    if (access === 0 || at === rule.length) throw new RuleError(SYNTAX)
    at++
  }
  const pattern = rule.slice(at)
  if (!isOneWord(pattern)) throw new RuleError(SYNTAX)
  selector.addKeyPattern(pattern, access)
}

function addChannelPattern(selector: Selector, rule: string): void {
  if (selector.allowsAllChannels) throw new RuleError(CHANNELS_AFTER_ALL)
  const pattern = rule.slice(1)
  if (!isOneWord(pattern)) throw new RuleError(SYNTAX)
  selector.addChannelPattern(pattern)
}

function setCategory(selector: Selector, name: string, verdict: '+' | '-', context: RuleContext): void {
  const { catalog, release } = context
  const bits = catalog.category(name.toLowerCase())
  if (bits === 0) throw new RuleError(UNKNOWN_NAME)
  let isChange = release !== '7.0'
  for (const container of catalog.controlled()) {
    for (const command of [container, ...(container.subcommands?.values() ?? [])])
      if ((command.categories & bits) !== 0 && selector.setCommand(command, verdict)) isChange = true
  }
  if (isChange) selector.noteCommandRule(`@${name}`, verdict)
}

function setCommand(selector: Selector, name: string, verdict: '+' | '-', { catalog, release }: RuleContext): void {
  const command = catalog.byAclName(name.toLowerCase())
  if (command === null) throw new RuleError(UNKNOWN_NAME)
  const isChange = selector.setCommand(command, verdict)
  if (isChange || release !== '7.0') selector.noteCommandRule(command.aclName, verdict)
}

/** `+config|get` allows a subcommand; `+select|0` a command with that first argument. */
function allowPart(selector: Selector, text: string, { catalog, release }: RuleContext): void {
  const bar = text.lastIndexOf('|')
  const part = text.slice(bar + 1)
  const command = catalog.byAclName(text.slice(0, bar).toLowerCase())
  if (command === null) throw new RuleError(UNKNOWN_NAME)
  if (command.container !== null) throw new RuleError(FIRST_ARGUMENT_OF_SUBCOMMAND)
  if (part === '') throw new RuleError(SYNTAX)
  let isChange: boolean
  if (command.subcommands === null) {
    // The rule must survive being written to a line and read again.
    if (!isOneWord(part)) throw new RuleError(SYNTAX)
    isChange = !selector.hasCommand(command.aclId)
    selector.allowFirstArgument(command, part)
  } else {
    const sub = catalog.byAclName(text.toLowerCase())
    if (sub === null) throw new RuleError(UNKNOWN_NAME)
    isChange = selector.setCommand(sub, '+')
  }
  if (isChange || release !== '7.0') selector.noteCommandRule(text, '+')
}

// Describing

/** The rules about commands that make this selector: `-@all +get +@list`. */
export function describeCommands(selector: Selector): string {
  return [selector.startsFromAll ? '+@all' : '-@all', ...selector.commandRules].join(' ')
}

/** Key patterns as rules, without those of `allkeys`. */
export function describeKeys(selector: Selector): string {
  if (selector.allowsAllKeys) return '~*'
  return selector.keyPatterns
    .map(({ pattern, access }) => {
      const prefix = access === KeyAccess.ReadWrite ? '~' : access === KeyAccess.Read ? '%R~' : '%W~'
      return prefix + pattern
    })
    .join(' ')
}

export function describeChannels(selector: Selector): string {
  if (selector.allowsAllChannels) return '&*'
  return selector.channelPatterns.map((pattern) => `&${pattern}`).join(' ')
}

function describeSelector(selector: Selector): string {
  const channels = selector.allowsAllChannels ? '&*' : `resetchannels ${describeChannels(selector)}`.trimEnd()
  return [describeKeys(selector), channels, describeCommands(selector)].filter((text) => text !== '').join(' ')
}

/** Names of the flags of a user, in Redis' order. */
export function userFlags(user: User): string[] {
  const flags = [user.isEnabled ? 'on' : 'off']
  if (user.needsNoPassword) flags.push('nopass')
  if (user.payloadFlag !== 'unset') flags.push(user.payloadFlag)
  return flags
}

/** The rules that make this user, as ACL LIST shows them behind its name. */
export function describeUser(user: User): string {
  const [root, ...others] = user.selectors.map(describeSelector)
  const passwords = user.passwordHashes.map((hash) => `#${hash}`)
  return [...userFlags(user), ...passwords, root, ...others.map((text) => `(${text})`)].join(' ')
}
