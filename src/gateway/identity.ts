/**
 * Who makes a request: its ACL user.
 *
 * Credentials, in this order: `Authorization: Bearer` (a token of ours; a JWT when those are configured; the default user's
 * password), `Authorization: Basic` (user and password), the query parameter `_token` and the WebSocket subprotocol
 * `bearer.<token>`, which mean the same as Bearer. Without any, the default user, if it needs no password.
 *
 * While the default user needs no password, any web page that runs in a browser on this machine could talk to us. So a
 * request that proves nothing is refused when it comes from a page of another origin (`Origin`), and when it was
 * addressed to a name that is not this machine's (`Host`: DNS rebinding). In protected mode it must come from this machine.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { readOnlyUser, type User } from '../access/user.ts'
import type { Engine } from './engine.ts'
import { Problem } from './problem.ts'
import type { GatewaySettings } from './settings.ts'

const DEFAULT_USER = 'default'
/** What tokens of ours begin with (access/tokens.ts): they are checked as nothing else. */
const TOKEN_PREFIX = 'mr_'
const SUBPROTOCOL_PREFIX = 'bearer.'
/** Credentials longer than this are refused unread, in chars. */
const CREDENTIALS_MAX = 8192
const LOOPBACK_ADDRESS = /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/
const IP_HOST = /^(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])$/i

/** Checks JWTs; null when none are accepted. Resolves to the name of a user. @throws Problem 401 */
export type JwtVerifier = (token: string) => Promise<string>

/** What of a request tells who makes it. */
export interface IdentifiedRequest {
  /** Path and query. */
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}

export class Identities {
  private readonly engine: Engine
  private readonly settings: GatewaySettings
  private readonly jwt: JwtVerifier | null

  constructor(engine: Engine, settings: GatewaySettings, jwt: JwtVerifier | null) {
    this.engine = engine
    this.settings = settings
    this.jwt = jwt
  }

  /** The user of a request. Synchronous but for JWTs. @throws Problem 401 or 403 */
  identify(request: IdentifiedRequest): User | Promise<User> {
    const { authorization } = request.headers
    if (authorization !== undefined) {
      if (authorization.length > CREDENTIALS_MAX) throw unauthorized('The credentials are too long')
      const [scheme = '', ...rest] = authorization.split(' ')
      const credentials = rest.join(' ').trim()
      switch (scheme.toLowerCase()) {
        case 'bearer':
          return this.bearer(credentials, request)
        case 'basic':
          return this.basic(credentials, request)
        default:
          throw unauthorized(`Authorization scheme must be Bearer or Basic`)
      }
    }
    const token = queryToken(request.url ?? '') ?? subprotocolToken(request.headers['sec-websocket-protocol'])
    return token === null ? this.anonymous(request) : this.bearer(token, request)
  }

  private bearer(token: string, request: IdentifiedRequest): User | Promise<User> {
    if (token.length > CREDENTIALS_MAX) throw unauthorized('The credentials are too long')
    if (token.startsWith(TOKEN_PREFIX)) return this.issuedToken(token)
    if (this.jwt !== null && isJwt(token)) return this.jwt(token).then((name) => this.enabledUser(toBytes(name)))
    return this.password(DEFAULT_USER, token, request)
  }

  private issuedToken(text: string): User {
    const token = this.engine.tokens.verify(text, Date.now())
    if (token === null) throw unauthorized('WRONGPASS invalid or missing auth token')
    const user = this.enabledUser(token.userName)
    return token.isReadOnly ? readOnlyUser(user) : user
  }

  private enabledUser(name: string): User {
    const user = this.engine.users.find(name)
    if (user === null || !user.isEnabled) throw unauthorized('WRONGPASS invalid or missing auth token')
    return user
  }

  private basic(credentials: string, request: IdentifiedRequest): User {
    const text = Buffer.from(credentials, 'base64').toString('latin1')
    const colon = text.indexOf(':')
    if (colon < 0) throw unauthorized('Basic credentials must be base64 of "user:password"')
    return this.password(text.slice(0, colon), text.slice(colon + 1), request)
  }

  private password(name: string, password: string, request: IdentifiedRequest): User {
    const user = this.engine.users.authenticate(name, password)
    if (user === null) throw unauthorized('WRONGPASS invalid username-password pair or user is disabled.')
    // Whoever needs no password has proved nothing with one.
    if (user.needsNoPassword) this.refuseForeign(request)
    return user
  }

  private anonymous(request: IdentifiedRequest): User {
    const user = this.engine.users.default
    if (!user.isEnabled || !user.needsNoPassword) throw unauthorized('Unauthorized: send a token or a password')
    this.refuseForeign(request)
    return user
  }

  private refuseForeign(request: IdentifiedRequest): void {
    const { origin } = request.headers
    const host = request.headers.host ?? ''
    if (origin !== undefined && !this.settings.allowsOrigin(origin) && !isSameOrigin(origin, host)) {
      throw new Problem(
        403,
        `Origin ${origin.slice(0, 200)} is not allowed: list it in http-cors-origins, or send a token`,
      )
    }
    if (!this.settings.isProtected) return
    if (!LOOPBACK_ADDRESS.test(request.socket.remoteAddress ?? '')) {
      throw new Problem(403, 'Protected mode: without a password only this machine is served')
    }
    if (!isOwnHost(host)) {
      throw new Problem(403, `Host ${host.slice(0, 200)} is not this machine: send a token, or turn protected-mode off`)
    }
  }
}

/** The user of a request on a route that is not public. */
export function userOf(request: FastifyRequest): User {
  if (request.user === null) throw new Error('A public route asked for the user')
  return request.user
}

export function unauthorized(detail: string): Problem {
  return new Problem(401, detail, {}, { 'www-authenticate': 'Bearer realm="millrace", Basic realm="millrace"' })
}

/** The parameter `_token` of a URL, decoded; null when it has none. */
function queryToken(url: string): string | null {
  const at = url.indexOf('?')
  if (at < 0 || !url.includes('_token=', at)) return null
  return new URLSearchParams(url.slice(at + 1)).get('_token')
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

/** Whether a Host header can only mean this machine: an address, or a name that no DNS server may give away. */
function isOwnHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  return IP_HOST.test(name) || name === 'localhost' || name.endsWith('.localhost')
}

/** Text as a byte string. */
function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
