/**
 * The settings of a running server: typed access, CONFIG GET, CONFIG SET with rollback, CONFIG REWRITE.
 *
 * Values are looked up by name on each call: fine for a command, too slow for the hottest paths, which keep a copy
 * and hear of changes through `onChange`. A listener may refuse a new value (a port that is taken); then the whole
 * CONFIG SET is undone and the listeners that had accepted hear the old values.
 *
 * Texts (`text`, `list`, CONFIG GET) are byte strings. Replies carry their error code (`ERR …`).
 * Source: Valkey src/config.c `configSetCommand`, `configGetCommand`, `configRewriteCommand`.
 */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { GlobCase, globMatch, isGlob } from '../bytes/glob.ts'
import { splitQuoted } from '../bytes/quoting.ts'
import { SYSTEM_FILES } from '../files/files.ts'
import { type ConfigLine, fatalConfigError } from './config-error.ts'
import { rewriteConfigFile } from './config-rewrite.ts'
import { DirectiveFlag, EffectKind, type ParseContext, ValueError } from './directive.ts'
import {
  type DirectiveEntry,
  type DirectiveName,
  directiveEntries,
  directives,
  findDirective,
  type NameFor,
  type ValueOf,
} from './directives.ts'
import { decodePath } from './path-text.ts'
import { systemErrorText } from './system-error.ts'

/** What CONFIG SET must know about the caller. */
export interface SetContext {
  /** True if the client is on this machine (loopback or Unix socket). */
  readonly isLocalClient: boolean
  /** True while the data is loading. */
  readonly isLoading: boolean
}

/** A `rename-command` line; an empty new name removes the command. */
export interface RenamedCommand {
  readonly from: string
  readonly to: string
  /** For `fatalConfigError`, if the command table refuses it. */
  readonly line: ConfigLine
}

/** A `user` line; the rules are checked where commands are known. */
export interface UserLine {
  readonly name: string
  readonly rules: readonly string[]
  /** For `fatalConfigError`. */
  readonly line: ConfigLine
}

/** Which directives CONFIG REWRITE writes. */
export const RewriteScope = { Needed: 0, All: 1 } as const
export type RewriteScope = (typeof RewriteScope)[keyof typeof RewriteScope]

/** Hears of a new value; returns `null` to accept it or the reason to refuse it. */
export type ChangeListener<V> = (value: V, previous: V) => string | null

type AnyListener = (value: unknown, previous: unknown) => string | null

interface Change {
  readonly entry: DirectiveEntry
  readonly previous: unknown
}

const FROM_COMMAND: ParseContext = { isLoading: false, isFirst: false }
const LOADING_REPLY = 'LOADING Redis is loading the dataset in memory'
const NO_CONFIG_FILE_REPLY = 'ERR The server is running without a config file'

function unknownOption(name: string): string {
  return `ERR Unknown option or number of arguments for CONFIG SET - '${oneLine(name)}'`
}

function setFailed(name: string, reason: string): string {
  const detail = reason === '' ? '' : ` - ${reason}`
  return `ERR CONFIG SET failed (possibly related to argument '${oneLine(name)}')${detail}`
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]/g, ' ')
}

/** All settings of one server. Made by `loadConfig` (files, command line) or `configFromOptions` (library). */
export class Config {
  /** Absolute path of the file that CONFIG REWRITE writes; `null` without one. */
  readonly configFile: string | null
  readonly #values = new Map<DirectiveName, unknown>()
  /** The last line that set a directive, for errors that show only once all is read. */
  readonly #lines = new Map<DirectiveName, ConfigLine>()
  readonly #listeners = new Map<DirectiveName, AnyListener[]>()
  readonly #renamedCommands: RenamedCommand[] = []
  readonly #users: UserLine[] = []
  #warn: (text: string) => void = () => {}

  constructor(configFile: string | null) {
    this.configFile = configFile
    for (const { name, directive } of directiveEntries) this.#values.set(name, directive.initial)
  }

  /** The value of a directive, in its own type. */
  value<Name extends DirectiveName>(name: Name): ValueOf<Name> {
    return this.#values.get(name) as ValueOf<Name>
  }

