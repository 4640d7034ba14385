/**
 * Every error a client can see, with Redis' exact text. No other module holds such a text.
 *
 * A ReplyError is thrown by handlers and parsing helpers and caught once, in the execute pipeline, which takes back
 * what the command had written and writes the error. It is no `Error`: it captures no stack and costs nothing to
 * throw. Fixed ones are constants; those with parts are functions.
 * Source of the texts: Valkey 7.2 src/server.c (shared objects) and the files of each command family.
 */
import { formatFixed } from '../bytes/double.ts'
import type { Release } from '../config/version.ts'

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

// Replication
export const NOREPLICAS = new ReplyError('NOREPLICAS Not enough good replicas to write.')
export const SYNC_WITH_PENDING_OUTPUT = new ReplyError('ERR SYNC and PSYNC are invalid with pending output')
export const FILTER_NEEDS_EOF = new ReplyError('ERR Filtered replica requires EOF capability')
export const PSYNC_FAILOVER_TO_PRIMARY = new ReplyError("ERR PSYNC FAILOVER can't be sent to a master.")
export const PAYLOAD_FAILED = new ReplyError("ERR BGSAVE failed, replication can't continue")
export const MISSING_FILTER_VALUES = new ReplyError('ERR Missing rdb-filter-only values')
export const INVALID_PRIMARY_PORT = new ReplyError('ERR Invalid master port')
export const REPLICAOF_BY_REPLICA = new ReplyError('ERR Command is not valid when client is a replica.')
export const READONLY_REPLICA = new ReplyError("READONLY You can't write against a read only replica.")
export const READONLY_SCRIPT = new ReplyError('READONLY Can not run script with write flag on readonly replica')
export const MASTERDOWN = new ReplyError(
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
)
export const MASTERDOWN_SCRIPT = new ReplyError(
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no', and 'allow-stale' flag is not set on the script.",
)
export const SCRIPT_ON_STALE_REPLICA = new ReplyError('ERR Can not execute the command on a stale replica')
export const ROLE_CHANGED = new ReplyError(
  'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
)
export const NOMASTERLINK = new ReplyError("NOMASTERLINK Can't SYNC while not connected with my master")
export const WAIT_ON_REPLICA = new ReplyError(
  'ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.',
)
export const WAITAOF_ON_REPLICA = new ReplyError(
  'ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.',
)

export function replicaAddressTooLong(bytes: number): ReplyError {
  return new ReplyError(`ERR REPLCONF ip-address provided by replica instance is too long: ${bytes} bytes`)
}

export function unsupportedFilter(name: string): ReplyError {
  return err(`Unsupported rdb-filter-only option: ${shown(name)}`)
}

export function unknownReplconfOption(name: string): ReplyError {
  return err(`Unrecognized REPLCONF option: ${shown(name)}`)
}

// Types and values
export const WRONGTYPE = new ReplyError('WRONGTYPE Operation against a key holding the wrong kind of value')
export const SYNTAX_ERROR = new ReplyError('ERR syntax error')
export const NOT_AN_INTEGER = new ReplyError('ERR value is not an integer or out of range')
export const OUT_OF_RANGE = new ReplyError('ERR value is out of range')
export const OUT_OF_RANGE_POSITIVE = new ReplyError('ERR value is out of range, must be positive')
export const NUMLOCAL_OUT_OF_RANGE = new ReplyError('ERR value is out of range, value must between 0 and 1')
export const WAITAOF_WITHOUT_AOF = new ReplyError(
  'ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.',
)
export const REWRITE_IN_PROGRESS = new ReplyError('ERR Background append only file rewriting already in progress')
export const REWRITE_FAILED = new ReplyError(
  "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
)
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
/** A number that must fit a C int (a database's index). */
export const INT_OUT_OF_RANGE = new ReplyError(
  'ERR value is out of range, value must between -2147483648 and 2147483647',
)
export const NO_SUCH_KEY = new ReplyError('ERR no such key')
export const INDEX_OUT_OF_RANGE = new ReplyError('ERR index out of range')
export const OFFSET_OUT_OF_RANGE = new ReplyError('ERR offset is out of range')
export const STRING_TOO_LONG = new ReplyError('ERR string exceeds maximum allowed size (proto-max-bulk-len)')
export const TTL_NEGATIVE = new ReplyError('ERR Invalid TTL value, must be >= 0')
export const IDLETIME_NEGATIVE = new ReplyError('ERR Invalid IDLETIME value, must be >= 0')
export const FREQ_OUT_OF_RANGE = new ReplyError('ERR Invalid FREQ value, must be >= 0 and <= 255')
export const MIGRATE_KEY_NOT_EMPTY = new ReplyError(
  'ERR When using MIGRATE KEYS option, the key argument must be set to the empty string',
)
export const MIGRATE_CANNOT_WAIT = new ReplyError('ERR MIGRATE is not possible within a transaction or a script')
export const MIGRATE_KEY_CHANGED = new ReplyError(
  'ERR A key was changed while it was being migrated. It is not deleted; migrate it again with REPLACE',
)
export const MIGRATION_NOT_CONNECTED = new ReplyError('IOERR error or timeout connecting to the client')
export const BAD_DATA_FORMAT = new ReplyError('ERR Bad data format')
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
/** GEOSEARCH and XAUTOCLAIM. */
export const COUNT_BELOW_ONE = new ReplyError('ERR COUNT must be > 0')
export const COUNT_NOT_POSITIVE = new ReplyError('ERR count should be greater than 0')
export const LIMIT_NEGATIVE = new ReplyError("ERR LIMIT can't be negative")

