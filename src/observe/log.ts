/**
 * The server's log: pino, with the levels of Redis.
 *
 * Where it goes: to `logfile` if there is one, else to stdout; for people on a terminal, one JSON object per line
 * everywhere else. Writes are synchronous, so that the last line before a crash is there; the log is for rare events,
 * never for single commands.
 *
 * Redis' levels are pino's, one step lower in name: debug → trace, verbose → debug, notice → info, warning → warn.
 */
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pino } from 'pino'
import type { PinoPretty } from 'pino-pretty'
import { fatalConfigError } from '../config/config-error.ts'
import { systemErrorText } from '../config/system-error.ts'

/** The names that `loglevel` takes. */
export type LogLevel = 'debug' | 'verbose' | 'notice' | 'warning' | 'nothing'

const PINO_LEVELS = {
  debug: 'trace',
  verbose: 'debug',
  notice: 'info',
  warning: 'warn',
  nothing: 'silent',
} as const satisfies Readonly<Record<LogLevel, string>>

/** What the rest of the server logs to. `fields` appear beside the message in JSON. */
export interface Log {
  debug(message: string, fields?: object): void
  verbose(message: string, fields?: object): void
  notice(message: string, fields?: object): void
  warning(message: string, fields?: object): void
}

/** Where a log goes. */
export interface LogTarget {
  /** Absolute path of the file, or `''` for stdout. */
  readonly file: string
  readonly level: LogLevel
  /** True if stdout is a terminal. */
  readonly isTerminal: boolean
}

/** A log with its controls, for the composition root. */
export class ServerLog implements Log {
  readonly #pino: pino.Logger
  readonly #destination: ReturnType<typeof pino.destination> | null

  /** Throws `ConfigError` if the file cannot be opened. */
  constructor(target: LogTarget) {
    this.#destination = target.file === '' && target.isTerminal ? null : openDestination(target.file)
    const stream = this.#destination ?? openTerminal()
    this.#pino = pino({ level: PINO_LEVELS[target.level], base: { pid: process.pid } }, stream)
  }

  debug(message: string, fields: object = {}): void {
    this.#pino.trace(fields, message)
  }

  verbose(message: string, fields: object = {}): void {
    this.#pino.debug(fields, message)
  }

  notice(message: string, fields: object = {}): void {
    this.#pino.info(fields, message)
  }

  warning(message: string, fields: object = {}): void {
    this.#pino.warn(fields, message)
  }

  /** The pino logger itself, for libraries that take one. */
  get pino(): pino.Logger {
    return this.#pino
  }

  /** Changes the least important level that is written. */
  setLevel(level: LogLevel): void {
    this.#pino.level = PINO_LEVELS[level]
  }

  /** Opens the file again under its name, after it was moved away. Nothing to do for stdout. */
  reopen(): void {
    this.#destination?.reopen()
  }
}

/** What makes lines readable has forty modules, which only a terminal needs. */
function openTerminal(): ReturnType<typeof PinoPretty> {
  const pretty = createRequire(import.meta.url)('pino-pretty') as { readonly PinoPretty: typeof PinoPretty }
  return pretty.PinoPretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' })
}

function openDestination(file: string): ReturnType<typeof pino.destination> {
  if (file === '') return pino.destination({ dest: 1, sync: true })
  try {
    // Opened once beforehand: pino would report the error after the server has started.
    closeSync(openSync(file, 'a'))
  } catch (error) {
    throw fatalConfigError(null, `Can't open the log file: ${systemErrorText(error)}`)
  }
  return pino.destination({ dest: file, append: true, sync: true })
}
