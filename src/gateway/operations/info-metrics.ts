/**
 * Metrics of the engine, from INFO: their names are those of redis_exporter (github.com/oliver006/redis_exporter,
 * exporter/exporter.go and info.go), so that its dashboards and alerts work. What INFO does not have is left out.
 */
import type { Exposition, HistogramCounts } from './exposition.ts'

type Table = readonly (readonly [field: string, metric: string, help: string])[]

const GAUGES: Table = [
  ['uptime_in_seconds', 'uptime_in_seconds', 'Time since the server started.'],
  ['process_id', 'process_id', 'ID of the process.'],
  ['connected_clients', 'connected_clients', 'Client connections.'],
  ['blocked_clients', 'blocked_clients', 'Clients that wait in a blocking command.'],
  ['tracking_clients', 'tracking_clients', 'Clients that are told of changes of keys.'],
  ['maxclients', 'max_clients', 'Client connections that there may be.'],
  ['clients_in_timeout_table', 'clients_in_timeout_table', 'Clients that wait with a timeout.'],
  ['client_recent_max_input_buffer', 'client_recent_max_input_buffer_bytes', 'Largest input buffer of a client.'],
  ['client_recent_max_output_buffer', 'client_recent_max_output_buffer_bytes', 'Largest output buffer of a client.'],
  ['total_blocking_keys', 'total_blocking_keys', 'Keys that clients wait for.'],
  ['used_memory', 'memory_used_bytes', 'Memory that is in use.'],
  ['used_memory_rss', 'memory_used_rss_bytes', 'Resident memory of the process.'],
  ['used_memory_peak', 'memory_used_peak_bytes', 'Most memory that was in use.'],
  ['used_memory_lua', 'memory_used_lua_bytes', 'Memory of scripts.'],
  ['used_memory_scripts', 'memory_used_scripts_bytes', 'Memory of cached scripts.'],
  ['used_memory_overhead', 'memory_used_overhead_bytes', 'Memory that is not data.'],
  ['used_memory_startup', 'memory_used_startup_bytes', 'Memory that was in use after the start.'],
  ['used_memory_dataset', 'memory_used_dataset_bytes', 'Memory of the data.'],
  ['maxmemory', 'memory_max_bytes', 'Memory that may be used; 0: no limit.'],
  ['number_of_cached_scripts', 'number_of_cached_scripts', 'Scripts that are cached.'],
  ['allocator_active', 'allocator_active_bytes', 'Memory of the allocator.'],
  ['allocator_allocated', 'allocator_allocated_bytes', 'Memory that the allocator has given out.'],
  ['allocator_resident', 'allocator_resident_bytes', 'Resident memory of the allocator.'],
  ['allocator_frag_ratio', 'allocator_frag_ratio', 'Memory of the allocator for each byte given out.'],
  ['mem_fragmentation_ratio', 'mem_fragmentation_ratio', 'Resident memory for each byte in use.'],
  ['mem_fragmentation_bytes', 'mem_fragmentation_bytes', 'Resident memory that is not in use.'],
  ['mem_clients_normal', 'mem_clients_normal', 'Memory of clients.'],
  ['loading', 'loading_dump_file', 'Whether the data is being loaded.'],
  ['rdb_changes_since_last_save', 'rdb_changes_since_last_save', 'Changes since the last snapshot.'],
  ['rdb_bgsave_in_progress', 'rdb_bgsave_in_progress', 'Whether a snapshot is being written.'],
  ['rdb_last_save_time', 'rdb_last_save_timestamp_seconds', 'When the last snapshot was written.'],
  ['rdb_last_bgsave_status', 'rdb_last_bgsave_status', 'Whether the last snapshot was written.'],
  ['aof_enabled', 'aof_enabled', 'Whether there is an append-only file.'],
  ['aof_rewrite_in_progress', 'aof_rewrite_in_progress', 'Whether the append-only file is being rewritten.'],
  ['aof_current_size', 'aof_current_size_bytes', 'Size of the append-only file.'],
  ['aof_base_size', 'aof_base_size_bytes', 'Size of the append-only file after its last rewrite.'],
  ['aof_buffer_length', 'aof_buffer_length', 'Bytes on their way to the append-only file.'],
  ['aof_pending_bio_fsync', 'aof_pending_bio_fsync', 'Syncs of the append-only file under way.'],
  ['aof_delayed_fsync', 'aof_delayed_fsync', 'Syncs of the append-only file that were late.'],
  ['aof_last_bgrewrite_status', 'aof_last_bgrewrite_status', 'Whether the last rewrite succeeded.'],
  ['aof_last_write_status', 'aof_last_write_status', 'Whether the last write to the append-only file succeeded.'],
  ['pubsub_channels', 'pubsub_channels', 'Channels with subscribers.'],
  ['pubsub_patterns', 'pubsub_patterns', 'Patterns with subscribers.'],
  ['latest_fork_usec', 'latest_fork_usec', 'Time of the last fork, in microseconds.'],
  ['connected_slaves', 'connected_slaves', 'Replicas that are connected.'],
  ['repl_backlog_size', 'replication_backlog_bytes', 'Size of the replication backlog.'],
  ['master_repl_offset', 'master_repl_offset', 'Replication offset.'],
]