// Streams
export const INVALID_STREAM_ID = new ReplyError('ERR Invalid stream ID specified as stream command argument')
export const INVALID_START_ID = new ReplyError('ERR invalid start ID for the interval')
export const INVALID_END_ID = new ReplyError('ERR invalid end ID for the interval')
export const TRIM_STRATEGY_TWICE = new ReplyError(
  'ERR syntax error, MAXLEN and MINID options at the same time are not compatible',
)
export const TRIM_STRATEGY_MISSING = new ReplyError('ERR syntax error, XTRIM must be called with a trimming strategy')
export const MAXLEN_NEGATIVE = new ReplyError('ERR The MAXLEN argument must be >= 0.')
export const TRIM_LIMIT_NEGATIVE = new ReplyError('ERR The LIMIT argument must be >= 0.')
export const TRIM_LIMIT_WITHOUT_STRATEGY = new ReplyError(
  'ERR syntax error, LIMIT cannot be used without specifying a trimming strategy',
)
export const TRIM_LIMIT_WITHOUT_APPROXIMATE = new ReplyError(
  'ERR syntax error, LIMIT cannot be used without the special ~ option',
)
export const XADD_ID_ZERO = new ReplyError('ERR The ID specified in XADD must be greater than 0-0')
export const XADD_ID_TOO_SMALL = new ReplyError(
  'ERR The ID specified in XADD is equal or smaller than the target stream top item',
)
export const STREAM_IDS_EXHAUSTED = new ReplyError(
  'ERR The stream has exhausted the last possible ID, unable to add more items',
)
export const STREAM_ENTRY_TOO_LARGE = new ReplyError('ERR Elements are too large to be stored')
export const XSETID_BELOW_TOP = new ReplyError(
  'ERR The ID specified in XSETID is smaller than the target stream top item',
)
export const XSETID_BELOW_DELETED = new ReplyError(
  'ERR The ID specified in XSETID is smaller than current max_deleted_entry_id',
)
export const XSETID_BELOW_GIVEN_DELETED = new ReplyError(
  'ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id',
)
export const ENTRIES_ADDED_NEGATIVE = new ReplyError('ERR entries_added must be positive')
export const ENTRIES_ADDED_BELOW_LENGTH = new ReplyError(
  'ERR The entries_added specified in XSETID is smaller than the target stream length',
)
export const ENTRIES_READ_NEGATIVE = new ReplyError('ERR value for ENTRIESREAD must be positive or -1')
export const BUSYKEY = new ReplyError('BUSYKEY Target key name already exists.')
export const BUSYGROUP = new ReplyError('BUSYGROUP Consumer Group name already exists')
export const XGROUP_KEY_MISSING = new ReplyError(
  'ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.',
)
export const GROUP_ONLY_IN_XREADGROUP = new ReplyError(
  'ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.',
)
export const NOACK_ONLY_IN_XREADGROUP = new ReplyError(
  'ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.',
)
export const GROUP_OPTION_MISSING = new ReplyError('ERR Missing GROUP option for XREADGROUP')
export const DOLLAR_IN_XREADGROUP = new ReplyError(
  'ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.',
)
export const CLAIM_ONLY_IN_XREADGROUP = new ReplyError(
  'ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.',
)
export const MAXAGE_NOT_AN_INTEGER = new ReplyError('ERR maxage is not an integer or out of range')
export const MAXAGE_NOT_POSITIVE = new ReplyError('ERR maxage should be greater than 0')
export const IDLE_NOT_AN_INTEGER = new ReplyError('ERR idle is not an integer or out of range')
export const IDLE_NOT_POSITIVE = new ReplyError('ERR idle should be greater than 0')
export const MAXCOUNT_BELOW_COUNT = new ReplyError('ERR MAXCOUNT must be greater than or equal to COUNT')
export const MIN_IDLE_NOT_AN_INTEGER = new ReplyError('ERR min-idle-time is not an integer or out of range')
export const MIN_IDLE_NEGATIVE = new ReplyError('ERR min-idle-time must be a positive integer')
export const PLUS_IN_XREADGROUP = new ReplyError(
  'ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.',
)
export const NEW_ENTRIES_IN_XREAD = new ReplyError(
  'ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.',
)
export const XCLAIM_MIN_IDLE = new ReplyError('ERR Invalid min-idle-time argument for XCLAIM')
export const XCLAIM_IDLE = new ReplyError('ERR Invalid IDLE option argument for XCLAIM')
export const XCLAIM_TIME = new ReplyError('ERR Invalid TIME option argument for XCLAIM')
export const XCLAIM_RETRYCOUNT = new ReplyError('ERR Invalid RETRYCOUNT option argument for XCLAIM')
export const NUMIDS_NOT_POSITIVE = new ReplyError('ERR Number of IDs must be a positive integer')
export const NUMIDS_MISMATCH = new ReplyError('ERR The `numids` parameter must match the number of arguments')
export const IDMP_NOT_AUTO = new ReplyError('ERR IDMP/IDMPAUTO can be used only with auto-generated IDs')
export const IDMP_TWICE = new ReplyError('ERR IDMP/IDMPAUTO specified multiple times')
export const IDMP_PRODUCER_EMPTY = new ReplyError('ERR IDMP requires a non-empty producer ID')
export const IDMP_ID_EMPTY = new ReplyError('ERR IDMP requires a non-empty idempotent ID')
export const IDMPAUTO_PRODUCER_EMPTY = new ReplyError('ERR IDMPAUTO requires a non-empty producer ID')
export const XCFGSET_NOTHING = new ReplyError('ERR At least one parameter must be specified')
export const IDMP_DURATION_RANGE = new ReplyError('ERR IDMP-DURATION must be between 1 and 86400 seconds')
export const IDMP_MAXSIZE_RANGE = new ReplyError('ERR IDMP-MAXSIZE must be between 1 and 10000 entries')
export const IDMP_DURATION_TWICE = new ReplyError('ERR IDMP-DURATION specified multiple times')
export const IDMP_MAXSIZE_TWICE = new ReplyError('ERR IDMP-MAXSIZE specified multiple times')
export const IDMP_ENTRY_GONE = new ReplyError("ERR The specified stream ID was deleted or doesn't exist")
export const IDMP_OTHER_ENTRY = new ReplyError(
  'ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID',
)
export const XNACK_MODE = new ReplyError('ERR mode must be SILENT, FAIL, or FATAL')
export const XNACK_IDS_MISSING = new ReplyError('ERR syntax error, expected IDS keyword')
export const XNACK_NUMIDS = new ReplyError('ERR numids must be a positive integer')
export const XNACK_NUMIDS_MISMATCH = new ReplyError("ERR number of IDs doesn't match numids")
export const XNACK_RETRYCOUNT = new ReplyError('ERR Invalid RETRYCOUNT value, must be >= 0')
export const XAUTOCLAIM_MIN_IDLE = new ReplyError('ERR Invalid min-idle-time argument for XAUTOCLAIM')

