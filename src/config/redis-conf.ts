/**
 * Reader for redis.conf: the file, then stdin, then the command line, joined to one text whose lines are counted
 * through. Later lines win. Errors are those of Redis, word for word; see `ConfigError`.
 * Source: Valkey src/config.c `loadServerConfig`, `loadServerConfigFromString`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { GlobCase, globMatch, isGlob } from '../bytes/glob.ts'
import { splitQuoted } from '../bytes/quoting.ts'
import { Config } from './config.ts'
import { ConfigError, type ConfigLine, fatalConfigError } from './config-error.ts'
import { directives, findDirective } from './directives.ts'
import { decodePath, encodePath } from './path-text.ts'
import { systemErrorText } from './system-error.ts'

/** Files that may include one another; deep enough for any real configuration, and it ends a circle. */
const INCLUDE_DEPTH_MAX = 64

/** Directives of old versions that are read past if they have one value. */
const DROPPED_DIRECTIVES = ['list-max-ziplist-entries', 'list-max-ziplist-value', 'lua-replicate-commands']

/** Where the configuration comes from. */
export interface ConfigSources {
  /** Absolute path, or `null` for none. */
  readonly configFile: string | null
  /** The content of stdin as a byte string, or `null` if it is not to be read. */
  readonly stdin: string | null
  /** Lines made of the command line's options, a byte string. */
  readonly options: string
}

/** The settings, and what to log about them at start. */
export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly string[]
}

/** Reads the configuration. Throws `ConfigError`. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const config = new Config(sources.configFile)
  const file = sources.configFile === null ? '' : readConfigFile(sources.configFile)
  const isEmpty = sources.configFile === null && sources.stdin === null && sources.options === ''
  if (!isEmpty) new Reader(config).read(`${file}${sources.stdin ?? ''}\n${sources.options}`)
  return { config, warnings: config.checkEffects() }
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    throw new ConfigError([`Fatal error, can't open config file '${encodePath(path)}': ${systemErrorText(error)}`])
  }
}

class Reader {
  readonly #config: Config
  #depth = 0

  constructor(config: Config) {
    this.#config = config
  }

  read(text: string): void {
    for (const [i, raw] of text.split('\n').entries()) {
      const line = { number: i + 1, text: raw.replace(/^[ \t\r]+|[ \t\r]+$/g, '') }
      if (line.text === '' || line.text.startsWith('#')) continue
      const words = splitQuoted(line.text)
      if (words === null) throw fatalConfigError(line, 'Unbalanced quotes in configuration line')
      const [name, ...values] = words
      if (name !== undefined) this.#apply(name.toLowerCase(), values, line)
    }
  }

  #apply(name: string, values: readonly string[], line: ConfigLine): void {
    const entry = findDirective(name)
    const [first = '', second = ''] = values
    if (entry !== null) {
      this.#config.load(entry, values, line)
    } else if (DROPPED_DIRECTIVES.includes(name) && values.length === 1) {
      return
    } else if (name === 'include' && values.length === 1) {
      this.#include(first, line)
    } else if (name === 'rename-command' && values.length === 2) {
      this.#config.renameCommand({ from: first, to: second, line })
    } else if (name === 'user' && values.length >= 1) {
      // A line that is shown because it is wrong must not show passwords.
      const text = line.text.replace(/(^|\s)(["']?[<>])\S*/g, '$1$2(redacted)')
      this.#config.addUser({ name: first, rules: values.slice(1), line: { ...line, text } })
    } else if (name === 'loadmodule' && values.length >= 1) {
      throw fatalConfigError(line, "This version does not support 'loadmodule': modules are written in C")
    } else if (name.includes('.')) {
      throw fatalConfigError(
        line,
        values.length === 0
          ? 'Module config specified without value'
          : 'Module Configuration detected without loadmodule directive or no ApplyConfig call: aborting',
      )
    } else if (name === 'sentinel' && values.length > 0) {
      throw fatalConfigError(line, 'sentinel directive while not in sentinel mode')
    } else if (name !== 'sentinel') {
      throw fatalConfigError(line, 'Bad directive or wrong number of arguments')
    }
  }

  /** Reads other files at this place. A glob may match nothing, a plain name must exist. */
  #include(pattern: string, line: ConfigLine): void {
    if (this.#depth === INCLUDE_DEPTH_MAX) {
      throw fatalConfigError(line, `Cannot include files more than ${INCLUDE_DEPTH_MAX} deep`)
    }
    // Redis has changed into `dir` by now, if the line stands behind it.
    const dir = this.#config.text('dir')
    const base = dir === directives.dir.initial ? '.' : decodePath(dir)
    const path = resolve(base, decodePath(pattern))
    this.#depth++
    const files = isGlob(pattern) ? expandGlob(path) : [path]
    // A last line without its end must not run into the first line of the next file, as it does in Redis.
    this.read(files.map((file) => readConfigFile(file).replace(/[^\n]$/, '$&\n')).join(''))
    this.#depth--
  }
}

/**
 * The files that match a glob in any part of an absolute path, sorted. As glob(3): `*` does not match a leading dot,
 * and a class is negated by `!`.
 */
function expandGlob(path: string): string[] {
  const parent = dirname(path)
  if (parent === path) return [path]
  const parents = isGlob(parent) ? expandGlob(parent) : [parent]
  const name = basename(path)
  if (!isGlob(name)) return parents.map((directory) => join(directory, name)).filter((file) => existsSync(file))
  const pattern = encodePath(name).replaceAll('[!', '[^')
  return parents.flatMap((directory) =>
    listDirectory(directory)
      .filter((file) => (file.startsWith('.') ? name.startsWith('.') : true))
      .filter((file) => globMatch(pattern, encodePath(file), GlobCase.Exact))
      .sort()
      .map((file) => join(directory, file)),
  )
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return [] // glob(3) takes a directory that cannot be read as one without matches
  }
}
