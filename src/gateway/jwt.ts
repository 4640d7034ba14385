/**
 * JWTs of an identity provider in place of tokens: a claim names the ACL user (`http-jwt-claim`).
 *
 * Which algorithm a token may have is decided by what is configured, never by the token: a secret checks HS256, a public
 * key file RS256, a JWKS URL the asymmetric algorithms. So a public key is never used as a secret, and `none` is nothing.
 * `exp` and `nbf` are checked where the token has them, issuer and audience where they are configured.
 *
 * Keys of a URL are fetched when they are first needed, kept for ten minutes, and fetched again for an unknown key at most
 * every half minute; a fetch that failed is not repeated for some seconds. What cannot be fetched is 503: the token may be
 * good.
 */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  errors,
  type FetchImplementation,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import type { Log } from '../observe/log.ts'
import { type JwtVerifier, unauthorized } from './identity.ts'
import { Problem } from './problem.ts'
import { GatewaySettingsError, type JwtSettings } from './settings.ts'

/** Clocks may differ by this much, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 5
/** RFC 7518, 3.2: a key of HS256 has at least 256 bits. */
const SECRET_BYTES_MIN = 32
const USER_NAME_CHARS_MAX = 1024
const FETCH_TIMEOUT_MS = 5000
const KEYS_MAX_AGE_MS = 600_000
const UNKNOWN_KEY_COOLDOWN_MS = 30_000
const FAILED_FETCH_COOLDOWN_MS = 5000
/** A set of keys larger than this is refused, in bytes. */
const KEYS_BYTES_MAX = 1024 * 1024
const JWKS_ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

/** Checks one kind of signature. */
interface Check {
  readonly algorithms: readonly string[]
  verify(token: string, options: JWTVerifyOptions): Promise<JWTPayload>
}

/** The keys could not be fetched. */
class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError'
}

/**
 * What checks JWTs by these settings, which name a key.
 *
 * @throws GatewaySettingsError when the file of the key holds no RSA key, or the URL is none; errors of the system
 */
export function createJwtVerifier(settings: JwtSettings, log: Log): JwtVerifier {
  const checks = checksOf(settings, log)
  const { claim, issuer, audience } = settings
  const options: JWTVerifyOptions = {
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    ...(issuer === '' ? {} : { issuer }),
    ...(audience === '' ? {} : { audience }),
  }
  return async (token) => {
    const algorithm = algorithmOf(token)
    const candidates = checks.filter(({ algorithms }) => algorithms.includes(algorithm))
    if (candidates.length === 0) throw unauthorized('The JWT is signed with an algorithm that is not accepted')
    return nameIn(await verifyWithOne(candidates, token, options), claim)
  }
}

function checksOf(settings: JwtSettings, log: Log): Check[] {
  const checks: Check[] = []
  if (settings.secret !== '') {
    const bytes = Buffer.from(settings.secret, 'latin1')
    if (bytes.length < SECRET_BYTES_MIN) {
      log.warning(`http-jwt-secret is short: HS256 asks for at least ${SECRET_BYTES_MIN} bytes`)
    }
    checks.push(checkWithKey('HS256', createSecretKey(bytes)))
  }
  if (settings.publicKeyFile !== '') checks.push(checkWithKey('RS256', publicKeyOf(settings.publicKeyFile)))
  if (settings.jwksUrl !== '') checks.push(checkWithJwks(settings.jwksUrl, log))
  return checks
}

function publicKeyOf(path: string): KeyObject {
  const pem = readFileSync(path)
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (cause) {
    throw new GatewaySettingsError(`Cannot read http-jwt-public-key-file ${path}: it holds no key in PEM`, { cause })
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new GatewaySettingsError(`Cannot use http-jwt-public-key-file ${path}: RS256 needs an RSA key`)
  }
  return key
}

function checkWithKey(algorithm: string, key: KeyObject): Check {
  return {
    algorithms: [algorithm],
    verify: async (token, options) => {
      const { payload } = await jwtVerify(token, key, { ...options, algorithms: [algorithm] })
      return payload
    },
  }
}