/** XREAD and XREADGROUP: keys and IDs do not pair up; `symbol` is what stands for new entries, `$` or `>`. 7.0 has one text. */
export function unbalancedStreams(fullName: string, symbol: string, release: Release): ReplyError {
  const [name, sign] = release === '7.0' ? ['XREAD', '$'] : [`'${fullName}'`, symbol]
  return new ReplyError(
    `ERR Unbalanced ${name} list of streams: for each stream key an ID or '${sign}' must be specified.`,
  )
}

export function blockInScript(name: string): ReplyError {
  return new ReplyError(oneLine(`ERR ${name} command is not allowed with BLOCK option from scripts`))
}

/** XGROUP and XINFO, where the key exists. */
export function noGroup(group: string, key: string): ReplyError {
  return new ReplyError(oneLine(`NOGROUP No such consumer group '${shown(group)}' for key name '${shown(key)}'`))
}

export function unknownClientFlags(letters: string): ReplyError {
  return new ReplyError(oneLine(`ERR Unknown flags found in the provided filter: ${shown(letters)}`))
}

export function unknownXnackOption(option: string): ReplyError {
  return new ReplyError(oneLine(`ERR Unrecognized XNACK option '${shown(option)}'`))
}

/** XPENDING, XCLAIM and XAUTOCLAIM. */
export function noKeyOrGroup(key: string, group: string): ReplyError {
  return new ReplyError(oneLine(`NOGROUP No such key '${shown(key)}' or consumer group '${shown(group)}'`))
}

/** XREADGROUP that has waited, in the words of 7.0; 7.2 runs the command again and says what that says. */
export const AWAITED_STREAM_IS_GONE = new ReplyError('UNBLOCKED the stream key no longer exists')
export const AWAITED_GROUP_IS_GONE = new ReplyError(
  'NOGROUP the consumer group this client was blocked on no longer exists',
)

export function noGroupInXreadgroup(key: string, group: string): ReplyError {
  return new ReplyError(
    oneLine(`NOGROUP No such key '${shown(key)}' or consumer group '${shown(group)}' in XREADGROUP with GROUP option`),
  )
}

export function unknownXclaimOption(option: string): ReplyError {
  return new ReplyError(oneLine(`ERR Unrecognized XCLAIM option '${shown(option)}'`))
}

