/**
 * The sections of INFO: for each, lines of `name:value`. Values are counted or measured; where this server has nothing of
 * the kind (fork, replicas, defragmentation), they are what a Redis that does none of it says.
 *
 * When you add a counter that INFO should show, add it to its section here.
 * Source: Valkey src/server.c `genRedisInfoString`, whose names and order these are.
 */
import { arch, machine, release, totalmem, type } from 'node:os'
import { REDIS_VERSION } from '../../config/version.ts'
import type { Database } from '../../keyspace/database.ts'
import { STALL_BOUNDS_MS, type StallHistogram } from '../../observe/stalls.ts'
import { AofState } from '../../persistence/append-only.ts'
import type { LoadStatus } from '../../persistence/load-progress.ts'
import type { CommandContext } from '../context.ts'
import { countTargets } from '../generic/migration.ts'
import type { Command } from '../registry.ts'
import type { AttachedReplica } from '../replication/control.ts'
import { LinkState } from '../replication/following-control.ts'
import { replicaAddress } from '../replication/replica-address.ts'
import { existingScriptRunner } from '../scripting/script-runner.ts'
import { humanBytes } from './human-bytes.ts'
import { memoryOverview } from './memory-overview.ts'

/** Name and value of each line. */
export type InfoLines = readonly (readonly [name: string, value: string | number])[]

const SERVER_NAME = 'millrace'
const EXPIRE_SAMPLES = 128
const US_PER_S = 1_000_000
const MS_PER_DAY = 86_400_000
/** Bits of the clock that LRU times are kept in. */
const LRU_CLOCK_MASK = 0xffffff

export function serverLines({ server, config, now }: CommandContext): InfoLines {
  const uptimeMs = Math.max(0, now - server.startedMs)
  const hz = config.number('hz')
  return [
    ['redis_version', REDIS_VERSION],
    ['server_name', SERVER_NAME],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', '0'],
    ['redis_mode', 'standalone'],
    ['os', `${type()} ${release()} ${machine()}`],
    ['arch_bits', arch() === 'ia32' || arch() === 'arm' ? 32 : 64],
    ['monotonic_clock', 'performance.now'],
    ['multiplexing_api', process.platform === 'linux' ? 'epoll' : 'libuv'],
    ['node_version', process.versions.node],
    ['process_id', process.pid],
    ['process_supervised', 'no'],
    ['run_id', server.runId],
    ['tcp_port', config.number('port')],
    ['server_time_usec', now * 1000],
    ['uptime_in_seconds', Math.floor(uptimeMs / 1000)],
    ['uptime_in_days', Math.floor(uptimeMs / MS_PER_DAY)],
    ['hz', hz],
    ['configured_hz', hz],
    ['lru_clock', Math.floor(now / 1000) & LRU_CLOCK_MASK],
    ['executable', process.execPath],
    ['config_file', config.configFile ?? ''],
    ['io_threads_active', 0],
    ...(server.leaving.msLeft === null ? [] : [['shutdown_in_milliseconds', server.leaving.msLeft] as const]),
  ]
}

export function clientLines({ server, config, keyspace }: CommandContext): InfoLines {
  let inputMax = 0
  let outputMax = 0
  let timeouts = 0
  for (const session of server.sessions()) {
    inputMax = Math.max(inputMax, session.pendingInputBytes)
    outputMax = Math.max(outputMax, session.pendingOutputBytes)
    if (session.deadlineMs > 0) timeouts++
  }
  return [
    ['connected_clients', server.clientCount],
    ['cluster_connections', 0],
    ['maxclients', config.number('maxclients')],
    ['client_recent_max_input_buffer', inputMax],
    ['client_recent_max_output_buffer', outputMax],
    ['blocked_clients', server.blockedCount],
    ['tracking_clients', server.tracking.clientCount],
    ['clients_in_timeout_table', timeouts],
    ['total_blocking_keys', keyspace.databases.reduce((sum, db) => sum + db.blocked.size, 0)],
    ['total_blocking_keys_on_nokey', keyspace.databases.reduce((sum, db) => sum + keysAwaitedAbsent(db), 0)],
  ]
}

