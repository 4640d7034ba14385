/** Settings of the gateway, from the directives `http-*`. */
import { isIP } from 'node:net'
import type { Config } from '../config/config.ts'
import { REALTIME_LIMITS, type RealtimeLimits } from './realtime/limits.ts'
import { WAITS_MAX } from './waits.ts'

/** Names of proxy-addr, which Fastify uses, for networks. */
const NETWORK_NAMES: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal'])

export interface GatewaySettings {
  readonly bodyBytesMax: number
  /** Requests a minute for each token, or address without a token; 0: no limit. */
  readonly requestsPerMinuteMax: number
  readonly requestTimeoutMs: number
  readonly connectionsMax: number
  readonly trustedProxies: readonly string[]
  readonly corsOrigins: readonly string[]
  /** Whether requests that prove nothing are served for this machine only. */
  readonly isProtected: boolean
  /** Paths of certificate and key; null: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  readonly jwt: JwtSettings
  readonly realtime: RealtimeLimits
  /** Requests that may wait for something to happen, over all doors. */
  readonly waitsMax: number
  /** Whether a page of this origin may use the gateway. */
  allowsOrigin(origin: string): boolean
}

/** How JWTs are checked; '' is what is not configured. */
export interface JwtSettings {
  readonly secret: string
  readonly publicKeyFile: string
  readonly jwksUrl: string
  readonly claim: string
  readonly issuer: string
  readonly audience: string
}

/** Whether JWTs are accepted at all. */
export function hasJwtKey({ secret, publicKeyFile, jwksUrl }: JwtSettings): boolean {
  return secret !== '' || publicKeyFile !== '' || jwksUrl !== ''
}

/** Settings that cannot be together, or that mean nothing. The message is for people. */
export class GatewaySettingsError extends Error {
  override readonly name = 'GatewaySettingsError'
  /** Marks an expected failure to start, as with errors of the system. */
  readonly code = 'GATEWAY_SETTINGS'
}

/** @throws GatewaySettingsError */
export function gatewaySettings(config: Config): GatewaySettings {
  const origins = new Set(config.list('http-cors-origins'))
  const trustedProxies = config.list('http-trust-proxy')
  const wrong = trustedProxies.find((proxy) => !isNetwork(proxy))
  if (wrong !== undefined) throw new GatewaySettingsError(`http-trust-proxy: ${wrong} is no address and no network`)
  return {
    bodyBytesMax: config.number('http-body-limit'),
    requestsPerMinuteMax: config.number('http-rate-limit'),
    requestTimeoutMs: config.number('http-request-timeout') * 1000,
    connectionsMax: config.number('http-max-connections'),
    trustedProxies,
    corsOrigins: [...origins],
    isProtected: config.bool('protected-mode'),
    tls: tlsSettings(config),
    realtime: REALTIME_LIMITS,
    waitsMax: WAITS_MAX,
    jwt: {
      secret: config.text('http-jwt-secret'),
      publicKeyFile: file(config, config.text('http-jwt-public-key-file')),
      jwksUrl: config.text('http-jwt-jwks-url'),
      claim: config.text('http-jwt-claim'),
      issuer: config.text('http-jwt-issuer'),
      audience: config.text('http-jwt-audience'),
    },
    allowsOrigin: (origin) => origins.has('*') || origins.has(origin),
  }
}

function tlsSettings(config: Config): GatewaySettings['tls'] {
  const certFile = file(config, config.text('http-tls-cert-file'))
  const keyFile = file(config, config.text('http-tls-key-file'))
  if (certFile === '' && keyFile === '') return null
  if (certFile === '') throw new GatewaySettingsError('http-tls-key-file needs http-tls-cert-file')
  if (keyFile === '') throw new GatewaySettingsError('http-tls-cert-file needs http-tls-key-file')
  return { certFile, keyFile }
}

/** Whether a text is an address, a network (`10.0.0.0/8`) or one of the names that stand for some. */
function isNetwork(text: string): boolean {
  if (NETWORK_NAMES.has(text)) return true
  const [address = '', length, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128))
}

/** A path of the configuration as an absolute one; relative paths count from `dir`. '' stays ''. */
function file(config: Config, path: string): string {
  return path === '' ? '' : config.resolvePath(path)
}