// Lists
export const LPOS_RANK_ZERO = new ReplyError(
  "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
)
export const LPOS_COUNT_NEGATIVE = new ReplyError("ERR COUNT can't be negative")
export const LPOS_MAXLEN_NEGATIVE = new ReplyError("ERR MAXLEN can't be negative")

// Sorted sets
export const ZADD_XX_WITH_NX = new ReplyError('ERR XX and NX options at the same time are not compatible')
export const ZADD_GT_LT_NX = new ReplyError('ERR GT, LT, and/or NX options at the same time are not compatible')
export const ZADD_INCR_PAIRS = new ReplyError('ERR INCR option supports a single increment-element pair')
export const SCORE_NAN = new ReplyError('ERR resulting score is not a number (NaN)')
export const SCORE_RANGE_NOT_A_FLOAT = new ReplyError('ERR min or max is not a float')
export const LEX_RANGE_INVALID = new ReplyError('ERR min or max not valid string range item')
export const ZRANGE_LIMIT_BY_RANK = new ReplyError(
  'ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX',
)
export const ZRANGE_LEX_WITH_SCORES = new ReplyError(
  'ERR syntax error, WITHSCORES not supported in combination with BYLEX',
)
export const WEIGHT_NOT_A_FLOAT = new ReplyError('ERR weight value is not a float')

/** ZUNION, ZINTER, ZDIFF and their relatives: numkeys is below 1. */
export function inputKeyNeeded(fullName: string): ReplyError {
  return new ReplyError(`ERR at least 1 input key is needed for '${fullName}' command`)
}

/** MIGRATE whose connection was lost, or whose target says nothing. */
export function migrationFailed(direction: 'reading' | 'writing'): ReplyError {
  return new ReplyError(`IOERR error or timeout ${direction} to target instance`)
}

/** MIGRATE whose target has refused something, in the target's words. */
export function targetError(text: string): ReplyError {
  return new ReplyError(oneLine(`ERR Target instance replied with error: ${text}`))
}

// Geo indexes
export const UNSUPPORTED_UNIT = new ReplyError('ERR unsupported unit provided. please use M, KM, FT, MI')
export const RADIUS_NOT_NUMERIC = new ReplyError('ERR need numeric radius')
export const RADIUS_NEGATIVE = new ReplyError('ERR radius cannot be negative')
export const WIDTH_NOT_NUMERIC = new ReplyError('ERR need numeric width')
export const HEIGHT_NOT_NUMERIC = new ReplyError('ERR need numeric height')
export const BOX_NEGATIVE = new ReplyError('ERR height or width cannot be negative')
export const MEMBER_NOT_DECODED = new ReplyError('ERR could not decode requested zset member')
export const ANY_WITHOUT_COUNT = new ReplyError('ERR the ANY argument requires COUNT argument')

/** A longitude or a latitude that cannot be stored. */
export function invalidPosition(longitude: number, latitude: number): ReplyError {
  return new ReplyError(`ERR invalid longitude,latitude pair ${formatFixed(longitude, 6)},${formatFixed(latitude, 6)}`)
}

/** GEOSEARCHSTORE and GEORADIUS … STORE. */
export function notWithStore(what: string): ReplyError {
  return new ReplyError(`ERR ${what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`)
}

/** GEOSEARCH and GEOSEARCHSTORE; `command` as the client wrote it. */
export function exactlyOneOf(options: string, command: string): ReplyError {
  return new ReplyError(`ERR exactly one of ${options} can be specified for ${shown(command)}`)
}

// Strings and keys
export const LCS_NOT_STRINGS = new ReplyError('ERR The specified keys must contain string values')
export const LCS_LENGTH_AND_INDEXES = new ReplyError(
  'ERR If you want both the length and indexes, please just use IDX.',
)
export const LCS_TABLE_TOO_LARGE = new ReplyError(
  'ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len',
)
export const EXPIRE_NX_WITH_OTHERS = new ReplyError(
  'ERR NX and XX, GT or LT options at the same time are not compatible',
)
export const EXPIRE_TIME_NEGATIVE = new ReplyError('ERR invalid expire time, must be >= 0')
/** FIELDS numfields of the hash commands; HEXPIRE, HPERSIST and HSETEX name a wrong number in different ways. */
export const FIELDS_MISSING = new ReplyError('ERR Mandatory argument FIELDS is missing or not at the right position')
export const NUMFIELDS_NOT_ABOVE_0 = new ReplyError('ERR Parameter `numFields` should be greater than 0')
export const NUMFIELDS_NOT_POSITIVE = new ReplyError('ERR Number of fields must be a positive integer')
export const NUMFIELDS_INVALID = new ReplyError('ERR invalid number of fields')
export const NUMFIELDS_MISMATCH = new ReplyError('ERR The `numfields` parameter must match the number of arguments')
export const HSETEX_CONDITIONS = new ReplyError('ERR Only one of FXX or FNX arguments can be specified')
export const HSETEX_TIMES = new ReplyError('ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified')
export const EXPIRE_TIME_MISSING = new ReplyError('ERR missing expire time')
export const EXPIRE_GT_AND_LT = new ReplyError('ERR GT and LT options at the same time are not compatible')
export const LFU_POLICY_SELECTED = new ReplyError(
  'ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
)
export const LFU_POLICY_NOT_SELECTED = new ReplyError(
  'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
)
export const DIGEST_FORMAT = new ReplyError('ERR must be exactly 16 hexadecimal characters')
export const CONDITION_NEEDS_STRING = new ReplyError('ERR Key should be of string type if conditions are specified')
export const DELEX_CONDITION = new ReplyError('ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE')
export const NUMKEYS_INVALID = new ReplyError('ERR invalid numkeys value')
export const KEY_VALUE_PAIRS = new ReplyError('ERR wrong number of key-value pairs')
export const INCREMENT_NOT_AN_INTEGER = new ReplyError('ERR Increment is not an integer or out of range')
export const INCREMENT_NOT_A_FLOAT = new ReplyError('ERR Increment is not a valid float')
export const INCREMENT_INFINITE = new ReplyError('ERR BYFLOAT increment cannot be Infinity')
export const VALUE_INFINITE = new ReplyError('ERR value cannot be Infinity')
export const BOUNDS_REVERSED = new ReplyError("ERR LBOUND can't be greater than UBOUND")
export const ENX_WITHOUT_TIME = new ReplyError('ERR ENX flag requires an expiration (EX, PX, EXAT or PXAT)')
export const APPLIED_INCREMENT_OVERFLOW = new ReplyError('ERR applied increment would overflow')