export function memoryLines(ctx: CommandContext): InfoLines {
  const { server, config, keyspace } = ctx
  const runner = existingScriptRunner(ctx)
  const overview = memoryOverview(ctx)
  const { used, rss, peak, startup, reserved, overhead, dataset } = overview
  const { scripts: evalBytes, functions: functionBytes } = overview
  const scriptBytes = evalBytes + functionBytes
  const total = totalmem()
  const maxmemory = config.number('maxmemory')
  return [
    ['used_memory', used],
    ['used_memory_human', humanBytes(used)],
    ['used_memory_rss', rss],
    ['used_memory_rss_human', humanBytes(rss)],
    ['used_memory_peak', peak],
    ['used_memory_peak_human', humanBytes(peak)],
    ['used_memory_peak_perc', `${ratio(used * 100, peak)}%`],
    ['used_memory_overhead', overhead],
    ['used_memory_startup', startup],
    ['used_memory_dataset', dataset],
    ['used_memory_dataset_perc', `${ratio(dataset * 100, used - startup)}%`],
    ['allocator_allocated', used],
    ['allocator_active', reserved],
    ['allocator_resident', rss],
    ['total_system_memory', total],
    ['total_system_memory_human', humanBytes(total)],
    ['used_memory_lua', evalBytes],
    ['used_memory_vm_eval', evalBytes],
    ['used_memory_lua_human', humanBytes(evalBytes)],
    ['used_memory_scripts_eval', evalBytes],
    ['number_of_cached_scripts', runner?.engine.count ?? 0],
    ['number_of_functions', runner?.functions.functionCount ?? 0],
    ['number_of_libraries', runner?.functions.size ?? 0],
    ['used_memory_vm_functions', functionBytes],
    ['used_memory_vm_total', scriptBytes],
    ['used_memory_vm_total_human', humanBytes(scriptBytes)],
    ['used_memory_functions', functionBytes],
    ['used_memory_scripts', scriptBytes],
    ['used_memory_scripts_human', humanBytes(scriptBytes)],
    ['maxmemory', maxmemory],
    ['maxmemory_human', humanBytes(maxmemory)],
    ['maxmemory_policy', config.text('maxmemory-policy')],
    ['allocator_frag_ratio', ratio(reserved, used)],
    ['allocator_frag_bytes', reserved - used],
    ['allocator_rss_ratio', ratio(rss, reserved)],
    ['allocator_rss_bytes', rss - reserved],
    ['rss_overhead_ratio', '1.00'],
    ['rss_overhead_bytes', 0],
    ['mem_fragmentation_ratio', ratio(rss, used)],
    ['mem_fragmentation_bytes', rss - used],
    ['mem_not_counted_for_evict', overview.uncounted],
    ['mem_replication_backlog', overview.backlog],
    ['mem_total_replication_buffers', server.replication.bufferBytes],
    ['mem_clients_slaves', overview.replicas],
    ['mem_clients_normal', overview.clients],
    ['mem_cluster_links', 0],
    ['mem_aof_buffer', overview.aofBuffer],
    ['mem_allocator', 'millrace-arena'],
    ['active_defrag_running', 0],
    ['lazyfree_pending_objects', keyspace.lazyFree.pendingObjects],
    ['lazyfreed_objects', keyspace.lazyFree.freedObjects],
  ]
}

export function persistenceLines({ server, keyspace, now }: CommandContext): InfoLines {
  const { appendOnly: aof, loading, saving, snapshots } = server
  const lines: [string, string | number][] = [
    ['loading', loading.isActive ? 1 : 0],
    ['async_loading', 0],
    ['current_cow_peak', snapshots.heldBytes],
    ['current_cow_size', snapshots.heldBytes],
    ['current_cow_size_age', 0],
    ['current_fork_perc', ratio(snapshots.keysDone * 100, snapshots.keysTotal)],
    ['current_save_keys_processed', snapshots.keysDone],
    ['current_save_keys_total', snapshots.keysTotal],
    ['rdb_changes_since_last_save', keyspace.stats.changes],
    ['rdb_bgsave_in_progress', saving.isSaving || server.replication.isWritingPayload ? 1 : 0],
    ['rdb_last_save_time', Math.floor(saving.lastSaveMs / 1000)],
    ['rdb_last_bgsave_status', saving.isLastOk ? 'ok' : 'err'],
    ['rdb_last_bgsave_time_sec', saving.lastSeconds],
    ['rdb_current_bgsave_time_sec', saving.currentSeconds],
    ['rdb_saves', saving.saves],
    ['rdb_last_cow_size', saving.lastHeldBytes],
    ['rdb_last_load_keys_expired', loading.keysExpired],
    ['rdb_last_load_keys_loaded', loading.keysLoaded],
    ['aof_enabled', aof.state === AofState.Off ? 0 : 1],
    ['aof_rewrite_in_progress', aof.isRewriting ? 1 : 0],
    ['aof_rewrite_scheduled', aof.isRewriteScheduled ? 1 : 0],
    ['aof_last_rewrite_time_sec', aof.lastRewriteSeconds],
    ['aof_current_rewrite_time_sec', aof.currentRewriteSeconds],
    ['aof_last_bgrewrite_status', aof.isLastRewriteOk ? 'ok' : 'err'],
    ['aof_rewrites', aof.rewrites],
    ['aof_rewrites_consecutive_failures', aof.consecutiveFailures],
    ['aof_last_write_status', aof.error === null ? 'ok' : 'err'],
    ['aof_last_cow_size', 0],
    ['module_fork_in_progress', 0],
    ['module_fork_last_cow_size', 0],
  ]
  if (aof.state !== AofState.Off) {
    lines.push(
      ['aof_current_size', aof.totalBytes],
      ['aof_base_size', aof.baseBytes],
      ['aof_pending_rewrite', aof.isRewriteScheduled ? 1 : 0],
      ['aof_buffer_length', aof.bufferBytes],
      ['aof_pending_bio_fsync', aof.isSyncing ? 1 : 0],
      ['aof_delayed_fsync', aof.delayedSyncs],
    )
  }
  if (loading.isActive) lines.push(...loadingLines(loading, now))
  return lines
}

