/**
 * URLs of servers, as the directive `engine` (`parseEngineUrl`) and programs (`parseRedisUrl`) have them.
 *
 *     redis://[user[:password]@]host[:port][/db]                       one server
 *     rediss://…                                                       one server, TLS
 *     redis-sentinel://[user:password@]host[:port],…/name              the primary that Sentinels know by this name
 *     redis-cluster://[user:password@]host[:port],…                    a cluster, found through these nodes
 *
 * Parameters behind `?`: `db` (not for clusters), `tls=yes` (Sentinel and Cluster), `sentinel-user`, `sentinel-password`.
 * User and password are percent-encoded. They stand in no error and in no description: no part of the URL is repeated in an
 * error, since what looks like a host may be a piece of a password that was not encoded.
 */
import type { TlsClientSettings } from '../../server/tls-settings.ts'

const DEFAULT_PORT = 6379
const DEFAULT_SENTINEL_PORT = 26379
/** Addresses in one URL. */
const ADDRESSES_MAX = 50
const DATABASE_MAX = 0x7fffffff
const PORT_MAX = 65535
const SCHEMES = ['redis', 'rediss', 'redis-sentinel', 'redis-cluster'] as const
const SCHEME_END = '://'
const SCHEME_RULE = `begin with ${SCHEMES.map((scheme) => `${scheme}${SCHEME_END}`).join(', ')}`
const HOST = /^[\w.-]+$/
const IPV6_HOST = /^\[([0-9a-f:.]+)\]$/i

/** Where a server is. */
export interface Address {
  readonly host: string
  readonly port: number
}

export interface Credentials {
  /** '' when there is none: the default user. */
  readonly username: string
  /** '' when there is none. */
  readonly password: string
}

/** What a URL says. */
export interface RemoteTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  /** The server; the Sentinels; nodes of the cluster. At least one. */
  readonly addresses: readonly Address[]
  /** Name of the primary that Sentinels watch; '' for others. */
  readonly primaryName: string
  readonly credentials: Credentials
  readonly sentinelCredentials: Credentials
  readonly db: number
  /** Beyond what node:tls does by default; null: no TLS. */
  readonly tls: TlsClientSettings | null
}

/** The directive `engine` cannot be used. */
export class EngineUrlError extends Error {
  override readonly name = 'EngineUrlError'
  readonly code = 'ERR_ENGINE_URL'

  constructor(reason: string) {
    super(`Cannot use the directive 'engine': ${reason}`)
  }
}

/** The URL of a server cannot be used. The message repeats no part of it. */
export class RedisUrlError extends Error {
  override readonly name = 'RedisUrlError'
  readonly code = 'ERR_REDIS_URL'
  /** What is wrong, to be said behind the name of a setting. */
  readonly reason: string

  constructor(reason: string) {
    super(`Cannot use the URL of the server: ${reason}`)
    this.reason = reason
  }
}

/** The URL of the directive `engine`, when it is not `local`. @throws EngineUrlError */
export function parseEngineUrl(url: string): RemoteTarget {
  if (schemeOf(url) === null) throw new EngineUrlError(`it must be 'local' or ${SCHEME_RULE}`)
  try {
    return parseRedisUrl(url)
  } catch (error) {
    throw error instanceof RedisUrlError ? new EngineUrlError(error.reason) : error
  }
}

/** @throws RedisUrlError */
export function parseRedisUrl(url: string): RemoteTarget {
  const scheme = schemeOf(url)
  if (scheme === null) throw new RedisUrlError(`it must ${SCHEME_RULE}`)
  const rest = url.slice(scheme.length + SCHEME_END.length)
  if (rest.includes('#')) throw new RedisUrlError("there must be no '#'; in user and password write %23")
  const [, authority = '', path = '', query = ''] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ?? []
  if (`${path}${query}`.includes('@'))
    throw new RedisUrlError("'/', '?' and '@' in user and password must be written as %2F, %3F and %40")
  const at = authority.lastIndexOf('@')
  const parameters = parseParameters(query)
  const kind = scheme === 'redis-sentinel' ? 'sentinel' : scheme === 'redis-cluster' ? 'cluster' : 'single'
  if (kind === 'single' && parameters.tls !== null)
    throw new RedisUrlError('TLS is said by the scheme, rediss, not by tls')
  if (kind !== 'sentinel' && (parameters.sentinelUser !== null || parameters.sentinelPassword !== null))
    throw new RedisUrlError('sentinel-user and sentinel-password are for redis-sentinel')
  return {
    kind,
    addresses: parseAddresses(authority.slice(at + 1), kind),
    primaryName: kind === 'sentinel' ? primaryName(path) : '',
    credentials: parseCredentials(at < 0 ? '' : authority.slice(0, at)),
    sentinelCredentials: { username: parameters.sentinelUser ?? '', password: parameters.sentinelPassword ?? '' },
    db: database(kind, path, parameters.db),
    tls: scheme === 'rediss' || parameters.tls === 'yes' ? {} : null,
  }
}

