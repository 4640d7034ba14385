/**
 * Who makes a request: its ACL user.
 *
 * Credentials, in this order: `Authorization: Bearer` (a token of ours; a JWT when those are configured; the default user's
 * password), `Authorization: Basic` (user and password), the query parameter `_token` and the WebSocket subprotocol
 * `bearer.<token>`, which mean the same as Bearer. Without any, the default user, if it needs no password.
 *
 * While the default user needs no password, any web page that runs in a browser on this machine could talk to us. So a
 * request that proves nothing is refused when it comes from a page of another origin (`Origin`, `Sec-Fetch-Site`). In
 * protected mode it must also come from this machine, not through a proxy for somebody else, and be addressed to a name
 * that is this machine's (`Host`: DNS rebinding).
 *
 * Browsers remember passwords (Basic) and send them along with whatever any page asks. So the same holds for them, and more:
 * the origin of the page must be listed by its name, `*` is not enough. A link to the dashboard of queues may be followed.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { readOnlyUser, type User } from '../access/user.ts'
import type { Engine } from './engine.ts'
import { Problem } from './problem.ts'
import type { GatewaySettings } from './settings.ts'

const DEFAULT_USER = 'default'
const INVALID_TOKEN = 'WRONGPASS invalid or missing auth token'
/** What tokens of ours begin with (access/tokens.ts): they are checked as nothing else. */
const TOKEN_PREFIX = 'mr_'
const SUBPROTOCOL_PREFIX = 'bearer.'
/** Credentials longer than this are refused unread, in chars. */
const CREDENTIALS_MAX = 8192
const LOOPBACK_ADDRESS = /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/
const IP_HOST = /^(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])$/i

/** Pages that only show something (operations/queue-board.ts). */
const DASHBOARD = /^\/queues(?:[/?]|$)/

/** Headers in which proxies name the client. */
const FORWARDED_FOR = 'x-forwarded-for'

/** Checks a JWT. Resolves to the name of a user (text). @throws Problem 401; 503 when keys cannot be fetched */
export type JwtVerifier = (token: string) => Promise<string>

/** What is looked at of a request. */
export interface RequestSource {
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}

export interface Identity {
  readonly user: User
  /** Whose budget of requests counts: that of a token or user; null: that of the address. */
  readonly budget: string | null
}

/** How a request says who makes it. */
const Credentials = { None: 0, Bearer: 1, Basic: 2 } as const
type Credentials = (typeof Credentials)[keyof typeof Credentials]

interface GivenCredentials {
  readonly kind: Credentials
  /** A byte string. */
  readonly text: string
}

const NO_CREDENTIALS: GivenCredentials = { kind: Credentials.None, text: '' }

export class Identities {
  private readonly engine: Engine
  private readonly settings: GatewaySettings
  private readonly jwt: JwtVerifier | null
  private readonly onDenied: (userName: string) => void

  /**
   * @param jwt null: JWTs are not accepted
   * @param onDenied told of each time when credentials were wrong, with the user's name if it was given, else ''
   */
  constructor(
    engine: Engine,
    settings: GatewaySettings,
    jwt: JwtVerifier | null,
    onDenied: (userName: string) => void = () => {},
  ) {
    this.engine = engine
    this.settings = settings
    this.jwt = jwt
    this.onDenied = onDenied
  }

  /** The user of a request. Synchronous but for JWTs. @throws Problem 401 or 403; 503 as `JwtVerifier` */
  identify(request: RequestSource): User | Promise<User> {
    const found = this.authenticate(request)
    return found instanceof Promise ? found.then(({ user }) => user) : found.user
  }

  /** As `identify`, with the budget. */
  authenticate(request: RequestSource): Identity | Promise<Identity> {
    const { kind, text } = credentialsOf(request)
    switch (kind) {
      case Credentials.Bearer:
        return this.bearer(text, request)
      case Credentials.Basic:
        return this.basic(text, request)
      default:
        return this.anonymous(request)
    }
  }

