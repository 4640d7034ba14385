/**
 * The command line: `[file] [--name value …] [-]` for the server, `check-aof …` and the like for tools.
 *
 * Options become lines of configuration which are read behind the file and stdin, so that the last one counts.
 * A word behind an option is its value even if it starts with `--`; `--save` alone means `--save ""`.
 * Source: Valkey src/server.c `main`.
 */
import { resolve } from 'node:path'
import { quote, splitQuoted } from '../bytes/quoting.ts'
import { encodePath } from './path-text.ts'

/** Commands for data files. A configuration file of such a name is given with its path: `./report`. */
export const TOOL_NAMES = ['check-aof', 'check-rdb', 'report'] as const
export type ToolName = (typeof TOOL_NAMES)[number]

/** What the command line asks for. */
export type CommandLine =
  | {
      readonly action: 'run'
      /** Absolute path of the configuration file, or `null`. */
      readonly configFile: string | null
      /** True if configuration is to be read from stdin. */
      readonly readsStdin: boolean
      /** The options as lines of configuration, a byte string. */
      readonly options: string
    }
  | {
      readonly action: 'tool'
      readonly name: ToolName
      /** The words behind the name. */
      readonly args: readonly string[]
    }
  | { readonly action: 'version' }
  | { readonly action: 'help' }
  | {
      readonly action: 'refuse'
      /** Why, for stderr. */
      readonly reason: string
    }

/** The text for `--help`. */
export const USAGE = `Usage: millrace [/path/to/redis.conf] [options] [-]
       millrace - (read config from stdin)
       millrace -v or --version
       millrace -h or --help
       millrace check-aof|check-rdb|report --help

Examples:
       millrace (run the server with default conf)
       echo 'maxclients 100' | millrace -
       millrace /etc/redis/6379.conf
       millrace --port 7777
       millrace /etc/myredis.conf --loglevel verbose -
       millrace /etc/myredis.conf --loglevel verbose
`

/** Reads the arguments behind the program's name. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const [first] = argv
  if (first === undefined) return { action: 'run', configFile: null, readsStdin: false, options: '' }
  if (first === '-v' || first === '--version') return { action: 'version' }
  if (first === '-h' || first === '--help') return { action: 'help' }
  const tool = TOOL_NAMES.find((name) => name === first)
  if (tool !== undefined) return { action: 'tool', name: tool, args: argv.slice(1) }
  if (first === '--test-memory' || first === '--check-system') {
    return { action: 'refuse', reason: `Cannot run '${first}': this server has no such check` }
  }
  if (argv.includes('--sentinel')) {
    return { action: 'refuse', reason: 'Cannot run as Sentinel: this version does not support it' }
  }
  const hasFile = !first.startsWith('-')
  // Redis trims the name of the file; so does whoever copies it out of a log.
  const configFile = hasFile ? resolve(first.replace(/^[ \r\n\t]+|[ \r\n\t]+$/g, '')) : null
  return { action: 'run', configFile, ...parseOptions(argv, hasFile ? 1 : 0) }
}

function parseOptions(argv: readonly string[], start: number): { readsStdin: boolean; options: string } {
  let options = ''
  let readsStdin = false
  let hasValue = true // the last option has got a value, so that another one may begin
  for (let i = start; i < argv.length; i++) {
    const arg = argv[i] ?? ''
    const isLast = i === argv.length - 1
    if (arg === '-' && (i === 0 || isLast)) {
      readsStdin = true
    } else if (hasValue && arg.startsWith('--')) {
      if (options !== '') options += '\n'
      options += `${encodePath(arg.slice(2))} `
      const isNameOnly = splitQuoted(encodePath(arg))?.length === 1
      const isEmptySave = isNameOnly && arg.toLowerCase() === '--save' && (isLast || argv[i + 1]?.startsWith('--'))
      if (isEmptySave) options += '""'
      hasValue = !isNameOnly || (isEmptySave === true && !isLast)
    } else {
      options += `${quote(encodePath(arg))} `
      hasValue = true
    }
  }
  return { readsStdin, options }
}