function checkWithJwks(text: string, log: Log): Check {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new GatewaySettingsError('http-jwt-jwks-url is no http or https URL')
  }
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: UNKNOWN_KEY_COOLDOWN_MS,
    [customFetch]: carefulFetch(log),
  })
  return {
    algorithms: JWKS_ALGORITHMS,
    verify: async (token, options) => {
      const { payload } = await jwtVerify(token, keys, { ...options, algorithms: JWKS_ALGORITHMS })
      return payload
    },
  }
}

/** Fetches a bounded body, and not again for a while after a failure: each JWT that comes would try otherwise. */
function carefulFetch(log: Log): FetchImplementation {
  let failedMs = Number.NEGATIVE_INFINITY
  return async (url, options) => {
    if (performance.now() - failedMs < FAILED_FETCH_COOLDOWN_MS) throw new KeysUnavailableError()
    try {
      const response = await fetch(url, options)
      if (response.status !== 200) throw new Error(`the answer is ${response.status}`)
      const body = await boundedBody(response)
      if (!isKeySet(JSON.parse(body))) throw new Error('the answer is no set of keys')
      return new Response(body, { status: 200 })
    } catch (cause) {
      failedMs = performance.now()
      log.warning(`Cannot fetch the keys of JWTs from http-jwt-jwks-url: ${reasonOf(cause)}`)
      throw new KeysUnavailableError('The keys cannot be fetched', { cause })
    }
  }
}

function isKeySet(content: unknown): boolean {
  return typeof content === 'object' && content !== null && 'keys' in content && Array.isArray(content.keys)
}

async function boundedBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > KEYS_BYTES_MAX) throw new Error(`the answer has more than ${KEYS_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Why something failed, without the URL, which may hold a secret. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error instanceof SyntaxError) return 'the answer is no JSON'
  const { cause } = error
  if (cause instanceof Error && 'code' in cause) return String(cause.code)
  return error.name === 'TimeoutError' ? 'no answer in time' : error.message
}

function algorithmOf(token: string): string {
  try {
    return decodeProtectedHeader(token).alg ?? ''
  } catch {
    throw unauthorized('The token is no JWT')
  }
}

/** What a token says, if one of the checks finds it right. The error is that of the last one. */
async function verifyWithOne(
  candidates: readonly Check[],
  token: string,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  let last: unknown = null
  for (const { verify } of candidates) {
    try {
      return await verify(token, options)
    } catch (error) {
      last = error
      // Only another key may help.
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break
    }
  }
  throw refusalOf(last)
}

function refusalOf(error: unknown): Problem {
  if (error instanceof errors.JWTExpired) return unauthorized('The JWT has expired')
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim } = error
    if (claim === 'nbf') return unauthorized('The JWT is not valid yet')
    if (claim === 'iss') return unauthorized('The JWT is of another issuer')
    if (claim === 'aud') return unauthorized('The JWT is for another audience')
    return unauthorized('A claim of the JWT is not valid')
  }
  if (error instanceof errors.JWKSNoMatchingKey) return unauthorized('The key of the JWT is not known')
  if (error instanceof errors.JWSSignatureVerificationFailed) return unauthorized('The signature of the JWT is wrong')
  // A set of keys that is no such set (JWKSInvalid) is as bad as none.
  if (error instanceof KeysUnavailableError || error instanceof errors.JWKSInvalid) return keysUnavailable()
  return unauthorized('The JWT is not valid')
}

function keysUnavailable(): Problem {
  const seconds = String(FAILED_FETCH_COOLDOWN_MS / 1000)
  return new Problem(503, 'The keys of JWTs cannot be fetched at the moment', {}, { 'retry-after': seconds })
}

function nameIn(payload: JWTPayload, claim: string): string {
  const name = payload[claim]
  if (typeof name !== 'string' || name === '' || name.length > USER_NAME_CHARS_MAX) {
    throw unauthorized(`The JWT names no user: its claim "${claim}" must be a text`)
  }
  return name
}