// Bitmaps
export const BIT_OFFSET_OUT_OF_RANGE = new ReplyError('ERR bit offset is not an integer or out of range')
export const BIT_OUT_OF_RANGE = new ReplyError('ERR bit is not an integer or out of range')
export const BITPOS_BIT = new ReplyError('ERR The bit argument must be 1 or 0.')
export const BITOP_NOT_KEYS = new ReplyError('ERR BITOP NOT must be called with a single source key.')
export const BITFIELD_TYPE = new ReplyError(
  'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.',
)
export const BITFIELD_OVERFLOW = new ReplyError('ERR Invalid OVERFLOW type specified')
export const BITFIELD_RO_WRITES = new ReplyError('ERR BITFIELD_RO only supports the GET subcommand')

/** BITOP; `operation` in upper case. */
export function bitopKeysNeeded(operation: string): ReplyError {
  return new ReplyError(`ERR BITOP ${operation} must be called with at least two source keys.`)
}

// HyperLogLogs
export const NOT_HYPERLOGLOG = new ReplyError('WRONGTYPE Key is not a valid HyperLogLog string value.')
export const HLL_CORRUPTED = new ReplyError('INVALIDOBJ Corrupted HLL object detected')
export const HLL_NOT_SPARSE = new ReplyError('ERR HLL encoding is not sparse')
export const SPECIFIED_KEY_MISSING = new ReplyError('ERR The specified key does not exist')
export const TEST_SPARSE_NOT_USED = new ReplyError('ERR TESTFAILED sparse encoding not used')
export const TEST_DENSE_AND_SPARSE_DISAGREE = new ReplyError('ERR TESTFAILED dense/sparse disagree')

export function unknownPfdebugSubcommand(name: string): ReplyError {
  return err(`Unknown PFDEBUG subcommand '${shown(name)}'`)
}

export function testRegisterFailed(index: number, expected: number, actual: number): ReplyError {
  return new ReplyError(`ERR TESTFAILED Register ${index} should be ${expected} but is ${actual}`)
}

export function testEstimateFailed(cardinality: number, error: number): ReplyError {
  return new ReplyError(`ERR TESTFAILED Too big error. card:${cardinality} abserr:${error}`)
}

// Sorting
export const SORT_SCORE_NOT_A_DOUBLE = new ReplyError("ERR One or more scores can't be converted into double")

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
export const UNBLOCKED = new ReplyError('UNBLOCKED client unblocked via CLIENT UNBLOCK')
export const AUTH_WITHOUT_PASSWORD = new ReplyError(
  'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
)
export const HELLO_NOAUTH = new ReplyError(
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
)
export const INVALID_CLIENT_NAME = new ReplyError(
  'ERR Client names cannot contain spaces, newlines or special characters.',
)
export const NO_SUCH_CLIENT = new ReplyError('ERR No such client')
export const INVALID_CLIENT_ID = new ReplyError('ERR Invalid client ID')
export const CLIENT_ID_NOT_POSITIVE = new ReplyError('ERR client-id should be greater than 0')
export const UNBLOCK_REASON = new ReplyError('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR')
export const PAUSE_MODE = new ReplyError('ERR CLIENT PAUSE mode must be WRITE or ALL')
export const CLUSTER_DISABLED = new ReplyError('ERR This instance has cluster support disabled')
export const TRACKING_REDIRECT_TWICE = new ReplyError('ERR A client can only redirect to a single other client')
export const TRACKING_REDIRECT_ABSENT = new ReplyError('ERR The client ID you want redirect to does not exist')
export const TRACKING_PREFIX_NEEDS_BCAST = new ReplyError('ERR PREFIX option requires BCAST mode to be enabled')
export const TRACKING_SWITCHES_BCAST = new ReplyError(
  "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
)
export const TRACKING_BCAST_OPT = new ReplyError('ERR OPTIN and OPTOUT are not compatible with BCAST')
export const TRACKING_BOTH_OPTS = new ReplyError("ERR You can't specify both OPTIN mode and OPTOUT mode")
export const TRACKING_SWITCHES_OPT = new ReplyError(
  "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
)
export const CACHING_WITHOUT_TRACKING = new ReplyError(
  'ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
)
export const CACHING_YES_NEEDS_OPTIN = new ReplyError(
  'ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.',
)
export const CACHING_NO_NEEDS_OPTOUT = new ReplyError(
  'ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.',
)
export const MONITOR_DENIED = new ReplyError("ERR MONITOR isn't allowed for DENY BLOCKING client")