const COUNTERS: Table = [
  ['total_connections_received', 'connections_received_total', 'Connections that were accepted.'],
  ['total_commands_processed', 'commands_processed_total', 'Commands that were executed.'],
  ['rejected_connections', 'rejected_connections_total', 'Connections that were refused.'],
  ['total_net_input_bytes', 'net_input_bytes_total', 'Bytes that clients sent.'],
  ['total_net_output_bytes', 'net_output_bytes_total', 'Bytes that were sent to clients.'],
  ['expired_keys', 'expired_keys_total', 'Keys that expired.'],
  ['evicted_keys', 'evicted_keys_total', 'Keys that were evicted.'],
  ['keyspace_hits', 'keyspace_hits_total', 'Reads of keys that were there.'],
  ['keyspace_misses', 'keyspace_misses_total', 'Reads of keys that were not there.'],
  ['total_reads_processed', 'total_reads_processed', 'Reads from connections.'],
  ['total_writes_processed', 'total_writes_processed', 'Writes to connections.'],
  ['used_cpu_sys', 'cpu_sys_seconds_total', 'CPU time in the kernel.'],
  ['used_cpu_user', 'cpu_user_seconds_total', 'CPU time of the process itself.'],
  ['acl_access_denied_auth', 'acl_access_denied_auth_total', 'Wrong passwords.'],
  ['acl_access_denied_cmd', 'acl_access_denied_cmd_total', 'Commands that users were denied.'],
  ['acl_access_denied_key', 'acl_access_denied_key_total', 'Keys that users were denied.'],
  ['acl_access_denied_channel', 'acl_access_denied_channel_total', 'Channels that users were denied.'],
]

/** Labels of the metric that says what the server is. */
const INSTANCE_FIELDS = [
  'role',
  'redis_version',
  'redis_build_id',
  'redis_mode',
  'os',
  'maxmemory_policy',
  'tcp_port',
  'run_id',
  'process_id',
] as const

/** How INFO names causes of stalls, and the bounds of their histograms in ms. */
const STALL_CAUSE = 'stall_cause_'
const STALL_BOUND = 'le_'

const NUMBER = /^-?\d+(?:\.\d+)?$/

/** Adds what a reply of INFO says. */
export function addInfo(page: Exposition, info: string): void {
  const fields = parseInfo(info)
  for (const [field, metric, help] of GAUGES) {
    const value = numberOf(fields.get(field))
    if (value !== null) page.gauge(`redis_${metric}`, help, value)
  }
  for (const [field, metric, help] of COUNTERS) {
    const value = numberOf(fields.get(field))
    if (value !== null && value >= 0) page.counter(`redis_${metric}`, help, value)
  }
  addInstance(page, fields)
  addStallCauses(page, fields)
  for (const [field, text] of fields) {
    if (field.startsWith('cmdstat_')) addCommand(page, field.slice('cmdstat_'.length), pairsOf(text))
    else if (field.startsWith('errorstat_')) addError(page, field.slice('errorstat_'.length), pairsOf(text))
    else if (field.startsWith('stall_command_')) addStall(page, field.slice('stall_command_'.length), pairsOf(text))
    else if (/^db\d+$/.test(field)) addDatabase(page, field, pairsOf(text))
  }
}