/** What is connected to, for logs and health: no secrets. */
export function describeTarget({ kind, addresses, primaryName: name, db }: RemoteTarget): string {
  const list = addresses.map(addressText).join(', ')
  const database = db === 0 ? '' : `, database ${db}`
  if (kind === 'sentinel') return `primary ${name} of Sentinel ${list}${database}`
  return kind === 'cluster' ? `cluster ${list}` : `server ${list}${database}`
}

export function addressText({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function schemeOf(url: string): (typeof SCHEMES)[number] | null {
  const name = url.slice(0, Math.max(url.indexOf(SCHEME_END), 0)).toLowerCase()
  return SCHEMES.find((known) => known === name) ?? null
}

function parseAddresses(list: string, kind: RemoteTarget['kind']): Address[] {
  const texts = list.split(',')
  if (kind === 'single' && texts.length > 1)
    throw new RedisUrlError('several addresses are for redis-sentinel and redis-cluster')
  if (texts.length > ADDRESSES_MAX) throw new RedisUrlError(`there are more than ${ADDRESSES_MAX} addresses`)
  return texts.map((text) => parseAddress(text, kind === 'sentinel' ? DEFAULT_SENTINEL_PORT : DEFAULT_PORT))
}

function parseAddress(text: string, defaultPort: number): Address {
  const [, name = '', , portText] = /^(\[[^\]]*\]|[^:]*)(:(.*))?$/s.exec(text) ?? []
  const host = IPV6_HOST.exec(name)?.[1] ?? (HOST.test(name) ? name : null)
  if (host === null) throw new RedisUrlError('a host is missing or malformed')
  if (portText === undefined) return { host, port: defaultPort }
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0
  if (port < 1 || port > PORT_MAX) throw new RedisUrlError(`a port must be a number from 1 to ${PORT_MAX}`)
  return { host, port }
}

/** `user:password`, `:password`, or `user`. */
function parseCredentials(text: string): Credentials {
  const colon = text.indexOf(':')
  if (colon < 0) return { username: decode(text), password: '' }
  return { username: decode(text.slice(0, colon)), password: decode(text.slice(colon + 1)) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RedisUrlError("what is percent-encoded is malformed: write '%' itself as %25")
  }
}

function primaryName(path: string): string {
  const name = decode(path)
  if (name === '')
    throw new RedisUrlError('redis-sentinel needs the name of the primary: redis-sentinel://host:port/name')
  if (!HOST.test(name)) throw new RedisUrlError("the name of the primary may have letters, digits, '.', '-' and '_'")
  return name
}

function database(kind: RemoteTarget['kind'], path: string, parameter: string | null): number {
  const inPath = kind === 'sentinel' ? '' : path
  if (inPath !== '' && parameter !== null) throw new RedisUrlError('the database stands in the path and in db')
  const text = parameter ?? inPath
  if (text === '') return 0
  const db = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(db <= DATABASE_MAX)) throw new RedisUrlError('the database must be a number')
  if (kind === 'cluster' && db !== 0) throw new RedisUrlError('a cluster has database 0 only')
  return db
}

interface Parameters {
  db: string | null
  tls: string | null
  sentinelUser: string | null
  sentinelPassword: string | null
}

function parseParameters(query: string): Parameters {
  const parameters: Parameters = { db: null, tls: null, sentinelUser: null, sentinelPassword: null }
  for (const pair of query.split('&').filter((text) => text !== '')) {
    const equals = pair.indexOf('=')
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
    switch (equals < 0 ? pair : pair.slice(0, equals)) {
      case 'db':
        parameters.db = value
        break
      case 'tls':
        if (value !== 'yes' && value !== 'no') throw new RedisUrlError("tls must be 'yes' or 'no'")
        parameters.tls = value
        break
      case 'sentinel-user':
        parameters.sentinelUser = value
        break
      case 'sentinel-password':
        parameters.sentinelPassword = value
        break
      default:
        throw new RedisUrlError('parameters are db, tls, sentinel-user and sentinel-password')
    }
  }
  return parameters
}