// Access
export const INVALID_USER_NAME = new ReplyError("ERR Usernames can't contain spaces or null characters")
export const DEFAULT_USER_STAYS = new ReplyError("ERR The 'default' user cannot be removed")
export const NO_ACL_FILE = new ReplyError(
  'ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.',
)
export const ACL_SAVE_FAILED = new ReplyError(
  'ERR There was an error trying to save the ACLs. Please check the server logs for more information',
)
export const GENPASS_BITS = new ReplyError(
  'ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096',
)
export const INVALID_TOKEN_NAME = new ReplyError('ERR Token names are limited to 256 bytes')
export const SORT_BY_DENIED = new ReplyError('ERR BY option of SORT denied due to insufficient ACL permissions.')
export const SORT_GET_DENIED = new ReplyError('ERR GET option of SORT denied due to insufficient ACL permissions.')

export function unknownCategory(name: string): ReplyError {
  return new ReplyError(oneLine(`ERR Unknown category '${shown(name).slice(0, MAX_QUOTED_BYTES)}'`))
}

/** ACL DRYRUN and ACL TOKEN. */
export function userNotFound(name: string): ReplyError {
  return new ReplyError(oneLine(`ERR User '${shown(name)}' not found`))
}

/** ACL DRYRUN. */
export function commandNotFound(name: string): ReplyError {
  return new ReplyError(oneLine(`ERR Command '${shown(name)}' not found`))
}

/** ACL RESTTOKEN, in Upstash's words. */
export function wrongTokenUser(name: string): ReplyError {
  return new ReplyError(oneLine(`ERR Wrong password or user "${shown(name)}" does not exist`))
}

/** What a call was denied for. */
export const DenialReason = { Command: 0, Key: 1, Channel: 2 } as const
export type DenialReason = (typeof DenialReason)[keyof typeof DenialReason]

/** A call that the user is not allowed. Its text names no key or channel: that is for `detail`. */
export class AccessDenied extends ReplyError {
  readonly reason: DenialReason
  /** The command, key or channel that is not allowed. */
  readonly object: string
  /** As the text, without the code and with the object. */
  readonly detail: string
  /** What a script is told, without the code. */
  readonly inScript: string

  constructor(reason: DenialReason, user: DeniedUser, object: string) {
    const is70 = user.release === '7.0'
    const kind = reason === DenialReason.Key ? 'key' : 'channel'
    const isCommand = reason === DenialReason.Command
    const run = `has no permissions to run the '${object}' command`
    const who = is70 ? 'This user' : `User ${shown(user.name)}`
    const access = is70
      ? `this user has no permissions to access one of the ${kind}s used as arguments`
      : `No permissions to access a ${kind}`
    super(oneLine(`NOPERM ${isCommand ? `${is70 ? 'this user' : who} ${run}` : access}`))
    this.reason = reason
    this.object = object
    this.detail = oneLine(
      isCommand ? `${who} ${run}` : `${who} has no permissions to access the '${shown(object)}' ${kind}`,
    )
    this.inScript = is70
      ? `The user executing the script ${DENIED_IN_SCRIPT_7_0[reason]}`
      : `ACL failure in script: ${this.text.replace(/^NOPERM /, '')}`
  }
}

/** Who was denied something; the release of Redis says in which words. */
export interface DeniedUser {
  readonly name: string
  readonly release: Release
}

const DENIED_IN_SCRIPT_7_0: Readonly<Record<DenialReason, string>> = [
  "can't run this command or subcommand",
  "can't access at least one of the keys mentioned in the command arguments",
  "can't publish to the channel mentioned in the command",
]

/** redis.call of a command that the user of the script is not allowed. */
export function deniedInScript(denial: AccessDenied): ReplyError {
  return new ReplyError(`ERR ${denial.inScript}`)
}

/** A queued command that is not allowed any more when EXEC comes to it. */
export function deniedInExec(denial: AccessDenied): ReplyError {
  const reasons = [
    'no permission to execute the command or subcommand',
    'no permission to touch the specified keys',
    'no permission to access one of the channels used as arguments',
  ]
  return new ReplyError(
    `NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: ${reasons[denial.reason]}`,
  )
}

