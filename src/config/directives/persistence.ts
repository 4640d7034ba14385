/** Directives about files: append-only file, snapshots, directories. */
import { bool, DirectiveFlag, inert, int, memory, oneOf, text } from '../directive.ts'
import { INT_MAX, INT_MIN, LONG_MAX } from '../number-text.ts'
import { directory, savePoints } from '../special-directives.ts'

const { DenyLoading, Hidden, Immutable, MultiArg, Protected } = DirectiveFlag
const MIB = 1024 * 1024

function refusePath(name: string, what: string): (value: string) => string | null {
  return (value) => (/[/\\]/.test(value) ? `${name} can't be a path, just a ${what}` : null)
}

function refuseEmptyOrPath(name: string, what: string): (value: string) => string | null {
  const refuse = refusePath(name, what)
  return (value) => (value === '' ? `${name} can't be empty` : refuse(value))
}

export const persistenceDirectives = {
  dir: directory('./data', 'Directory of all files. The default is created if it is missing, others must exist.', {
    flags: Protected | DenyLoading,
    differsFromRedis: 'with `appendonly yes` files are written at the first start; they get a directory of their own',
  }),
  appendonly: bool(true, 'Writes every change to the append-only file.', {
    flags: DenyLoading,
    differsFromRedis: 'a broker must not lose its queues at a restart',
  }),
  appendfilename: text('appendonly.aof', 'Base name of the append-only files.', {
    flags: Immutable,
    check: refuseEmptyOrPath('appendfilename', 'filename'),
  }),
  appenddirname: text('appendonlydir', 'Directory of the append-only files, inside `dir`.', {
    flags: Immutable,
    check: refuseEmptyOrPath('appenddirname', 'dirname'),
  }),
  appendfsync: oneOf(
    ['everysec', 'always', 'no'],
    'everysec',
    'When changes are forced to the disk: once a second, before each reply, or when the system likes.',
  ),
  'aof-load-truncated': bool(true, 'Starts with an append-only file whose last command was cut off.'),
  'no-appendfsync-on-rewrite': bool(
    false,
    'Does not force changes to the disk while a rewrite or a snapshot is running, whatever `appendfsync` says.',
  ),
  'auto-aof-rewrite-percentage': int(100, 0n, INT_MAX, 'Growth that starts a rewrite. 0: no automatic rewrite.', {
    unit: 'percent',
  }),
  'auto-aof-rewrite-min-size': memory(64 * MIB, 0n, LONG_MAX, 'Size below which no rewrite starts by itself.'),
  'aof-rewrite-incremental-fsync': bool(true, 'Forces the rewritten file to the disk piece by piece.'),
  'aof-use-rdb-preamble': bool(true, 'Whether the base of the append-only file is in RDB format.'),
  'aof-timestamp-enabled': bool(false, 'Writes time stamps into the append-only file.'),
  'aof-checksums': bool(
    true,
    'Writes checksums into the append-only file, as lines that Redis reads past: a flipped bit is found when it is loaded.',
  ),
  'aof-disable-auto-gc': bool(false, 'Keeps append-only files that are no longer needed.', {
    flags: Hidden,
  }),
  save: savePoints(
    [
      { seconds: 3600, changes: 1 },
      { seconds: 300, changes: 100 },
      { seconds: 60, changes: 10000 },
    ],
    'When to write a snapshot: after so many seconds with at least so many changes. `""`: never.',
    { flags: MultiArg },
  ),
  dbfilename: text('dump.rdb', 'Name of the snapshot inside `dir`. `""`: none.', {
    flags: Protected,
    check: refusePath('dbfilename', 'filename'),
  }),
  rdbcompression: bool(true, 'Compresses strings in snapshots.'),
  rdbchecksum: bool(true, 'Ends snapshots with a checksum, and compares it when they are loaded.', {
    flags: Immutable,
  }),
  'rdb-version': int(
    10,
    6n,
    11n,
    'Version of the format that snapshots and DUMP are written in. 10: Redis 7.0 and later read it; 9 (no functions): Redis 5 and 6; below 9: no streams.',
    {
      differsFromRedis: 'Redis has no such directive: each release writes its newest version, which older ones refuse',
    },
  ),
  'rdb-save-incremental-fsync': bool(true, 'Forces snapshots to the disk piece by piece.'),
  'rdb-del-sync-files': bool(false, 'Deletes snapshots that were made for replication.', {
    effect: inert('snapshots for replicas are temporary files in any case'),
  }),
  'rdb-key-save-delay': int(0, INT_MIN, INT_MAX, 'Pause after each key while saving; negative: none.', {
    unit: 'microseconds',
    flags: Hidden,
  }),
  'key-load-delay': int(0, INT_MIN, INT_MAX, 'Pause after each key while loading; -N: of one after N keys.', {
    unit: 'microseconds',
    flags: Hidden,
  }),
  'loading-process-events-interval-bytes': int(2 * MIB, 1024n, INT_MAX, 'How often clients are served while loading.', {
    unit: 'bytes',
    flags: Hidden,
  }),
  'stop-writes-on-bgsave-error': bool(true, 'Refuses writes after a snapshot could not be written.', {}),
  'sanitize-dump-payload': oneOf(['no', 'yes', 'clients'], 'no', 'Whether values from RESTORE are checked in depth.', {
    effect: inert('values from outside are always checked in depth'),
  }),
}
