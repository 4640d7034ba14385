/**
 * A user: who may log in with which passwords, and what it may do.
 *
 * Sessions hold the user itself; when its rules change its content is replaced (`assign`), so they follow at once.
 * `isUnrestricted` is what the hot path looks at: one field, and nothing else is asked of such a user.
 * Source: Valkey src/acl.c `user`, `ACLUserCheckKeyPerm`, `ACLUserCheckChannelPerm`.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Release } from '../config/version.ts'
import { AllChannels, KeyAccess, Selector } from './selector.ts'

export { KeyAccess } from './selector.ts'

export class User {
  /** A byte string: one char is one byte. */
  readonly name: string
  /** Whose rules and words are used for this user. */
  readonly release: Release
  /** Whether one can log in as this user: it is switched on, and was not deleted. Sessions that it has go on. */
  isEnabled: boolean = false
  /** Any password does. */
  needsNoPassword: boolean = false
  /** How payloads of RESTORE are to be checked. Kept to be shown: they are always checked in full. */
  payloadFlag: PayloadFlag
  /** May run all commands, with all keys and channels. */
  isUnrestricted: boolean = false
  /** Whether this is what a token for reading makes of a user (`readOnlyUser`). */
  readonly isReadOnly: boolean
  /** SHA-256 of the passwords, in hexadecimal digits. */
  passwordHashes: string[] = []
  /** The first is the root selector, which rules outside of parentheses are about. */
  selectors: Selector[]
  private readOnlyView: User | null = null

  constructor(name: string, allowsAllChannels: AllChannels, release: Release, mode: UserMode = UserMode.Full) {
    this.name = name
    this.release = release
    this.payloadFlag = release === '7.0' ? 'unset' : 'sanitize-payload'
    this.isReadOnly = mode === UserMode.ReadOnly
    this.selectors = [new Selector(allowsAllChannels)]
  }

  get root(): Selector {
    return this.selectors[0]!
  }

  /** Takes over all but the name of another user. */
  assign(source: User): void {
    this.isEnabled = source.isEnabled
    this.needsNoPassword = source.needsNoPassword
    this.payloadFlag = source.payloadFlag
    this.passwordHashes = [...source.passwordHashes]
    this.selectors = source.selectors.map((selector) => selector.copy())
    this.isUnrestricted = !this.isReadOnly && this.root.allowsEverything
    this.readOnlyView?.assign(this)
  }

  /** Nobody logs in as this user any more. */
  disable(): void {
    this.isEnabled = false
    this.readOnlyView?.disable()
  }

  /** Whether a password is one of the user's. Takes as long for each. */
  hasPassword(password: string): boolean {
    const given = createHash('sha256').update(password, 'latin1').digest()
    let isFound = false
    for (const hash of this.passwordHashes) {
      if (timingSafeEqual(given, Buffer.from(hash, 'hex'))) isFound = true
    }
    return isFound || this.needsNoPassword
  }

  mayReadKey(key: string): boolean {
    return this.isUnrestricted || this.selectors.some((selector) => selector.allowsKey(key, KeyAccess.Read))
  }

  mayWriteKey(key: string): boolean {
    if (this.isReadOnly) return false
    return this.isUnrestricted || this.selectors.some((selector) => selector.allowsKey(key, KeyAccess.Write))
  }

  /** Whether all keys that start with `prefix` are allowed; false also when that is too hard to tell (`Selector.coversPrefix`). */
  coversPrefix(prefix: string, access: KeyAccess): boolean {
    if (this.isReadOnly && access !== KeyAccess.Read) return false
    return this.isUnrestricted || this.selectors.some((selector) => selector.coversPrefix(prefix, access))
  }

  /** Whether a channel may be subscribed to, or (unless read-only) published to. */
  mayUseChannel(channel: string): boolean {
    return this.isUnrestricted || this.selectors.some((selector) => selector.allowsChannel(channel))
  }

  /** Whether a pattern may be subscribed to: it is allowed word for word, or all channels are. */
  mayUsePattern(pattern: string): boolean {
    return this.isUnrestricted || this.selectors.some((selector) => selector.allowsPattern(pattern))
  }

  /** The one read-only view of this user; made when it is first asked for. */
  asReadOnly(): User {
    if (this.isReadOnly) return this
    if (this.readOnlyView === null) {
      this.readOnlyView = new User(this.name, AllChannels.Denied, this.release, UserMode.ReadOnly)
      this.readOnlyView.assign(this)
    }
    return this.readOnlyView
  }
}

/** How much of a user's rights an object stands for. */
export const UserMode = { Full: 0, ReadOnly: 1 } as const
export type UserMode = (typeof UserMode)[keyof typeof UserMode]

/** As Redis 7.0 has it, a new user has neither flag until one is given; since 7.2 it starts with the first. */
export type PayloadFlag = 'sanitize-payload' | 'skip-sanitize-payload' | 'unset'

/**
 * A user as a token for reading sees it: may do what the user may, but for writing, publishing, scripts, administration,
 * what is dangerous, and logging in as somebody else (commands/acl/authorize.ts). Follows changes of the user.
 */
export function readOnlyUser(user: User): User {
  return user.asReadOnly()
}

/** A user that may do everything, for what the process itself runs. It stands in no list. */
export function unrestrictedUser(name: string): User {
  // Nothing is ever denied or shown of it.
  const user = new User(name, AllChannels.Allowed, '7.2')
  user.isEnabled = true
  user.needsNoPassword = true
  user.root.startFrom('all')
  user.root.allowsAllKeys = true
  user.isUnrestricted = true
  return user
}
