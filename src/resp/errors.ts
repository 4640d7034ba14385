/**
 * Every error a client can see, with Redis' exact text. No other module holds such a text.
 *
 * A ReplyError is thrown by handlers and parsing helpers and caught once, in the execute pipeline, which takes back
 * what the command had written and writes the error. It is no `Error`: it captures no stack and costs nothing to
 * throw. Fixed ones are constants; those with parts are functions.
 * Source of the texts: Valkey 7.2 src/server.c (shared objects) and the files of each command family.
 */

/** An error reply; `text` is the whole line without the leading `-`. */
export class ReplyError {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  /** First word of the text, for error statistics: 'ERR', 'WRONGTYPE' … */
  get code(): string {
    const space = this.text.indexOf(' ')
    return space < 0 ? this.text : this.text.slice(0, space)
  }
}

const MAX_QUOTED_BYTES = 128

// Types and values
export const WRONGTYPE = new ReplyError('WRONGTYPE Operation against a key holding the wrong kind of value')
export const SYNTAX_ERROR = new ReplyError('ERR syntax error')
export const NOT_AN_INTEGER = new ReplyError('ERR value is not an integer or out of range')
export const OUT_OF_RANGE = new ReplyError('ERR value is out of range')
export const OUT_OF_RANGE_POSITIVE = new ReplyError('ERR value is out of range, must be positive')
export const NOT_A_FLOAT = new ReplyError('ERR value is not a valid float')
export const INCR_OVERFLOW = new ReplyError('ERR increment or decrement would overflow')
export const DECR_OVERFLOW = new ReplyError('ERR decrement would overflow')
export const INCR_NAN_OR_INFINITY = new ReplyError('ERR increment would produce NaN or Infinity')
export const VALUE_NAN_OR_INFINITY = new ReplyError('ERR value is NaN or Infinity')
export const HASH_VALUE_NOT_AN_INTEGER = new ReplyError('ERR hash value is not an integer')
export const HASH_VALUE_NOT_A_FLOAT = new ReplyError('ERR hash value is not a float')
/** A count that is the least 64-bit integer, which has no positive counterpart. */
export const COUNT_OUT_OF_RANGE = new ReplyError(
  'ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807',
)
export const NO_SUCH_KEY = new ReplyError('ERR no such key')
export const INDEX_OUT_OF_RANGE = new ReplyError('ERR index out of range')
export const OFFSET_OUT_OF_RANGE = new ReplyError('ERR offset is out of range')
export const STRING_TOO_LONG = new ReplyError('ERR string exceeds maximum allowed size (proto-max-bulk-len)')
export const SAME_OBJECT = new ReplyError('ERR source and destination objects are the same')
export const DB_INDEX_OUT_OF_RANGE = new ReplyError('ERR DB index is out of range')
export const INVALID_DB_INDEX = new ReplyError('ERR invalid DB index')
export const INVALID_FIRST_DB_INDEX = new ReplyError('ERR invalid first DB index')
export const INVALID_SECOND_DB_INDEX = new ReplyError('ERR invalid second DB index')
export const INVALID_CURSOR = new ReplyError('ERR invalid cursor')
export const TIMEOUT_NOT_A_FLOAT = new ReplyError('ERR timeout is not a float or out of range')
export const TIMEOUT_NOT_AN_INTEGER = new ReplyError('ERR timeout is not an integer or out of range')
export const TIMEOUT_OUT_OF_RANGE = new ReplyError('ERR timeout is out of range')
export const TIMEOUT_NEGATIVE = new ReplyError('ERR timeout is negative')
export const NUMKEYS_NOT_POSITIVE = new ReplyError('ERR numkeys should be greater than 0')
export const NUMKEYS_EXCEED_ARGS = new ReplyError("ERR Number of keys can't be greater than number of args")
export const COUNT_NOT_POSITIVE = new ReplyError('ERR count should be greater than 0')
export const LIMIT_NEGATIVE = new ReplyError("ERR LIMIT can't be negative")

// Connection and transactions
export const NOAUTH = new ReplyError('NOAUTH Authentication required.')
export const WRONGPASS = new ReplyError('WRONGPASS invalid username-password pair or user is disabled.')
export const NOPROTO = new ReplyError('NOPROTO unsupported protocol version')
export const PROTOCOL_VERSION_NOT_INTEGER = new ReplyError('ERR Protocol version is not an integer or out of range')
export const EXECABORT = new ReplyError('EXECABORT Transaction discarded because of previous errors.')
export const NESTED_MULTI = new ReplyError('ERR MULTI calls can not be nested')
export const WATCH_INSIDE_MULTI = new ReplyError('ERR WATCH inside MULTI is not allowed')
export const EXEC_WITHOUT_MULTI = new ReplyError('ERR EXEC without MULTI')
export const DISCARD_WITHOUT_MULTI = new ReplyError('ERR DISCARD without MULTI')
export const COMMAND_NOT_IN_TRANSACTION = new ReplyError('ERR Command not allowed inside a transaction')
export const MAX_CLIENTS_REACHED = new ReplyError('ERR max number of clients reached')
export const NOSCRIPT = new ReplyError('NOSCRIPT No matching script. Please use EVAL.')
export const LOADING = new ReplyError('LOADING Redis is loading the dataset in memory')

/** `ERR wrong number of arguments for 'xgroup|create' command`; the full name, lower case. */
export function wrongArity(fullName: string): ReplyError {
  return new ReplyError(`ERR wrong number of arguments for '${fullName}' command`)
}

/** For a name that is no command; shows the first arguments, up to 128 bytes. */
export function unknownCommand(name: string, args: readonly string[]): ReplyError {
  let shown = ''
  for (const arg of args) {
    if (shown.length >= MAX_QUOTED_BYTES) break
    shown += `'${arg.slice(0, MAX_QUOTED_BYTES - shown.length)}' `
  }
  return new ReplyError(oneLine(`ERR unknown command '${name.slice(0, MAX_QUOTED_BYTES)}', with args beginning with: ${shown}`))
}

export function unknownSubcommand(name: string, container: string): ReplyError {
  return new ReplyError(
    oneLine(`ERR unknown subcommand '${name.slice(0, MAX_QUOTED_BYTES)}'. Try ${container.toUpperCase()} HELP.`),
  )
}

/** In RESP2, a client with subscriptions may only send a few commands. */
export function subscribedContext(fullName: string): ReplyError {
  return new ReplyError(
    `ERR Can't execute '${fullName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
  )
}

export function invalidExpireTime(fullName: string): ReplyError {
  return new ReplyError(`ERR invalid expire time in '${fullName}' command`)
}

/** An AOF that cannot be written stops writes; `reason` is the system's message. */
export function misconfAof(reason: string): ReplyError {
  return new ReplyError(`MISCONF Errors writing to the AOF file: ${reason}`)
}

export function disabledCommand(name: string, directive: string): ReplyError {
  return new ReplyError(
    `ERR ${name} command not allowed. If the ${directive} option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.`,
  )
}

/** An `ERR` with a text that a family composes. Line breaks become spaces, as Redis does. */
export function err(text: string): ReplyError {
  return new ReplyError(oneLine(`ERR ${text}`))
}

/** Error text on one line: a line break would end the reply early. */
export function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ')
}