  /** The value of an integer, memory or octal directive, in the unit that docs/CONFIGURATION.md names. */
  number(name: NameFor<number>): number {
    return this.value(name)
  }

  bool(name: NameFor<boolean>): boolean {
    return this.value(name)
  }

  /** The value of a string directive, or the chosen name of an enumeration. Empty if not set. */
  text<Name extends NameFor<string>>(name: Name): ValueOf<Name> {
    return this.value(name)
  }

  list(name: NameFor<readonly string[]>): readonly string[] {
    return this.value(name)
  }

  /** Whether a file, the command line or an option has set a directive, be it to its default. */
  isGiven(name: DirectiveName): boolean {
    return this.#lines.has(name)
  }

  /** The directory of all files as an absolute path for node:fs; relative paths in settings count from here. */
  get directory(): string {
    return resolve(decodePath(this.text('dir')))
  }

  /** A path from a setting as an absolute one for node:fs; relative paths count from `dir`. */
  resolvePath(path: string): string {
    return resolve(this.directory, decodePath(path))
  }

  /** Creates the default directory. Any other must exist already, so that a typing mistake does not lose the data. */
  createDefaultDirectory(): void {
    if (this.text('dir') !== directives.dir.initial) return
    const created = mkdirSync(this.directory, { recursive: true })
    // Without its name nothing in it would outlive a power cut.
    if (created !== undefined) SYSTEM_FILES.syncDirectory(dirname(created))
  }

  /** The `rename-command` lines in their order; the command table checks and applies them. */
  get renamedCommands(): readonly RenamedCommand[] {
    return this.#renamedCommands
  }

  renameCommand(renamed: RenamedCommand): void {
    this.#renamedCommands.push(renamed)
  }

  /** The `user` lines in their order. */
  get users(): readonly UserLine[] {
    return this.#users
  }

  /** Takes over a `user` line. @throws ConfigError for a user that has one already */
  addUser(user: UserLine): void {
    if (this.#users.some(({ name }) => name === user.name)) {
      const problem = 'Duplicate user found. A user can only be defined once in config files'
      throw fatalConfigError(user.line, `Error in user declaration '${user.name}': ${problem}`)
    }
    this.#users.push(user)
  }

  /** True if values for this name (or alias) must not be logged. False for unknown names. */
  isSensitive(name: string): boolean {
    return hasFlag(findDirective(name), DirectiveFlag.Sensitive)
  }

  /** Sets who is told about accepted settings that have no effect yet. */
  onWarning(warn: (text: string) => void): void {
    this.#warn = warn
  }

  /** Takes over what a command has decided, as REPLICAOF does: nobody is told, CONFIG GET and REWRITE know it. */
  adopt<Name extends DirectiveName>(name: Name, value: ValueOf<Name>): void {
    this.#values.set(name, value)
  }

  /** Calls `listener` for every new value that CONFIG SET gives to a directive, in the order of registration. */
  onChange<Name extends DirectiveName>(name: Name, listener: ChangeListener<ValueOf<Name>>): void {
    const listeners = this.#listeners.get(name) ?? []
    listeners.push((value, previous) => listener(value as ValueOf<Name>, previous as ValueOf<Name>))
    this.#listeners.set(name, listeners)
  }

