/**
 * Tokens of the HTTP doors: each stands for a user, or for what the user may read.
 *
 * A token is `mr_<id>_<secret>`. Only the SHA-256 of the secret is kept: who reads the file cannot use what it holds. It is
 * found by its ID, which is no secret, and then compared in constant time. The file is written with each change, to a
 * temporary file that takes the place of the old one when it is on the disk; it is made with the first token. Cold.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { systemErrorText } from '../config/system-error.ts'
import { type Files, SYSTEM_FILES } from '../files/files.ts'
import { NotDurableError, replaceFile } from '../files/replace-file.ts'

/** Tokens of one process, all users together. */
export const TOKENS_MAX = 10_000
const SECRET_BYTES = 32
const ID_BYTES = 8
const TOKEN = /^mr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/
const HASH = /^[0-9a-f]{64}$/
const FILE_VERSION = 1
/** Only the owner of the process may read it. */
const FILE_MODE = 0o600

export interface Token {
  readonly id: string
  readonly userName: string
  /** What it is for, '' when nobody said. */
  readonly name: string
  readonly isReadOnly: boolean
  readonly createdMs: number
  /** When it ends, in ms since 1970; null: never. */
  readonly expiresMs: number | null
}

interface StoredToken extends Token {
  /** SHA-256 of the secret, in hexadecimal digits. */
  readonly hash: string
}

/** The file of tokens cannot be read or written. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError'
}

/** There are as many tokens as may be. */
export class TooManyTokensError extends Error {
  override readonly name = 'TooManyTokensError'

  constructor() {
    super(`Cannot issue a token: there are ${TOKENS_MAX} already, revoke some first`)
  }
}

export interface TokenOptions {
  /** What it is for; shown in lists. */
  readonly name: string
  /** When it ends, in ms since 1970; null: never. */
  readonly expiresMs: number | null
  readonly isReadOnly: boolean
}

export class Tokens {
  private readonly path: string | null
  private readonly prepareDirectory: () => void
  private readonly files: Files
  private readonly byId = new Map<string, StoredToken>()

  /**
   * @param path the file to keep tokens in; null: in memory only
   * @param prepareDirectory called before it is written
   * @param files the file operations, replaced in tests
   * @throws TokenFileError when what the file holds is no list of tokens
   */
  constructor(path: string | null, prepareDirectory: () => void = () => {}, files: Files = SYSTEM_FILES) {
    this.path = path
    this.prepareDirectory = prepareDirectory
    this.files = files
    if (path !== null) for (const token of readTokens(path)) this.byId.set(token.id, token)
  }

  get count(): number {
    return this.byId.size
  }

  /** Issues a token; its text is told this once. @throws TooManyTokensError, TokenFileError (nothing is issued then) */
  issue(userName: string, options: TokenOptions, nowMs: number): { readonly id: string; readonly token: string } {
    if (this.byId.size >= TOKENS_MAX) this.removeExpired(nowMs)
    if (this.byId.size >= TOKENS_MAX) throw new TooManyTokensError()
    const id = randomBytes(ID_BYTES).toString('hex')
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const { name, expiresMs, isReadOnly } = options
    const token = { id, userName, name, isReadOnly, createdMs: nowMs, expiresMs, hash: hashOf(secret) }
    this.byId.set(id, token)
    this.save(() => this.byId.delete(id))
    return { id, token: `mr_${id}_${secret}` }
  }

  /** What a token stands for; null when it is none, was revoked, or its time is over. */
  verify(token: string, nowMs: number): Token | null {
    const match = TOKEN.exec(token)
    const stored = match === null ? undefined : this.byId.get(match[1]!)
    if (match === null || stored === undefined) return null
    const isRight = timingSafeEqual(Buffer.from(hashOf(match[2]!), 'hex'), Buffer.from(stored.hash, 'hex'))
    if (!isRight || (stored.expiresMs !== null && stored.expiresMs <= nowMs)) return null
    return withoutHash(stored)
  }

  /** Tokens of a user, or all (null), oldest first. Those whose time is over are among them until they are removed. */
  list(userName: string | null): Token[] {
    const tokens = [...this.byId.values()].filter((token) => userName === null || token.userName === userName)
    return tokens.map(withoutHash)
  }

  /** Ends a token. Returns whether there was one. @throws TokenFileError: it is still good, or may be after a power cut */
  revoke(id: string): boolean {
    const token = this.byId.get(id)
    if (token === undefined) return false
    this.byId.delete(id)
    this.save(() => this.byId.set(id, token))
    return true
  }

  /** Ends all tokens of a user. Returns how many. @throws TokenFileError: they are ended in this process, not in the file */
  revokeUser(userName: string): number {
    const ids = [...this.byId.values()].filter((token) => token.userName === userName).map(({ id }) => id)
    for (const id of ids) this.byId.delete(id)
    if (ids.length > 0) this.save()
    return ids.length
  }

  private removeExpired(nowMs: number): void {
    for (const [id, { expiresMs }] of this.byId) if (expiresMs !== null && expiresMs <= nowMs) this.byId.delete(id)
  }

  /** Writes the file. `undo` takes the change of the list back when the file has kept its old content. */
  private save(undo: () => void = () => {}): void {
    if (this.path === null) return
    const text = `${JSON.stringify({ version: FILE_VERSION, tokens: [...this.byId.values()] }, null, 1)}\n`
    try {
      this.prepareDirectory()
      replaceFile(this.path, Buffer.from(text, 'utf8'), { mode: FILE_MODE, files: this.files })
    } catch (error) {
      if (!(error instanceof NotDurableError)) undo()
      const reason = error instanceof NotDurableError ? error.message : systemErrorText(error)
      throw new TokenFileError(`Cannot write tokens to ${this.path}: ${reason}`)
    }
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

function withoutHash(token: StoredToken): Token {
  const { id, userName, name, isReadOnly, createdMs, expiresMs } = token
  return { id, userName, name, isReadOnly, createdMs, expiresMs }
}

function readTokens(path: string): StoredToken[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new TokenFileError(`Cannot read tokens from ${path}: ${systemErrorText(error)}`)
  }
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    throw new TokenFileError(`Cannot read tokens from ${path}: it is no JSON`)
  }
  const tokens = tokensOf(content)
  if (tokens === null) throw new TokenFileError(`Cannot read tokens from ${path}: it is no list of tokens`)
  return tokens
}

function tokensOf(content: unknown): StoredToken[] | null {
  if (typeof content !== 'object' || content === null) return null
  if (!('version' in content) || content.version !== FILE_VERSION) return null
  if (!('tokens' in content) || !Array.isArray(content.tokens)) return null
  const list: unknown[] = content.tokens
  return list.length <= TOKENS_MAX && list.every(isStoredToken) ? list : null
}

function isStoredToken(value: unknown): value is StoredToken {
  if (typeof value !== 'object' || value === null) return false
  const token = value as Partial<Record<keyof StoredToken, unknown>>
  return (
    typeof token.id === 'string' &&
    typeof token.userName === 'string' &&
    typeof token.name === 'string' &&
    typeof token.isReadOnly === 'boolean' &&
    typeof token.createdMs === 'number' &&
    (token.expiresMs === null || typeof token.expiresMs === 'number') &&
    typeof token.hash === 'string' &&
    HASH.test(token.hash)
  )
}
