/** Directives about replication. */
import { bool, DirectiveFlag, inert, int, later, memory, oneOf, optionalText } from '../directive.ts'
import { INT_MAX, LONG_MAX } from '../number-text.ts'
import { replicaOf } from '../special-directives.ts'

const { DenyLoading, Immutable, MultiArg, Sensitive } = DirectiveFlag
const PAYLOAD_IS_FILE =
  'a full resync always goes through a temporary file, and a replica that comes while it is written shares it'

const BACKLOG_BYTES_MIN = 16 * 1024

const tuning = later('replicas do not do that yet')

export const replicationDirectives = {
  replicaof: replicaOf('The primary to replicate from.', {
    alias: 'slaveof',
    flags: Immutable | MultiArg,
  }),
  masterauth: optionalText('Password for the primary.', { flags: Sensitive }),
  masteruser: optionalText('User for the primary.', { flags: Sensitive }),
  'replica-serve-stale-data': bool(true, 'Answers while the primary is out of reach.', {
    alias: 'slave-serve-stale-data',
  }),
  'replica-read-only': bool(true, 'Refuses writes on a replica.', { alias: 'slave-read-only' }),
  'replica-ignore-maxmemory': bool(true, 'Leaves eviction to the primary.', {
    alias: 'slave-ignore-maxmemory',
  }),
  'replica-lazy-flush': bool(false, 'Frees the old data in the background.', {
    alias: 'slave-lazy-flush',
    effect: tuning,
  }),
  'replica-priority': int(100, 0n, INT_MAX, 'Order in which Sentinel promotes replicas.', {
    alias: 'slave-priority',
  }),
  'replica-announced': bool(true, 'Whether Sentinel lists this replica.'),
  'replica-announce-ip': optionalText('Address that is told to the primary.', {
    alias: 'slave-announce-ip',
  }),
  'replica-announce-port': int(0, 0n, 65535n, 'Port that is told to the primary.', {
    alias: 'slave-announce-port',
  }),
  'replica-ignore-disk-write-errors': bool(false, 'Goes on when a replica cannot write its files.', { effect: tuning }),
  'repl-diskless-sync': bool(true, 'Sends snapshots without a file in between.', {
    effect: inert(PAYLOAD_IS_FILE),
  }),
  'repl-diskless-sync-delay': int(5, 0n, INT_MAX, 'Wait for more replicas before a snapshot starts.', {
    unit: 'seconds',
    effect: inert(PAYLOAD_IS_FILE),
  }),
  'repl-diskless-sync-max-replicas': int(0, 0n, INT_MAX, 'Replicas that end the wait.', {
    effect: inert(PAYLOAD_IS_FILE),
  }),
  'repl-diskless-load': oneOf(['disabled', 'on-empty-db', 'swapdb'], 'disabled', 'Loads from the socket.', {
    flags: DenyLoading,
    effect: inert('a payload always goes through a temporary file, so that a broken one does no harm'),
  }),
  'repl-disable-tcp-nodelay': bool(false, 'Lets the system delay small packets to replicas.'),
  'repl-backlog-size': memory(1024 * 1024, 1n, LONG_MAX, 'Size of the backlog for partial resyncs, at least 16 KiB.', {
    clamp: (value) => Math.max(value, BACKLOG_BYTES_MIN),
  }),
  'repl-backlog-ttl': int(3600, 0n, LONG_MAX, 'How long the backlog is kept without replicas; 0: for ever.', {
    unit: 'seconds',
  }),
  'repl-timeout': int(60, 1n, INT_MAX, 'When a silent link counts as broken.', { unit: 'seconds' }),
  'repl-ping-replica-period': int(10, 1n, INT_MAX, 'Interval of pings to replicas.', {
    alias: 'repl-ping-slave-period',
    unit: 'seconds',
  }),
  'min-replicas-to-write': int(0, 0n, INT_MAX, 'Replicas that must be in step for writes to be accepted.', {
    alias: 'min-slaves-to-write',
  }),
  'min-replicas-max-lag': int(10, 0n, INT_MAX, 'How far behind a replica in step may be.', {
    alias: 'min-slaves-max-lag',
    unit: 'seconds',
  }),
  'propagation-error-behavior': oneOf(
    ['ignore', 'panic', 'panic-on-replicas'],
    'ignore',
    'What happens when a command from the primary fails.',
    { effect: tuning },
  ),
}