function loadingLines(loading: LoadStatus, now: number): [string, string | number][] {
  const { startedMs, totalBytes, loadedBytes } = loading
  const elapsedSeconds = Math.floor((now - startedMs) / 1000)
  // As in Redis a second is promised while nothing is known.
  const eta = elapsedSeconds === 0 ? 1 : Math.floor((elapsedSeconds * (totalBytes - loadedBytes)) / (loadedBytes + 1))
  return [
    ['loading_start_time', Math.floor(startedMs / 1000)],
    ['loading_total_bytes', totalBytes],
    ['loading_rdb_used_mem', loading.rdbUsedMemory],
    ['loading_loaded_bytes', loadedBytes],
    ['loading_loaded_perc', ratio(loadedBytes * 100, totalBytes)],
    ['loading_eta_seconds', eta],
  ]
}

export function statsLines({ server, keyspace, channels }: CommandContext): InfoLines {
  const { clientMemory, memoryLimit, stats, errors, tracking } = server
  return [
    ['total_connections_received', stats.connectionsReceived],
    ['total_commands_processed', stats.commandsProcessed],
    ['instantaneous_ops_per_sec', Math.round(stats.commandRate.perSecond)],
    ['total_net_input_bytes', stats.bytesIn],
    ['total_net_output_bytes', stats.bytesOut],
    ['total_net_repl_input_bytes', server.following.bytesIn],
    ['total_net_repl_output_bytes', server.replication.bytesOut],
    ['instantaneous_input_kbps', (stats.inputRate.perSecond / 1024).toFixed(2)],
    ['instantaneous_output_kbps', (stats.outputRate.perSecond / 1024).toFixed(2)],
    ['instantaneous_input_repl_kbps', '0.00'],
    ['instantaneous_output_repl_kbps', '0.00'],
    ['rejected_connections', stats.connectionsRejected],
    ['sync_full', server.replication.fullSyncs],
    ['sync_partial_ok', server.replication.partialSyncs],
    ['sync_partial_err', server.replication.partialSyncsRefused],
    ['expired_subkeys', keyspace.stats.expiredFields],
    ['expired_keys', keyspace.stats.expired],
    ['expired_stale_perc', '0.00'],
    ['expired_time_cap_reached_count', 0],
    ['expire_cycle_cpu_milliseconds', 0],
    ['evicted_keys', memoryLimit.evictedKeys],
    ['evicted_clients', clientMemory.evicted],
    ['total_eviction_exceeded_time', Math.round(memoryLimit.totalExceededMs)],
    ['current_eviction_exceeded_time', Math.round(memoryLimit.currentExceededMs)],
    ['keyspace_hits', keyspace.stats.hits],
    ['keyspace_misses', keyspace.stats.misses],
    ['pubsub_channels', channels.channelCount],
    ['pubsub_patterns', channels.patternCount],
    ['pubsubshard_channels', channels.shardChannelCount],
    ['latest_fork_usec', 0],
    ['total_forks', stats.snapshots],
    ['migrate_cached_sockets', countTargets(server)],
    ['slave_expires_tracked_keys', keyspace.databases.reduce((sum, db) => sum + db.ownExpires.size, 0)],
    ['active_defrag_hits', 0],
    ['active_defrag_misses', 0],
    ['active_defrag_key_hits', 0],
    ['active_defrag_key_misses', 0],
    ['total_active_defrag_time', 0],
    ['current_active_defrag_time', 0],
    ['tracking_total_keys', tracking.keys.size],
    ['tracking_total_items', tracking.keys.itemCount],
    ['tracking_total_prefixes', tracking.prefixCount],
    ['unexpected_error_replies', 0],
    ['total_error_replies', errors.total],
    ['dump_payload_sanitizations', 0],
    ['total_reads_processed', stats.reads],
    ['total_writes_processed', stats.writes],
    ['io_threaded_reads_processed', 0],
    ['io_threaded_writes_processed', 0],
    ['client_query_buffer_limit_disconnections', stats.queryLimitDisconnections],
    ['client_output_buffer_limit_disconnections', stats.outputLimitDisconnections],
    ['reply_buffer_shrinks', 0],
    ['reply_buffer_expands', 0],
    ['eventloop_cycles', stats.turns],
    ['instantaneous_eventloop_cycles_per_sec', Math.round(stats.turnRate.perSecond)],
    ['acl_access_denied_auth', stats.deniedLogins],
    ['acl_access_denied_cmd', stats.deniedCommands],
    ['acl_access_denied_key', stats.deniedKeys],
    ['acl_access_denied_channel', stats.deniedChannels],
  ]
}