// Server
export const GETKEYS_INVALID_COMMAND = new ReplyError('ERR Invalid command specified')
export const GETKEYS_NO_KEYS = new ReplyError('ERR The command has no key arguments')
export const GETKEYS_WRONG_ARITY = new ReplyError('ERR Invalid number of arguments specified for command')
export const GETKEYS_INVALID_ARGUMENTS = new ReplyError('ERR Invalid arguments specified for command')
export const SLOWLOG_COUNT = new ReplyError('ERR count should be greater than or equal to -1')
export const MODULE_LOAD_FAILED = new ReplyError('ERR Error loading the extension. Please check the server logs.')
export const MODULE_UNKNOWN = new ReplyError('ERR Error unloading module: no such module with that name')
export const NO_SHUTDOWN = new ReplyError('ERR No shutdown in progress.')
export const SHUTDOWN_FAILED = new ReplyError('ERR Errors trying to SHUTDOWN. Check logs.')
export const SHUTDOWN_DENIED = new ReplyError(
  "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client",
)
export const DEBUG_PROTOCOL_NEEDS_RESP3 = new ReplyError('ERR RESP2 is not supported by this command')
export const DEBUG_PROTOCOL_TYPE = new ReplyError(
  'ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false',
)
export const DEBUG_DB_OUT_OF_RANGE = new ReplyError('ERR Out of range database')
export const DEBUG_LOADAOF_FAILED = new ReplyError('ERR Error trying to load the AOF files, check server logs.')
export const DEBUG_RELOAD_OPTIONS = new ReplyError(
  'ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.',
)
export const DEBUG_RELOAD_FAILED = new ReplyError('ERR Error trying to load the RDB dump, check server logs.')
/** SAVE and what saves first; the log says why. */
export const SAVE_FAILED = new ReplyError('ERR')
export const SAVE_IN_PROGRESS = new ReplyError('ERR Background save already in progress')
export const NO_SAVE_TO_CANCEL = new ReplyError('ERR Background saving is currently not in progress or scheduled')
export const BGSAVE_DENIED = new ReplyError(
  "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
)
/** A snapshot that failed stops writes (`stop-writes-on-bgsave-error`). */
const MISCONF_RDB_SCRIPT = new ReplyError(
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.",
)
export const MISCONF_RDB = new ReplyError(
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
)
export const DEBUG_PACKED_THRESHOLD = new ReplyError(
  'ERR argument must be a memory value bigger than 1 and smaller than 4gb',
)
/** Never sent: the client is closed when its reply outgrows its output limit. */
export const OUTPUT_LIMIT_REACHED = new ReplyError('ERR output buffer limit reached')
export const NOSCRIPT = new ReplyError('NOSCRIPT No matching script. Please use EVAL.')
export const OOM = new ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
export const OOM_SCRIPT = new ReplyError(
  "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
)
export const LOADING = new ReplyError('LOADING Redis is loading the dataset in memory')

// Scripts
export const NUMKEYS_NEGATIVE = new ReplyError("ERR Number of keys can't be negative")
export const SCRIPT_UNKNOWN_COMMAND = new ReplyError('ERR Unknown Redis command called from script')
export const SCRIPT_WRONG_ARITY = new ReplyError('ERR Wrong number of args calling Redis command from script')
export const SCRIPT_COMMAND_NOT_ALLOWED = new ReplyError('ERR This Redis command is not allowed from script')
export const SCRIPT_IS_READ_ONLY = new ReplyError('ERR Write commands are not allowed from read-only scripts.')
export const SCRIPT_WRITES_IN_RO = new ReplyError('ERR Can not execute a script with write flag using *_ro command.')
export const SCRIPT_DEBUG_MODE = new ReplyError('ERR Use SCRIPT DEBUG YES/SYNC/NO')
export const NO_SCRIPT_DEBUGGER = new ReplyError('ERR This server has no script debugger')
export const SCRIPT_FLUSH_OPTION = new ReplyError('ERR SCRIPT FLUSH only support SYNC|ASYNC option')
export const BUSY = new ReplyError(
  'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
)
export const BUSY_FUNCTION = new ReplyError(
  'BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.',
)
export const NOTBUSY = new ReplyError('NOTBUSY No scripts in execution right now.')
export const UNKILLABLE = new ReplyError(
  'UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.',
)

// Functions
export const FUNCTION_NOT_FOUND = new ReplyError('ERR Function not found')
export const FUNCTION_KEY_COUNT = new ReplyError('ERR Bad number of keys provided')
export const LIBRARY_NOT_FOUND = new ReplyError('ERR Library not found')
export const LIBRARY_NAME_MISSING = new ReplyError('ERR library name argument was not given')
export const FUNCTION_FLUSH_OPTION = new ReplyError('ERR FUNCTION FLUSH only supports SYNC|ASYNC option')
export const RESTORE_POLICY = new ReplyError(
  'ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.',
)
export const DUMP_PAYLOAD_WRONG = new ReplyError('ERR DUMP payload version or checksum are wrong')

