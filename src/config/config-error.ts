/**
 * The error that ends the start of the server: `lines` go to stderr as they are, then the process exits with 1.
 * Source of the form: Valkey src/config.c `loadServerConfigFromString`, `loaderr`.
 */
import { REDIS_VERSION } from './version.ts'

/** Where in the configuration a directive stands. Numbers count from 1 through the file, stdin and the options. */
export interface ConfigLine {
  readonly number: number
  readonly text: string
}

/** A configuration that the server cannot start with. */
export class ConfigError extends Error {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.filter((line) => line !== '').join('\n'))
    this.name = 'ConfigError'
    this.lines = lines
  }
}

/** The error for one line of the configuration, or for the whole of it (`line` is `null`). */
export function fatalConfigError(line: ConfigLine | null, reason: string): ConfigError {
  const head = ['', `*** FATAL CONFIG FILE ERROR (Redis ${REDIS_VERSION}) ***`]
  if (line === null) return new ConfigError([...head, reason])
  return new ConfigError([
    ...head,
    `Reading the configuration file, at line ${line.number}`,
    `>>> '${line.text}'`,
    reason,
  ])
}