export function replicationLines(ctx: CommandContext): InfoLines {
  const { server, config, now } = ctx
  const { attached, history, backlog, offset, goodCount } = server.replication
  const isGuarded = config.number('min-replicas-to-write') > 0 && config.number('min-replicas-max-lag') > 0
  return [
    ...(server.following.primary === null ? [['role', 'master'] as const] : followingLines(ctx)),
    ['connected_slaves', attached.length],
    ...(isGuarded ? [['min_slaves_good_slaves', goodCount] as const] : []),
    ...attached.map((link, i) => [`slave${i}`, replicaLine(link, now)] as const),
    ['master_failover_state', 'no-failover'],
    ['master_replid', history.id],
    ['master_replid2', history.id2],
    ['master_repl_offset', offset],
    ['second_repl_offset', history.secondOffset],
    ['repl_backlog_active', backlog.isActive ? 1 : 0],
    ['repl_backlog_size', backlog.sizeBytes],
    ['repl_backlog_first_byte_offset', backlog.firstOffset],
    ['repl_backlog_histlen', backlog.length],
  ]
}

/** What a replica tells of its primary. */
function followingLines({ server, config, now }: CommandContext): InfoLines {
  const { following, replication } = server
  const { primary, state, lastInputMs, downSinceMs, payload } = following
  const isUp = state === LinkState.Connected
  const isSyncing = state === LinkState.Sync
  const lines: [string, string | number][] = [
    ['role', 'slave'],
    ['master_host', primary?.host ?? ''],
    ['master_port', primary?.port ?? 0],
    ['master_link_status', isUp ? 'up' : 'down'],
    ['master_last_io_seconds_ago', isUp ? secondsSince(lastInputMs, now) : -1],
    ['master_sync_in_progress', isSyncing ? 1 : 0],
    ['slave_read_repl_offset', following.readOffset],
    ['slave_repl_offset', replication.offset],
  ]
  if (isSyncing) {
    lines.push(
      ['master_sync_total_bytes', payload.totalBytes],
      ['master_sync_read_bytes', payload.readBytes],
      ['master_sync_left_bytes', payload.totalBytes - payload.readBytes],
      ['master_sync_perc', ratio(payload.readBytes * 100, payload.totalBytes)],
      ['master_sync_last_io_seconds_ago', secondsSince(lastInputMs, now)],
    )
  }
  if (!isUp) lines.push(['master_link_down_since_seconds', secondsSince(downSinceMs, now)])
  lines.push(
    ['slave_priority', config.number('replica-priority')],
    ['slave_read_only', config.bool('replica-read-only') ? 1 : 0],
    ['replica_announced', config.bool('replica-announced') ? 1 : 0],
  )
  return lines
}

function secondsSince(ms: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - ms) / 1000))
}

function replicaLine(link: AttachedReplica, nowMs: number): string {
  const { replica } = link
  const fields = [
    `ip=${replicaAddress(link)}`,
    `port=${replica.listeningPort}`,
    `state=${replica.stateName}`,
    `offset=${replica.ackOffset}`,
    `lag=${replica.lagSeconds(nowMs)}`,
  ]
  return fields.join(',')
}