  /** Whether a bearer token still stands for an enabled user: for connections that outlive their request. */
  isValid(token: string): boolean | Promise<boolean> {
    const { users, tokens } = this.engine
    if (token.startsWith(TOKEN_PREFIX)) {
      const found = tokens.verify(token, Date.now())
      return found !== null && this.isEnabled(found.userName)
    }
    if (this.jwt === null || !isJwt(token)) return users.authenticate(DEFAULT_USER, token) !== null
    return this.jwt(token).then(
      (name) => this.isEnabled(toBytes(name)),
      // Keys that cannot be fetched say nothing about the token.
      (error: unknown) => error instanceof Problem && error.status === 503,
    )
  }

  private isEnabled(userName: string): boolean {
    return this.engine.users.find(userName)?.isEnabled === true
  }

  private bearer(token: string, request: RequestSource): Identity | Promise<Identity> {
    if (token.startsWith(TOKEN_PREFIX)) return this.issuedToken(token)
    if (this.jwt !== null && isJwt(token)) return this.jsonWebToken(this.jwt, token)
    return this.password(DEFAULT_USER, token, request)
  }

  private issuedToken(text: string): Identity {
    const token = this.engine.tokens.verify(text, Date.now())
    if (token === null) throw this.denied('', INVALID_TOKEN)
    const user = this.enabledUser(token.userName)
    return { user: token.isReadOnly ? readOnlyUser(user) : user, budget: `token ${token.id}` }
  }

  private async jsonWebToken(verify: JwtVerifier, token: string): Promise<Identity> {
    let name: string
    try {
      name = toBytes(await verify(token))
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.onDenied('')
      throw error
    }
    return { user: this.enabledUser(name), budget: `user ${name}` }
  }

  private enabledUser(name: string): User {
    const user = this.engine.users.find(name)
    if (user === null || !user.isEnabled) throw this.denied(name, INVALID_TOKEN)
    return user
  }

  private basic(credentials: string, request: RequestSource): Identity {
    const text = Buffer.from(credentials, 'base64').toString('latin1')
    const colon = text.indexOf(':')
    if (colon < 0) throw this.denied('', 'Basic credentials must be base64 of "user:password"')
    this.refuseForeignUseOfPassword(request)
    return this.password(text.slice(0, colon), text.slice(colon + 1), request)
  }

  private password(name: string, password: string, request: RequestSource): Identity {
    const user = this.engine.users.authenticate(name, password)
    if (user === null) throw this.denied(name, 'WRONGPASS invalid username-password pair or user is disabled.')
    if (!user.needsNoPassword) return { user, budget: `user ${name}` }
    // Whoever needs no password has proved nothing with one.
    this.refuseForeign(request)
    return { user, budget: null }
  }

  private anonymous(request: RequestSource): Identity {
    const user = this.engine.users.default
    if (!user.isEnabled || !user.needsNoPassword) throw unauthorized('Unauthorized: send a token or a password')
    this.refuseForeign(request)
    return { user, budget: null }
  }

  private denied(userName: string, detail: string): Problem {
    this.onDenied(userName)
    return unauthorized(detail)
  }

  private refuseForeign({ headers, socket }: RequestSource): void {
    const host = headers.host ?? ''
    this.refuseForeignPage(headers, host)
    if (!this.settings.isProtected) return
    if (!LOOPBACK_ADDRESS.test(socket.remoteAddress ?? '') || isForwarded(headers)) {
      throw new Problem(403, 'Protected mode: without a password only this machine is served')
    }
    if (!isOwnHost(host)) {
      throw new Problem(403, `Host ${host.slice(0, 200)} is not this machine: send a token, or turn protected-mode off`)
    }
  }

  /** @throws Problem 403 for a password that a browser may have sent because another page asked */
  private refuseForeignUseOfPassword({ headers, url = '' }: RequestSource): void {
    const { origin } = headers
    if (origin !== undefined) {
      if (isSameOrigin(origin, headers.host ?? '') || this.settings.corsOrigins.includes(origin)) return
    } else {
      const site = headers['sec-fetch-site']
      if (site !== 'cross-site' && site !== 'same-site') return
      const isFollowed = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
      if (isFollowed && DASHBOARD.test(url)) return
    }
    throw new Problem(403, 'Passwords are not taken from pages of other origins: send a token, or list the origin')
  }