/** DUMP of a value that the version set by `rdb-version` has no type for; Redis has no such setting. */
export function cannotDump(reason: string): ReplyError {
  return new ReplyError(oneLine(`ERR ${reason}`))
}

/** A script that does not compile; `problem` is Lua's message with its position. */
export function scriptCompileError(problem: string): ReplyError {
  return new ReplyError(oneLine(`ERR Error compiling script (new function): ${problem}`))
}

/** A refused EXEC ends its transaction. */
export function execAborted(reason: string): ReplyError {
  return new ReplyError(`EXECABORT Transaction discarded because of: ${reason.replace(/^ERR /, '')}`)
}

/** A command that turns replies into a stream, where every command must have one reply; `name` in upper case. */
export function subscribeDenied(name: string): ReplyError {
  return new ReplyError(`ERR ${name} isn't allowed for a DENY BLOCKING client`)
}

export function helloOption(option: string): ReplyError {
  return new ReplyError(oneLine(`ERR Syntax error in HELLO option '${option}'`))
}

/** CLIENT SETINFO: a value that would break the format of CLIENT LIST. */
export function invalidClientAttribute(attribute: string): ReplyError {
  return new ReplyError(oneLine(`ERR ${attribute} cannot contain spaces, newlines or special characters.`))
}

/** LATENCY GRAPH of what has not happened. */
export function noLatencySamples(event: string): ReplyError {
  return err(`No samples available for event '${shown(event)}'`)
}

/** CLIENT TRACKING: a prefix that overlaps with one the client has, or with another one of the call. */
export function overlappingOwnPrefix(prefix: string, own: string): ReplyError {
  return err(
    `Prefix '${shown(prefix)}' overlaps with an existing prefix '${shown(own)}'. Prefixes for a single client must not overlap.`,
  )
}

export function overlappingPrefixes(prefix: string, other: string): ReplyError {
  return err(
    `Prefix '${shown(prefix)}' overlaps with another provided prefix '${shown(other)}'. Prefixes for a single client must not overlap.`,
  )
}

export function unrecognizedOption(option: string): ReplyError {
  return new ReplyError(oneLine(`ERR Unrecognized option '${option}'`))
}

export function unknownClientType(type: string): ReplyError {
  return new ReplyError(oneLine(`ERR Unknown client type '${type}'`))
}

export function noSuchUser(user: string): ReplyError {
  return new ReplyError(oneLine(`ERR No such user '${shown(user)}'`))
}

/** `ERR wrong number of arguments for 'xgroup|create' command`; the full name, lower case. */
export function wrongArity(fullName: string): ReplyError {
  return new ReplyError(`ERR wrong number of arguments for '${fullName}' command`)
}

/** For a name that is no command; shows the first arguments, up to 128 bytes. */
export function unknownCommand(name: string, args: readonly string[]): ReplyError {
  let list = ''
  for (const arg of args) {
    if (list.length >= MAX_QUOTED_BYTES) break
    list += `'${shown(arg.slice(0, MAX_QUOTED_BYTES - list.length))}' `
  }
  return new ReplyError(
    oneLine(`ERR unknown command '${shown(name.slice(0, MAX_QUOTED_BYTES))}', with args beginning with: ${list}`),
  )
}

export function unknownSubcommand(name: string, container: string): ReplyError {
  return new ReplyError(
    oneLine(`ERR unknown subcommand '${shown(name.slice(0, MAX_QUOTED_BYTES))}'. Try ${container.toUpperCase()} HELP.`),
  )
}

/** A container that knows the subcommand, but not with these arguments; names as the client gave them. */
export function subcommandSyntax(subcommand: string, container: string): ReplyError {
  const quoted = subcommand.slice(0, MAX_QUOTED_BYTES)
  return new ReplyError(
    oneLine(
      `ERR unknown subcommand or wrong number of arguments for '${quoted}'. Try ${container.toUpperCase()} HELP.`,
    ),
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

const MISCONF_AOF = 'MISCONF Errors writing to the AOF file: '

/** An AOF that cannot be written stops writes; `reason` is the system's message. */
export function misconfAof(reason: string): ReplyError {
  return new ReplyError(`${MISCONF_AOF}${reason}`)
}

/** What a script that declares to write is told in place of `MISCONF_RDB` or `misconfAof`. */
export function diskRefusalOfScript(refusal: ReplyError): ReplyError {
  const { text } = refusal
  if (text.startsWith(MISCONF_AOF))
    return new ReplyError(
      `MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: ${text.slice(MISCONF_AOF.length)}`,
    )
  return MISCONF_RDB_SCRIPT
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

/** Text of a client within an error: Redis prints it as a C string, which ends at the first zero byte. */
export function shown(text: string): string {
  const zero = text.indexOf('\0')
  return zero < 0 ? text : text.slice(0, zero)
}

/** Error text on one line: a line break would end the reply early. */
export function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ')
}