/** What has held up the loop, by cause and by command: see observe/stalls.ts. Times in ms. */
export function stallLines({ server }: CommandContext): InfoLines {
  const { byCause, byCommand, longest } = server.stalls
  let count = 0
  let sumMs = 0
  for (const histogram of byCause.values()) {
    count += histogram.count
    sumMs += histogram.sumMs
  }
  return [
    ['stalls', count],
    ['stalls_ms', sumMs.toFixed(3)],
    ['stall_longest_ms', (longest?.ms ?? 0).toFixed(3)],
    ['stall_longest_cause', longest?.cause ?? ''],
    ['stall_longest_command', longest?.command ?? ''],
    ...[...byCause].map(([cause, histogram]) => [`stall_cause_${cause}`, stallText(histogram)] as const),
    ...[...byCommand].map(([command, histogram]) => [`stall_command_${command}`, stallText(histogram)] as const),
  ]
}

/** Counts are those of stalls that were no longer than a bound, in ms. */
function stallText({ count, sumMs, maxMs, counts }: StallHistogram): string {
  let seen = 0
  const bounds = STALL_BOUNDS_MS.map((bound, i) => `le_${bound}=${(seen += counts[i]!)}`)
  return `count=${count},ms=${sumMs.toFixed(3)},max=${maxMs.toFixed(3)},${bounds.join(',')}`
}

export function cpuLines(): InfoLines {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  return [
    ['used_cpu_sys', secondsText(systemCPUTime)],
    ['used_cpu_user', secondsText(userCPUTime)],
    ['used_cpu_sys_children', secondsText(0)],
    ['used_cpu_user_children', secondsText(0)],
    ...mainThreadLines(),
  ]
}

/** Absent before Node 23.9, as in a Redis on a system that cannot tell. */
function mainThreadLines(): InfoLines {
  if (typeof process.threadCpuUsage !== 'function') return []
  const { user, system } = process.threadCpuUsage()
  return [
    ['used_cpu_sys_main_thread', secondsText(system)],
    ['used_cpu_user_main_thread', secondsText(user)],
  ]
}

export function commandStatsLines({ registry }: CommandContext): InfoLines {
  const lines: [string, string][] = []
  for (const command of registry.all()) {
    addCommandStats(lines, command)
    for (const sub of command.subcommands?.values() ?? []) addCommandStats(lines, sub)
  }
  return lines
}

/** Times are those of LATENCY HISTOGRAM. */
export function latencyStatsLines({ registry, config }: CommandContext): InfoLines {
  const percentiles = config.value('latency-tracking-info-percentiles')
  const lines: [string, string][] = []
  const add = ({ fullName, latency }: Command): void => {
    if (latency === null) return
    const values = percentiles.map((percent) => `p${percent}=${latency.percentile(percent).toFixed(3)}`)
    lines.push([`latency_percentiles_usec_${fullName}`, values.join(',')])
  }
  for (const command of registry.all()) {
    add(command)
    for (const sub of command.subcommands?.values() ?? []) add(sub)
  }
  return lines
}

export function errorStatsLines({ server }: CommandContext): InfoLines {
  return [...server.errors.counts].map(([code, count]) => [`errorstat_${code}`, `count=${count}`] as const)
}

export function keyspaceLines({ keyspace, now }: CommandContext): InfoLines {
  const lines: [string, string][] = []
  for (const db of keyspace.databases) {
    if (db.size === 0) continue
    const ttl = db.expires.averageTtl(now, EXPIRE_SAMPLES)
    // Redis 7.2 knows no such field: it is only there where it says something.
    const hashes = db.fieldExpires.size > 0 ? `,subexpiry=${db.fieldExpires.size}` : ''
    lines.push([`db${db.index}`, `keys=${db.size},expires=${db.expires.size},avg_ttl=${ttl}${hashes}`])
  }
  return lines
}

function addCommandStats(lines: [string, string][], command: Command): void {
  const { calls, failedCalls, rejectedCalls } = command
  if (calls + failedCalls + rejectedCalls === 0) return
  const microseconds = Math.round(command.microseconds)
  const perCall = ratio(command.microseconds, calls)
  lines.push([
    `cmdstat_${command.fullName}`,
    `calls=${calls},usec=${microseconds},usec_per_call=${perCall},rejected_calls=${rejectedCalls},failed_calls=${failedCalls}`,
  ])
}

/** Keys whose waiting clients want to hear that they are gone (XREADGROUP). */
function keysAwaitedAbsent(db: Database): number {
  let count = 0
  for (const key of db.blocked.keys()) {
    if (db.blocked.waiting(key).some((client) => client.blockedUnblocksOnNoKey)) count++
  }
  return count
}

/** With two decimals; 0 where there is nothing to divide by. */
function ratio(value: number, by: number): string {
  return (by > 0 ? value / by : 0).toFixed(2)
}

function secondsText(microseconds: number): string {
  return `${Math.floor(microseconds / US_PER_S)}.${String(microseconds % US_PER_S).padStart(6, '0')}`
}
