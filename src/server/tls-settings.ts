/**
 * What the `tls-…` directives mean for node:tls. Files are read when this is called: at start, and when one of the
 * directives changes. Source: Valkey src/tls.c `tlsConfigure`, `createSSLContext`.
 */
import { constants } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext, DEFAULT_CIPHERS, type SecureVersion } from 'node:tls'
import type { Config } from '../config/config.ts'
import type { NameFor } from '../config/directives.ts'
import { systemErrorText } from '../config/system-error.ts'
import { messageOf } from '../files/thrown.ts'
import { ClientCertificates, type TlsSettings } from '../transport/tls.ts'

/** The settings do not fit together, or a file of theirs is no good. */
export class TlsConfigError extends Error {
  override readonly name = 'TlsConfigError'
}

/** Directives that connections follow which are made after they have changed. */
export const TLS_DIRECTIVES = [
  'tls-cert-file',
  'tls-key-file',
  'tls-key-file-pass',
  'tls-ca-cert-file',
  'tls-ca-cert-dir',
  'tls-protocols',
  'tls-ciphers',
  'tls-ciphersuites',
] as const satisfies readonly NameFor<string>[]

/** Versions, oldest first, with the option that switches each off. */
const VERSIONS: readonly (readonly [SecureVersion, number])[] = [
  ['TLSv1', constants.SSL_OP_NO_TLSv1],
  ['TLSv1.1', constants.SSL_OP_NO_TLSv1_1],
  ['TLSv1.2', constants.SSL_OP_NO_TLSv1_2],
  ['TLSv1.3', constants.SSL_OP_NO_TLSv1_3],
]
const VERSIONS_DEFAULT = 'TLSv1.2 TLSv1.3'
/** How suites of TLS 1.3 begin; Node takes them in one list with the older ciphers. */
const SUITE = /^TLS_/

/** @throws TlsConfigError */
export function tlsSettings(config: Config): TlsSettings {
  const certificate = readRequired(config, 'tls-cert-file')
  const key = readRequired(config, 'tls-key-file')
  const clientCertificates = config.text('tls-auth-clients')
  const authorities = readAuthorities(config)
  if (clientCertificates !== ClientCertificates.No && authorities.length === 0)
    throw new TlsConfigError(
      'Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or tls-auth-clients are enabled!',
    )
  const passphrase = config.text('tls-key-file-pass')
  const context = {
    cert: certificate,
    key,
    ...(passphrase === '' ? {} : { passphrase: Buffer.from(passphrase, 'latin1').toString('utf8') }),
    ...(authorities.length === 0 ? {} : { ca: authorities }),
    ciphers: ciphersOf(config),
    honorCipherOrder: config.bool('tls-prefer-server-ciphers'),
    ...protocolsOf(config),
    sessionTimeout: config.number('tls-session-cache-timeout'),
  }
  try {
    createSecureContext(context)
  } catch (error) {
    throw new TlsConfigError(`Failed to configure TLS: ${messageOf(error)}`)
  }
  return { context, clientCertificates }
}

function readRequired(config: Config, name: NameFor<string>): Buffer {
  const path = config.text(name)
  if (path === '') throw new TlsConfigError(`No ${name} configured!`)
  return readPem(config.resolvePath(path), name)
}

function readPem(path: string, name: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new TlsConfigError(`Failed to load ${path} (${name}): ${systemErrorText(error)}`)
  }
}

/** What connections to other servers need; fields that nobody has configured are missing. */
export interface TlsClientSettings {
  readonly ca?: Buffer[]
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly passphrase?: string
}

/** What `tls-ca-cert-…` and `tls-client-…` mean for connections to other servers. @throws TlsConfigError */
export function tlsClientSettings(config: Config): TlsClientSettings {
  const authorities = readAuthorities(config)
  const hasCertificate = config.text('tls-client-cert-file') !== '' || config.text('tls-client-key-file') !== ''
  const passphrase = config.text('tls-client-key-file-pass')
  const settings = {
    ...(authorities.length === 0 ? {} : { ca: authorities }),
    ...(hasCertificate
      ? { cert: readRequired(config, 'tls-client-cert-file'), key: readRequired(config, 'tls-client-key-file') }
      : {}),
    ...(passphrase === '' ? {} : { passphrase: Buffer.from(passphrase, 'latin1').toString('utf8') }),
  }
  try {
    createSecureContext(settings)
  } catch (error) {
    const reason = messageOf(error)
    throw new TlsConfigError(`Failed to configure TLS to other servers: ${reason}`)
  }
  return settings
}

/** Certificates of trusted authorities; of a directory, those of all its files. */
function readAuthorities(config: Config): Buffer[] {
  const found: Buffer[] = []
  const file = config.text('tls-ca-cert-file')
  if (file !== '') found.push(readPem(config.resolvePath(file), 'tls-ca-cert-file'))
  const directory = config.text('tls-ca-cert-dir')
  if (directory !== '') found.push(...readDirectory(config.resolvePath(directory)))
  return found
}

function readDirectory(path: string): Buffer[] {
  try {
    return readdirSync(path)
      .sort()
      .map((name) => join(path, name))
      .filter((file) => statSync(file).isFile())
      .map((file) => readFileSync(file))
      .filter((bytes) => bytes.includes('-----BEGIN CERTIFICATE-----'))
  } catch (error) {
    throw new TlsConfigError(`Failed to load ${path} (tls-ca-cert-dir): ${systemErrorText(error)}`)
  }
}

/** Either kind of cipher that is not chosen is as by default. */
function ciphersOf(config: Config): string {
  const defaults = DEFAULT_CIPHERS.split(':')
  const older = config.text('tls-ciphers')
  const suites = config.text('tls-ciphersuites')
  return [
    suites === '' ? defaults.filter((name) => SUITE.test(name)).join(':') : suites,
    older === '' ? defaults.filter((name) => !SUITE.test(name)).join(':') : older,
  ].join(':')
}

function protocolsOf(config: Config): {
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  readonly secureOptions: number
} {
  const text = config.text('tls-protocols')
  const words = (text === '' ? VERSIONS_DEFAULT : text).split(' ').map((word) => word.toLowerCase())
  const isKnown = words.every((word) => VERSIONS.some(([name]) => name.toLowerCase() === word))
  const chosen = VERSIONS.filter(([name]) => words.includes(name.toLowerCase()))
  const [lowest] = chosen
  const highest = chosen.at(-1)
  if (!isKnown || lowest === undefined || highest === undefined)
    throw new TlsConfigError(
      "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.",
    )
  let secureOptions = config.bool('tls-session-caching') ? 0 : constants.SSL_OP_NO_TICKET
  for (const version of VERSIONS) if (!chosen.includes(version)) secureOptions |= version[1]
  return { minVersion: lowest[0], maxVersion: highest[0], secureOptions }
}