function addInstance(page: Exposition, fields: ReadonlyMap<string, string>): void {
  const labels = Object.fromEntries(INSTANCE_FIELDS.map((name) => [name, fields.get(name) ?? '']))
  page.gauge('redis_instance_info', 'What the server is.', 1, labels)
  const now = numberOf(fields.get('server_time_usec'))
  const uptime = numberOf(fields.get('uptime_in_seconds'))
  if (now === null || uptime === null) return
  page.gauge('redis_start_time_seconds', 'When the server started.', Math.round(now / 1e6 - uptime))
}

function addCommand(page: Exposition, name: string, pairs: ReadonlyMap<string, number>): void {
  const labels = { cmd: name }
  const usec = pairs.get('usec') ?? 0
  page.counter('redis_commands_total', 'Calls of each command.', pairs.get('calls') ?? 0, labels)
  page.counter('redis_commands_duration_seconds_total', 'Time spent in each command.', usec / 1e6, labels)
  const rejected = pairs.get('rejected_calls')
  if (rejected !== undefined)
    page.counter('redis_commands_rejected_calls_total', 'Calls that were not executed.', rejected, labels)
  const failed = pairs.get('failed_calls')
  if (failed !== undefined) page.counter('redis_commands_failed_calls_total', 'Calls that failed.', failed, labels)
}

function addStall(page: Exposition, command: string, pairs: ReadonlyMap<string, number>): void {
  const labels = { cmd: command }
  const seconds = (pairs.get('ms') ?? 0) / 1000
  page.counter(
    'millrace_command_stalls_total',
    'Stalls that a command was the cause of.',
    pairs.get('count') ?? 0,
    labels,
  )
  page.counter('millrace_command_stall_seconds_total', 'How long they were, together.', seconds, labels)
}

/** The histogram of what has held up the engine's loop. The bounds are those that INFO names. */
function addStallCauses(page: Exposition, fields: ReadonlyMap<string, string>): void {
  let bounds: number[] = []
  const all: HistogramCounts[] = []
  for (const [field, text] of fields) {
    if (!field.startsWith(STALL_CAUSE)) continue
    const pairs = pairsOf(text)
    const named = [...pairs].filter(([name]) => name.startsWith(STALL_BOUND))
    bounds = named.map(([name]) => Number(name.slice(STALL_BOUND.length)) / 1000)
    // Of INFO each number holds those before it.
    const seen = [...named.map(([, count]) => count), pairs.get('count') ?? 0]
    const counts = seen.map((count, i) => count - (seen[i - 1] ?? 0))
    all.push({ labels: { cause: field.slice(STALL_CAUSE.length) }, counts, sum: (pairs.get('ms') ?? 0) / 1000 })
  }
  if (all.length > 0)
    page.histogram('millrace_stall_duration_seconds', 'What held up the loop for 1 ms or longer.', bounds, all)
}

function addError(page: Exposition, code: string, pairs: ReadonlyMap<string, number>): void {
  page.counter('redis_errors_total', 'Error replies by their first word.', pairs.get('count') ?? 0, { err: code })
}

function addDatabase(page: Exposition, name: string, pairs: ReadonlyMap<string, number>): void {
  const labels = { db: name }
  page.gauge('redis_db_keys', 'Keys of each database.', pairs.get('keys') ?? 0, labels)
  page.gauge('redis_db_keys_expiring', 'Keys with an expire time.', pairs.get('expires') ?? 0, labels)
  const ttlMs = pairs.get('avg_ttl')
  if (ttlMs !== undefined) page.gauge('redis_db_avg_ttl_seconds', 'Mean time to live.', ttlMs / 1000, labels)
}

function parseInfo(info: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of info.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

/** Numbers, and the states of which redis_exporter makes numbers. */
function numberOf(text: string | undefined): number | null {
  if (text === 'ok') return 1
  if (text === 'err' || text === 'fail') return 0
  return text !== undefined && NUMBER.test(text) ? Number(text) : null
}

/** `calls=1,usec=2` */
function pairsOf(text: string): Map<string, number> {
  const pairs = new Map<string, number>()
  for (const pair of text.split(',')) {
    const [name = '', value] = pair.split('=')
    const number = numberOf(value)
    if (number !== null) pairs.set(name, number)
  }
  return pairs
}
