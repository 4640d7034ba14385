/**
 * Settings that the hot path reads, as plain fields. The server copies them from the configuration at start and when
 * CONFIG SET changes one; the names are those of the directives.
 */
export class Limits {
  /** Entries and value bytes up to which a hash is one packed block. */
  hashMaxListpackEntries = 512
  hashMaxListpackValue = 64
  /** Members up to which a set of integers is an intset. */
  setMaxIntsetEntries = 512
  setMaxListpackEntries = 128
  setMaxListpackValue = 64
  zsetMaxListpackEntries = 128
  zsetMaxListpackValue = 64
  /** Positive: entries of a list node; negative: -1 … -5 for 4 … 64 KiB. */
  listMaxListpackSize = -2
  streamNodeMaxBytes = 4096
  streamNodeMaxEntries = 100
  /** How long idempotent IDs of a stream are remembered unless it has a setting of its own, in seconds, and how many. */
  streamIdmpDuration = 100
  streamIdmpMaxsize = 100
  /** Longest sparse HyperLogLog, in bytes. */
  hllSparseMaxBytes = 3000
  /** Longest string, in bytes. */
  protoMaxBulkLen = 512 * 1024 * 1024
  /** DEBUG QUICKLIST-PACKED-THRESHOLD: bytes from which a list element gets a block of its own; 0: Redis' default. */
  quicklistPackedThreshold = 0
}
