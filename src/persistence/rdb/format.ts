/**
 * The RDB format: opcodes, types of values and encodings of lengths and strings.
 *
 *     'REDIS' + version (4 digits) | records … | EOF | CRC64 of all before, little endian (from version 5 on)
 *
 * A record is an opcode with its content, or [expire time] [idle time or frequency] type, key, value.
 * Source: Valkey 7.2 src/rdb.h; types 22 to 25 and opcodes of slots: documentation of Redis 7.4's format.
 */

/** First bytes of a file, followed by the version as four digits. */
export const RDB_MAGIC = 'REDIS'
/** Versions that are read. */
export const RDB_VERSION_MAX = 12
/** The version of Redis 7.4, which has expire times of fields; only what has such times is written in it. */
export const FIELD_TIMES_VERSION = 12
/** Version of DUMP payloads and of files unless configured: the newest that Redis 7.0 loads. */
export const RDB_VERSION_DEFAULT = 10

/** What stands where the type of a value would stand. */
export const RdbOpcode = {
  SlotInfo: 244,
  Function2: 245,
  FunctionPreRelease: 246,
  ModuleAux: 247,
  Idle: 248,
  Frequency: 249,
  Aux: 250,
  ResizeDb: 251,
  ExpireTimeMs: 252,
  ExpireTimeSeconds: 253,
  SelectDb: 254,
  Eof: 255,
} as const

/**
 * Name of the AUX record before a stream whose type has no active times of consumers: 8 bytes each, little endian, in
 * the order in which the consumers come. Redis passes over it.
 */
export const AUX_ACTIVE_TIMES = 'millrace-active-times'
/** Name of the AUX record with what no type of a stream holds (stream-extras.ts). */
export const AUX_STREAM_EXTRAS = 'millrace-stream'

/** Types of values. */
export const RdbType = {
  String: 0,
  List: 1,
  Set: 2,
  /** Scores as text. */
  Zset: 3,
  Hash: 4,
  /** Scores as binary doubles. From version 8 on. */
  Zset2: 5,
  Module: 6,
  Module2: 7,
  HashZipmap: 9,
  ListZiplist: 10,
  SetIntset: 11,
  ZsetZiplist: 12,
  HashZiplist: 13,
  /** Nodes are ziplists. From version 7 on. */
  ListQuicklist: 14,
  StreamListpacks: 15,
  /** From version 10 on. */
  HashListpack: 16,
  ZsetListpack: 17,
  /** Nodes are listpacks or plain strings. */
  ListQuicklist2: 18,
  /** With first ID, greatest deleted ID, entries added and entries read. */
  StreamListpacks2: 19,
  /** From version 11 on. */
  SetListpack: 20,
  /** With the active time of consumers. */
  StreamListpacks3: 21,
  /** Hashes whose fields have expire times; 22 and 23 are those of the release candidates of 7.4. */
  HashMetadataPreRelease: 22,
  HashListpackExPreRelease: 23,
  HashMetadata: 24,
  HashListpackEx: 25,
} as const

/** Container of a quicklist node. */
export const QuicklistContainer = { Plain: 1, Packed: 2 } as const

/** The two high bits of a length's first byte. */
export const RdbLength = { Bits6: 0, Bits14: 1, Bits32Or64: 2, Encoded: 3 } as const
export const RDB_LENGTH_32 = 0x80
export const RDB_LENGTH_64 = 0x81

/** What follows a length of RdbLength.Encoded: integers, or a compressed string. */
export const RdbEncoding = { Int8: 0, Int16: 1, Int32: 2, Lzf: 3 } as const
