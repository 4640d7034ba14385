/**
 * All users. There is always one named `default`, which new connections are.
 *
 * Changes are staged: all rules are applied to a copy first, so that a wrong rule changes nothing. Who has to act when a
 * user changed or is gone listens (`onChange`): the server closes connections, the gateway looks at its subscriptions.
 * Source: Valkey src/acl.c `ACLStringSetUser`, `ACLCheckUserCredentials`.
 */
import type { Release } from '../config/version.ts'
import { applyRule, type CommandCatalog, mergeSelectors, type RuleContext, RuleError } from './rules.ts'
import { AllChannels } from './selector.ts'
import { User, unrestrictedUser } from './user.ts'

export const DEFAULT_USER = 'default'
/** How a default user is that nobody configured. */
const DEFAULT_RULES = ['+@all', '~*', '&*', 'on', 'nopass']

/** What became of a user. */
export const UserChange = {
  /** It is new or its rules are others. */
  Changed: 0,
  /** It is as the ACL file says; its connections are closed, as Redis does. */
  Reloaded: 1,
  /** Its connections and tokens must go. */
  Deleted: 2,
} as const
export type UserChange = (typeof UserChange)[keyof typeof UserChange]

export type UserListener = (user: User, change: UserChange) => void

export class Users {
  readonly default: User
  /** The program that runs the broker: may do everything, stands in no list. */
  readonly owner: User
  /** Whether new users may use all channels (`acl-pubsub-default`). */
  newChannels: AllChannels = AllChannels.Denied
  private readonly catalog: CommandCatalog
  private readonly release: Release
  private readonly byName = new Map<string, User>()
  private readonly listeners = new Set<UserListener>()
  /** Checked in place of a user that does not exist, so that the time taken does not tell. */
  private readonly nobody: User

  constructor(catalog: CommandCatalog, release: Release) {
    this.catalog = catalog
    this.release = release
    this.owner = unrestrictedUser(DEFAULT_USER)
    this.nobody = new User('', AllChannels.Denied, release)
    this.default = this.draft(null, DEFAULT_USER, DEFAULT_RULES)
    this.default.isUnrestricted = true
    this.byName.set(DEFAULT_USER, this.default)
  }

  /** The user with a name, null when there is none. */
  find(name: string): User | null {
    return this.byName.get(name) ?? null
  }

  /** The user that a name and a password stand for; null when they are wrong, or the user is switched off. */
  authenticate(name: string, password: string): User | null {
    const user = this.byName.get(name) ?? this.nobody
    const isRight = user.hasPassword(password)
    return user.isEnabled && isRight ? user : null
  }

  get count(): number {
    return this.byName.size
  }

  /** All users in the order of their names' bytes. */
  *[Symbol.iterator](): IterableIterator<User> {
    for (const name of [...this.byName.keys()].sort(byBytes)) yield this.byName.get(name)!
  }

  /** Creates or changes a user by rules; none of them takes effect when one is wrong. @throws RuleError */
  set(name: string, rules: readonly string[]): User {
    const known = this.find(name)
    const merged = mergeSelectors(rules)
    if (typeof merged === 'number')
      throw new RuleError(`Unmatched parenthesis in acl selector starting at '${rules[merged]}'.`)
    return this.replace(name, this.draft(known, name, merged), UserChange.Changed)
  }

  /** Deletes a user, which must not be the default one. Returns whether there was one. */
  delete(name: string): boolean {
    const user = this.byName.get(name)
    if (user === undefined || user === this.default) return false
    this.byName.delete(name)
    user.disable()
    this.tell(user, UserChange.Deleted)
    return true
  }

  /** Takes over a whole set of users (ACL LOAD): those that are not in it go, and a missing default user is as when new. */
  replaceAll(loaded: ReadonlyMap<string, User>): void {
    for (const name of [...this.byName.keys()]) if (!loaded.has(name)) this.delete(name)
    for (const [name, user] of loaded) this.replace(name, user, UserChange.Reloaded)
    if (loaded.has(DEFAULT_USER)) return
    this.replace(DEFAULT_USER, this.draft(null, DEFAULT_USER, DEFAULT_RULES), UserChange.Reloaded)
  }

  /** A user that is in no list: `base`, or a new one, with rules applied. @throws RuleError, naming the rule */
  draft(base: User | null, name: string, rules: readonly string[]): User {
    const user = new User(name, this.newChannels, this.release)
    if (base !== null) user.assign(base)
    for (const rule of rules) {
      try {
        this.apply(user, rule)
      } catch (error) {
        if (!(error instanceof RuleError)) throw error
        throw new RuleError(`Error in ACL SETUSER modifier '${rule}': ${error.message}`)
      }
    }
    return user
  }

  /** Applies one rule to a user that is in no list. @throws RuleError */
  apply(user: User, rule: string): void {
    const context: RuleContext = { catalog: this.catalog, newChannels: this.newChannels, release: this.release }
    applyRule(user, rule, context)
  }

  /** Has a listener told of each change; returns what ends that. */
  onChange(listener: UserListener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private replace(name: string, content: User, change: UserChange): User {
    let user = this.byName.get(name)
    if (user === undefined) {
      user = new User(name, this.newChannels, this.release)
      this.byName.set(name, user)
    }
    user.assign(content)
    this.tell(user, change)
    return user
  }

  private tell(user: User, change: UserChange): void {
    for (const listener of this.listeners) listener(user, change)
  }
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