  /**
   * Takes over a line of a file, of stdin or of the command line. Throws `ConfigError`.
   * `words` are those behind the name.
   */
  load(entry: DirectiveEntry, words: readonly string[], line: ConfigLine): void {
    const { name, directive } = entry
    const isMultiArg = hasFlag(entry, DirectiveFlag.MultiArg)
    if (!isMultiArg && words.length !== 1) throw fatalConfigError(line, 'wrong number of arguments')
    // A single word with blanks in it stands for several, so that `--save "900 1"` works.
    const [only = ''] = words
    const split = isMultiArg && words.length === 1 && only !== '' ? (splitQuoted(only) ?? []) : words
    const context = { isLoading: true, isFirst: !this.#lines.has(name) }
    try {
      this.#values.set(name, directive.parse(split, this.#values.get(name), context))
    } catch (error) {
      if (error instanceof ValueError) throw fatalConfigError(line, error.reason)
      throw error
    }
    this.#lines.set(name, line)
  }

  /**
   * Checks the loaded settings against what this version can do. Throws `ConfigError` for those that nobody may
   * believe to work; returns a text to log for each of the others.
   */
  checkEffects(): string[] {
    const warnings: string[] = []
    for (const entry of directiveEntries) {
      if (entry.entryName !== entry.name) continue
      const reason = this.#missingFeature(entry)
      if (reason === null) continue
      if (entry.directive.effect.isFatal) throw fatalConfigError(this.#lines.get(entry.name) ?? null, reason)
      warnings.push(reason)
    }
    return warnings
  }

  /** Why the value of a directive asks for more than there is; `null` if it does not. */
  #missingFeature({ name, directive }: DirectiveEntry): string | null {
    if (directive.effect.kind !== EffectKind.Later) return null
    const text = directive.format(this.#values.get(name))
    if (text === directive.format(directive.initial) || directive.neutral.includes(text)) return null
    return `This version does not support '${name}' other than by default: ${directive.effect.reason}`
  }

  /**
   * The names and values that CONFIG GET replies: for each name or glob in turn, without repetition. Exact names are
   * given back as they were written; only they find hidden directives.
   */
  get(patterns: readonly string[]): [name: string, value: string][] {
    const matches = new Map<string, [string, string]>()
    for (const pattern of patterns) {
      const found = isGlob(pattern) ? findByGlob(pattern) : findDirective(pattern)
      if (found === null) continue
      for (const entry of Array.isArray(found) ? found : [found]) {
        if (matches.has(entry.entryName)) continue
        const shownName = Array.isArray(found) ? entry.entryName : pattern
        matches.set(entry.entryName, [shownName, entry.directive.format(this.#values.get(entry.name))])
      }
    }
    return [...matches.values()]
  }

  /** CONFIG SET: all pairs or none. Returns `null`, or the error reply. */
  set(pairs: readonly (readonly [name: string, value: string])[], context: SetContext): string | null {
    const entries: DirectiveEntry[] = []
    for (const [name, value] of pairs) {
      const entry = findDirective(name)
      if (entry === null) return unknownOption(name)
      const refusal = this.#refuse(entry, value, entries, context)
      if (refusal === LOADING_REPLY) return refusal
      if (refusal !== null) return setFailed(name, refusal)
      entries.push(entry)
    }

    const changes: Change[] = []
    for (const [i, entry] of entries.entries()) {
      const value = pairs[i]?.[1] ?? ''
      changes.push({ entry, previous: this.#values.get(entry.name) })
      const refusal = this.#assign(entry, value)
      if (refusal !== null) {
        this.#restore(changes)
        return setFailed(entry.entryName, refusal)
      }
    }
    return this.#announce(changes)
  }

  /** Why CONFIG SET may not touch a directive; `null` if it may. */
  #refuse(
    entry: DirectiveEntry,
    value: string,
    earlier: readonly DirectiveEntry[],
    context: SetContext,
  ): string | null {
    const isSame = hasFlag(entry, DirectiveFlag.Own) && value === entry.directive.format(this.#values.get(entry.name))
    if (hasFlag(entry, DirectiveFlag.Immutable) && !isSame) return "can't set immutable config"
    if (hasFlag(entry, DirectiveFlag.Protected) && !this.#allowsProtected(context)) return "can't set protected config"
    if (context.isLoading && hasFlag(entry, DirectiveFlag.DenyLoading)) return LOADING_REPLY
    return earlier.includes(entry) ? 'duplicate parameter' : null
  }

  #allowsProtected(context: SetContext): boolean {
    const mode = this.text('enable-protected-configs')
    return mode === 'yes' || (mode === 'local' && context.isLocalClient)
  }

  /** Parses and stores a value; returns the reason if it is refused. */
  #assign(entry: DirectiveEntry, text: string): string | null {
    const { name, directive } = entry
    // Unlike in files, words are separated by single spaces and quotes mean nothing.
    const words = !hasFlag(entry, DirectiveFlag.MultiArg) ? [text] : text === '' ? [] : text.split(' ')
    try {
      this.#values.set(name, directive.parse(words, this.#values.get(name), FROM_COMMAND))
    } catch (error) {
      if (error instanceof ValueError) return error.reason
      throw error
    }
    return directive.effect.isFatal ? this.#missingFeature(entry) : null
  }

  #restore(changes: readonly Change[]): void {
    for (let i = changes.length - 1; i >= 0; i--) {
      const change = changes[i]
      if (change !== undefined) this.#values.set(change.entry.name, change.previous)
    }
  }

  /** Tells the listeners; undoes all changes if one refuses, and returns the error reply. */
  #announce(changes: readonly Change[]): string | null {
    const changed = changes.filter(({ entry, previous }) => this.#hasChanged(entry, previous))
    for (const [i, { entry, previous }] of changed.entries()) {
      const refusal = this.#tell(entry.name, previous)
      if (refusal === null) continue
      const refused = changed.slice(0, i + 1).map((change) => ({ change, value: this.#values.get(change.entry.name) }))
      this.#restore(changes)
      for (const { change, value } of refused) {
        const failure = this.#tell(change.entry.name, value)
        if (failure !== null) this.#warn(`Cannot restore '${change.entry.name}' after a failed CONFIG SET: ${failure}`)
      }
      return setFailed(entry.entryName, refusal)
    }
    for (const { entry } of changed) {
      const reason = this.#missingFeature(entry)
      if (reason !== null) this.#warn(reason)
    }
    return null
  }

  #hasChanged({ name, directive }: DirectiveEntry, previous: unknown): boolean {
    const value = this.#values.get(name)
    // Numbers are compared as such: the text of notify-keyspace-events does not show all of its bits.
    if (typeof value === 'number') return value !== previous
    return directive.format(value) !== directive.format(previous)
  }

  #tell(name: DirectiveName, previous: unknown): string | null {
    for (const listener of this.#listeners.get(name) ?? []) {
      const refusal = listener(this.#values.get(name), previous)
      if (refusal !== null) return refusal
    }
    return null
  }

  /**
   * CONFIG REWRITE: writes the settings into the file they came from. Returns `null`, or the error reply.
   *
   * @param userLines what `user` lines say now, without the word
   * @param scope whether directives are written that have their default and no line in the file
   */
  rewrite(userLines: readonly string[], scope: RewriteScope = RewriteScope.Needed): string | null {
    if (this.configFile === null) return NO_CONFIG_FILE_REPLY
    const options = directiveEntries
      .filter((entry) => entry.entryName === entry.name)
      // Written down it would count as wished for, and another server at the default port would end the next start.
      .filter(({ name }) => name !== 'http-port' || this.isGiven(name))
      .map(({ name, directive }) => {
        const lines = directive.rewrite(this.#values.get(name))
        return { name, lines: scope === RewriteScope.All ? lines.map(({ text }) => ({ text, isForced: true })) : lines }
      })
    const users = { name: 'user', lines: userLines.map((text) => ({ text, isForced: true })) }
    try {
      rewriteConfigFile(this.configFile, [...options, users])
      return null
    } catch (error) {
      return `ERR Rewriting config file: ${systemErrorText(error)}`
    }
  }
}

function hasFlag(entry: DirectiveEntry | null, flag: number): boolean {
  return entry !== null && (entry.directive.flags & flag) !== 0
}

function findByGlob(pattern: string): DirectiveEntry[] {
  return directiveEntries.filter(
    (entry) => !hasFlag(entry, DirectiveFlag.Hidden) && globMatch(pattern, entry.entryName, GlobCase.Ignore),
  )
}

/** Settings for a server inside a program, as in a file: `{ port: 0, save: '', appendonly: 'no' }`. */
export type ConfigOptions = { readonly [Name in DirectiveName]?: string | number | boolean }

/** Makes the settings of a server without a file. Throws `ConfigError`. `checkEffects` is left to the caller. */
export function configFromOptions(options: ConfigOptions): Config {
  const config = new Config(null)
  for (const [i, [name, value]] of Object.entries(options).entries()) {
    const text = typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
    const line = { number: i + 1, text: `${name} ${text}` }
    const entry = findDirective(name)
    if (entry === null) throw fatalConfigError(line, 'Bad directive or wrong number of arguments')
    config.load(entry, [Buffer.from(text).toString('latin1')], line)
  }
  return config
}
