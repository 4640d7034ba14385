/** Settings of the gateway, from the directives `http-*`. */
import { resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { decodePath } from '../config/path-text.ts'

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

export function gatewaySettings(config: Config): GatewaySettings {
  const origins = new Set(config.list('http-cors-origins'))
  const certFile = file(config, config.text('http-tls-cert-file'))
  return {
    bodyBytesMax: config.number('http-body-limit'),
    requestsPerMinuteMax: config.number('http-rate-limit'),
    requestTimeoutMs: config.number('http-request-timeout') * 1000,
    connectionsMax: config.number('http-max-connections'),
    trustedProxies: config.list('http-trust-proxy'),
    corsOrigins: [...origins],
    isProtected: config.bool('protected-mode'),
    tls: certFile === '' ? null : { certFile, keyFile: file(config, config.text('http-tls-key-file')) },
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

/** A path of the configuration as an absolute one; relative paths count from `dir`. '' stays ''. */
function file(config: Config, path: string): string {
  return path === '' ? '' : resolve(config.directory, decodePath(path))
}
