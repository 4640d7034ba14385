/** Options of `createBroker`, their defaults, and the settings they make. */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Config, type ConfigOptions, configFromOptions } from '../config/config.ts'
import { type Log, type LogLevel, ServerLog } from '../observe/log.ts'
import type { CallGate } from '../server/in-process.ts'

/** Where a port is opened without a `host`. */
export const DEFAULT_HOST = '127.0.0.1'

/** What the broker logs to: a pino logger, or anything else with these methods. */
export interface BrokerLogger {
  trace(fields: object, message: string): void
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface CreateBrokerOptions {
  /** TCP port to listen on; 0: a free one, which `broker.port` tells. Default: none, no socket is opened. */
  readonly port?: number
  /** TCP port of the HTTP and WebSocket gateway; 0: a free one, which `broker.httpPort` tells. Default: none. */
  readonly httpPort?: number
  /** Address to listen on, if there is a port or an `httpPort`. Default: 127.0.0.1. */
  readonly host?: string
  /** Path of a unix socket to listen on, relative to the data directory if there is one. Default: none. */
  readonly unixSocket?: string
  /**
   * Directory for the append-only file; created if it is missing, loaded if it holds one. One broker per directory.
   * Default: none, all data is in memory and gone after `close()`.
   */
  readonly dataDir?: string
  /**
   * When changes are forced to the disk, if there is a data directory: `always` before each reply, `everysec` once a
   * second, `no` when the system likes. Default: everysec.
   */
  readonly appendfsync?: 'always' | 'everysec' | 'no'
  /** Password for clients of the sockets; those in this process need none. Default: none. */
  readonly requirepass?: string
  /** Takes the log. Default: see `logLevel`. */
  readonly logger?: BrokerLogger
  /** Without a `logger`: logs to stdout from this level on. Default: nothing, a library does not print. */
  readonly logLevel?: LogLevel
  /** Further directives of redis.conf by name, as docs/CONFIGURATION.md lists them. The options above win over them. */
  readonly config?: ConfigOptions
}

/** Whether the broker has no directory of its own for files. */
export function isInMemory(options: CreateBrokerOptions): boolean {
  return options.dataDir === undefined && options.config?.dir === undefined
}

/** The settings of a broker with these options. @throws ConfigError for settings that do not exist or do not work. */
export function configOf(options: CreateBrokerOptions): Config {
  const { dataDir, appendfsync, requirepass, unixSocket } = options
  if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true })
  return configFromOptions({
    save: '',
    appendonly: false,
    bind: DEFAULT_HOST,
    port: 0,
    ...(dataDir === undefined ? { 'http-token-file': '' } : {}),
    // Without a directory there is no snapshot either: one that lies in the default directory is another program's.
    ...(isInMemory(options) ? { dbfilename: '' } : {}),
    'http-port': 0,
    ...options.config,
    ...(options.host === undefined ? {} : { bind: options.host, 'http-bind': options.host }),
    // A free port is opened beside these settings, where 0 means none.
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(dataDir === undefined ? {} : { dir: resolve(dataDir), appendonly: true }),
    ...(appendfsync === undefined ? {} : { appendfsync }),
    ...(requirepass === undefined ? {} : { requirepass }),
    ...(unixSocket === undefined ? {} : { unixsocket: dataDir === undefined ? resolve(unixSocket) : unixSocket }),
  })
}

/** The log of a broker with these options. The gate is closed while a logger of the program is called. */
export function logOf(options: CreateBrokerOptions, gate: CallGate): Log {
  const { logger, logLevel } = options
  if (logger !== undefined) {
    const tell = (method: keyof BrokerLogger, message: string, fields: object = {}): void => {
      gate.isClosed = true
      try {
        logger[method](fields, message)
      } finally {
        gate.isClosed = false
      }
    }
    return {
      debug: (message, fields) => tell('trace', message, fields),
      verbose: (message, fields) => tell('debug', message, fields),
      notice: (message, fields) => tell('info', message, fields),
      warning: (message, fields) => tell('warn', message, fields),
    }
  }
  if (logLevel === undefined || logLevel === 'nothing') return SILENT
  return new ServerLog({ file: '', level: logLevel, isTerminal: process.stdout.isTTY === true })
}

const SILENT: Log = {
  debug: () => {},
  verbose: () => {},
  notice: () => {},
  warning: () => {},
}
