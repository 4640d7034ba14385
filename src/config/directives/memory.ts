/** Directives about memory: limits and eviction, encodings of small collections, freeing, defragmentation. */
import { bool, DirectiveFlag, inert, int, memory, oneOf } from '../directive.ts'
import { INT_MAX, INT_MIN, LONG_MAX, ULONG_MAX } from '../number-text.ts'

const { Hidden, Own } = DirectiveFlag
const NO_DEFRAG = 'the arena reuses memory by size class and needs no defragmentation'

function refuseDefrag(value: boolean): string | null {
  if (!value) return null
  return (
    'Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc ' +
    'like the one shipped by default with the Redis source distribution'
  )
}

export const memoryDirectives = {
  maxmemory: memory(0, 0n, ULONG_MAX, 'Memory for data and buffers of clients. 0: no limit.'),
  'maxmemory-policy': oneOf(
    [
      'volatile-lru',
      'volatile-lfu',
      'volatile-lrm',
      'volatile-random',
      'volatile-ttl',
      'allkeys-lru',
      'allkeys-lfu',
      'allkeys-lrm',
      'allkeys-random',
      'noeviction',
    ],
    'noeviction',
    'Which keys go when memory is full: those that were not used (`lru`), changed (`lrm`) for longest, or used least (`lfu`), any, or those whose time is over first.',
  ),
  'maxmemory-samples': int(5, 1n, INT_MAX, 'Keys that are looked at to find the one to evict.'),
  'maxmemory-eviction-tenacity': int(10, 0n, 100n, 'How long eviction may hold up clients.'),
  'lfu-log-factor': int(10, 0n, INT_MAX, 'How slowly the counter of uses of a key grows.'),
  'lfu-decay-time': int(1, 0n, INT_MAX, 'After how long without use the counter of uses loses one. 0: it does not.', {
    unit: 'minutes',
  }),
  'active-expire-effort': int(1, 1n, 10n, 'How much time goes into looking for expired keys.', {
    effect: inert('expired keys are found in the order of their times, without searching'),
  }),
  activerehashing: bool(true, 'Spends idle time on growing tables.', {
    effect: inert('tables always grow in bounded steps'),
  }),

  'hash-max-listpack-entries': int(512, 0n, LONG_MAX, 'Fields up to which a hash is stored as one block.', {
    alias: 'hash-max-ziplist-entries',
  }),
  'hash-max-listpack-value': memory(64, 0n, LONG_MAX, 'Length of fields and values up to which it is one block.', {
    alias: 'hash-max-ziplist-value',
  }),
  'list-max-listpack-size': int(
    -2,
    INT_MIN,
    INT_MAX,
    'Elements in one block of a list; -1 to -5: bytes, 4 KiB to 64 KiB.',
    { alias: 'list-max-ziplist-size' },
  ),
  'list-compress-depth': int(0, 0n, INT_MAX, 'Blocks at each end of a list that stay uncompressed. 0: all.', {
    effect: inert('lists are never compressed'),
  }),
  'set-max-intset-entries': int(512, 0n, LONG_MAX, 'Members up to which a set of integers is stored as such.'),
  'set-max-listpack-entries': int(128, 0n, LONG_MAX, 'Members up to which a set is stored as one block.'),
  'set-max-listpack-value': int(64, 0n, LONG_MAX, 'Length of members up to which a set is one block.'),
  'zset-max-listpack-entries': int(128, 0n, LONG_MAX, 'Members up to which a sorted set is stored as one block.', {
    alias: 'zset-max-ziplist-entries',
  }),
  'zset-max-listpack-value': memory(64, 0n, LONG_MAX, 'Length of members up to which a sorted set is one block.', {
    alias: 'zset-max-ziplist-value',
  }),
  'stream-node-max-bytes': memory(4096, 0n, LONG_MAX, 'Size of one block of a stream. 0: no limit.'),
  'stream-node-max-entries': int(100, 0n, LONG_MAX, 'Entries in one block of a stream. 0: no limit.'),
  'stream-idmp-duration': int(
    100,
    1n,
    86400n,
    'Seconds for which idempotent IDs of `XADD` are remembered, in streams without a setting of their own (`XCFGSET`).',
    { flags: Own },
  ),
  'stream-idmp-maxsize': int(100, 1n, 10000n, 'Idempotent IDs of one producer that such a stream remembers.', {
    flags: Own,
  }),
  'hll-sparse-max-bytes': memory(3000, 0n, LONG_MAX, 'Size up to which a HyperLogLog is stored sparsely.'),

  'lazyfree-lazy-eviction': bool(false, 'Frees evicted values in the background.'),
  'lazyfree-lazy-expire': bool(false, 'Frees expired values in the background.'),
  'lazyfree-lazy-server-del': bool(false, 'Frees overwritten values in the background.'),
  'lazyfree-lazy-user-del': bool(false, 'Makes DEL work as UNLINK.'),
  'lazyfree-lazy-user-flush': bool(false, 'Makes FLUSHALL and FLUSHDB asynchronous by default.'),

  activedefrag: bool(false, 'Moves values together in memory. `yes` is refused, as by a Redis built without it.', {
    effect: inert(NO_DEFRAG),
    check: refuseDefrag,
  }),
  'active-defrag-ignore-bytes': memory(100 * 1024 * 1024, 1n, LONG_MAX, 'Waste below which nothing is moved.', {
    effect: inert(NO_DEFRAG),
  }),
  'active-defrag-threshold-lower': int(10, 0n, 1000n, 'Waste at which moving starts.', {
    unit: 'percent',
    effect: inert(NO_DEFRAG),
  }),
  'active-defrag-threshold-upper': int(100, 0n, 1000n, 'Waste at which moving is fastest.', {
    unit: 'percent',
    effect: inert(NO_DEFRAG),
  }),
  'active-defrag-cycle-min': int(1, 1n, 99n, 'Least share of the processor.', {
    unit: 'percent',
    effect: inert(NO_DEFRAG),
  }),
  'active-defrag-cycle-max': int(25, 1n, 99n, 'Largest share of the processor.', {
    unit: 'percent',
    effect: inert(NO_DEFRAG),
  }),
  'active-defrag-max-scan-fields': int(1000, 1n, LONG_MAX, 'Fields of a value that are moved in one go.', {
    effect: inert(NO_DEFRAG),
  }),
  'jemalloc-bg-thread': bool(true, 'Lets jemalloc purge memory in the background.', {
    effect: inert('there is no jemalloc'),
  }),
  'disable-thp': bool(true, 'Switches transparent huge pages off for the process.', {
    flags: DirectiveFlag.Immutable,
    effect: inert('snapshots do not fork, so huge pages are not copied'),
  }),
  'use-exit-on-panic': bool(false, 'Exits instead of aborting when an assertion fails.', {
    flags: Hidden,
    effect: inert('a switch for tests of Redis itself'),
  }),
}