  private refuseForeignPage(headers: IncomingHttpHeaders, host: string): void {
    const { origin } = headers
    if (origin !== undefined) {
      if (this.settings.allowsOrigin(origin) || isSameOrigin(origin, host)) return
      throw new Problem(
        403,
        `Origin ${origin.slice(0, 200)} is not allowed: list it in http-cors-origins, or send a token`,
      )
    }
    // Pictures, links and forms of other pages name no origin, but browsers say that another page asks.
    const site = headers['sec-fetch-site']
    if ((site === 'cross-site' || site === 'same-site') && !this.settings.corsOrigins.includes('*')) {
      throw new Problem(403, 'Pages of other origins are not served without a token')
    }
  }
}

/** Whether a request brings a token of ours, be it right or wrong. */
export function isIssuedToken(request: RequestSource): boolean {
  try {
    const { kind, text } = credentialsOf(request)
    return kind === Credentials.Bearer && text.startsWith(TOKEN_PREFIX)
  } catch (error) {
    if (error instanceof Problem) return false
    throw error
  }
}

/** The bearer token of a request, null when it proves itself in another way. For connections that outlive their request. */
export function bearerToken(request: RequestSource): string | null {
  const { kind, text } = credentialsOf(request)
  return kind === Credentials.Bearer ? text : null
}

/** @throws Problem 401 for credentials that cannot be read */
function credentialsOf({ headers, url }: RequestSource): GivenCredentials {
  const { authorization } = headers
  if (authorization === undefined) {
    const token = queryToken(url ?? '') ?? subprotocolToken(headers['sec-websocket-protocol'])
    return token === null ? NO_CREDENTIALS : { kind: Credentials.Bearer, text: bounded(token) }
  }
  const space = authorization.indexOf(' ')
  const scheme = space < 0 ? authorization : authorization.slice(0, space)
  const text = space < 0 ? '' : bounded(authorization.slice(space + 1).trim())
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { kind: Credentials.Bearer, text }
    case 'basic':
      return { kind: Credentials.Basic, text }
    default:
      throw unauthorized('Authorization scheme must be Bearer or Basic')
  }
}

function bounded(credentials: string): string {
  if (credentials.length > CREDENTIALS_MAX) throw unauthorized('The credentials are too long')
  return credentials
}

/** The user of a request on a route that is not public. */
export function userOf(request: FastifyRequest): User {
  if (request.user === null) throw new Error('A public route asked for the user')
  return request.user
}

export function unauthorized(detail: string): Problem {
  return new Problem(401, detail, {}, { 'www-authenticate': 'Bearer realm="millrace", Basic realm="millrace"' })
}

/** The parameter `_token` of a URL, as bytes; null when it has none. */
function queryToken(url: string): string | null {
  const at = url.indexOf('?')
  if (at < 0 || !url.includes('_token=', at)) return null
  const token = new URLSearchParams(url.slice(at + 1)).get('_token')
  return token === null ? null : toBytes(token)
}

function subprotocolToken(header: string | undefined): string | null {
  if (header === undefined) return null
  const found = header.split(',').find((protocol) => protocol.trim().startsWith(SUBPROTOCOL_PREFIX))
  return found === undefined ? null : found.trim().slice(SUBPROTOCOL_PREFIX.length)
}

function isJwt(token: string): boolean {
  return token.split('.').length === 3
}

function isSameOrigin(origin: string, host: string): boolean {
  return host !== '' && (origin === `http://${host}` || origin === `https://${host}`)
}

/** Whether a proxy says that it asks for somebody on another machine. */
function isForwarded(headers: IncomingHttpHeaders): boolean {
  if (headers.forwarded !== undefined) return true
  const given = headers[FORWARDED_FOR]
  if (given === undefined) return false
  const addresses = typeof given === 'string' ? given.split(',') : given
  return addresses.some((address) => !LOOPBACK_ADDRESS.test(address.trim()))
}

/** Whether a Host header can only mean this machine: an address, or a name that no DNS server may give away. */
function isOwnHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  return IP_HOST.test(name) || name === 'localhost' || name.endsWith('.localhost')
}

/** Text as a byte string. */
function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
