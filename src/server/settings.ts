/**
 * Copies settings that are read often into plain fields, at start and when CONFIG SET changes them.
 *
 * When you add a directive that the server reads while it runs, add it here.
 */
import { AllChannels } from '../access/selector.ts'
import { DEFAULT_USER, UserChange } from '../access/users.ts'
import type { NameFor } from '../config/directives.ts'
import { FreeReason } from '../keyspace/lazy-free.ts'
import { Notify } from '../keyspace/notify.ts'
import type { Server } from './server.ts'

/** Input that can be kept for a client: offsets of arguments have 31 bits, in bytes. */
const INPUT_BYTES_MAX = 0x7fffffff

/** Microseconds; negative: nothing is logged. */
function setSlowlogThreshold(server: Server, value: number): void {
  server.slowlog.thresholdUs = value < 0 ? Number.POSITIVE_INFINITY : value
  server.pipeline.timer.chooseMode()
}

/** Applies all settings and follows their changes. */
export function applySettings(server: Server): void {
  const { config, keyspace, memoryLimit } = server
  const limits = keyspace.limits

  const number = (name: NameFor<number>, apply: (value: number) => void): void => {
    apply(config.number(name))
    config.onChange(name, (value) => {
      apply(value)
      return null
    })
  }
  const numbers: readonly (readonly [NameFor<number>, (value: number) => void])[] = [
    ['hash-max-listpack-entries', (value) => (limits.hashMaxListpackEntries = value)],
    ['hash-max-listpack-value', (value) => (limits.hashMaxListpackValue = value)],
    ['set-max-intset-entries', (value) => (limits.setMaxIntsetEntries = value)],
    ['set-max-listpack-entries', (value) => (limits.setMaxListpackEntries = value)],
    ['set-max-listpack-value', (value) => (limits.setMaxListpackValue = value)],
    ['zset-max-listpack-entries', (value) => (limits.zsetMaxListpackEntries = value)],
    ['zset-max-listpack-value', (value) => (limits.zsetMaxListpackValue = value)],
    ['list-max-listpack-size', (value) => (limits.listMaxListpackSize = value)],
    ['hll-sparse-max-bytes', (value) => (limits.hllSparseMaxBytes = value)],
    ['stream-node-max-bytes', (value) => (limits.streamNodeMaxBytes = value)],
    ['stream-node-max-entries', (value) => (limits.streamNodeMaxEntries = value)],
    ['stream-idmp-duration', (value) => (limits.streamIdmpDuration = value)],
    ['stream-idmp-maxsize', (value) => (limits.streamIdmpMaxsize = value)],
    [
      'proto-max-bulk-len',
      (value) => {
        limits.protoMaxBulkLen = value
        server.limits.bulkBytesMax = value
      },
    ],
    ['client-query-buffer-limit', (value) => (server.queryBufferMax = Math.min(value, INPUT_BYTES_MAX))],
    ['maxclients', (value) => (server.maxClients = value)],
    ['busy-reply-threshold', (value) => (server.busy.thresholdMs = value)],
    ['timeout', (value) => (server.idleTimeoutMs = value * 1000)],
    ['tcp-keepalive', (value) => (server.keepAliveSeconds = value)],
    ['tracking-table-max-keys', (value) => (server.tracking.keysMax = value)],
    ['acllog-max-len', (value) => (server.accessLog.lengthMax = value)],
    ['min-replicas-to-write', (value) => server.replication.wantReplicas(value)],
    ['min-replicas-max-lag', (seconds) => server.replication.wantLag(seconds)],
    ['repl-backlog-size', (value) => server.replication.resizeBacklog(value)],
    ['maxmemory-samples', (value) => (memoryLimit.eviction.samples = value)],
    ['maxmemory-eviction-tenacity', (value) => (memoryLimit.tenacity = value)],
    ['lfu-log-factor', (value) => (keyspace.access.logFactor = value)],
    ['lfu-decay-time', (value) => (keyspace.access.decayMinutes = value)],
    ['slowlog-entry-max-argc', (value) => (server.slowlog.argumentsMax = value)],
    ['slowlog-entry-max-string-len', (value) => (server.slowlog.argumentBytesMax = value)],
    ['slowlog-max-len', (value) => server.slowlog.resize(value)],
    ['latency-monitor-threshold', (value) => (server.latency.thresholdMs = value)],
    ['slowlog-log-slower-than', (value) => setSlowlogThreshold(server, value)],
  ]
  for (const [name, apply] of numbers) number(name, apply)

  server.pipeline.timer.keepsHistograms = config.bool('latency-tracking')
  config.onChange('latency-tracking', (isOn) => {
    server.pipeline.timer.keepsHistograms = isOn
    return null
  })

  number('notify-keyspace-events', (bits) => applyNotifyFlags(server, bits))

  followUsers(server)

  config.onChange('client-output-buffer-limit', (value) => {
    server.outputLimits = value
    return null
  })

  followMemorySettings(server)
  followLazyFree(server)

  config.onChange('rdb-key-save-delay', (delayUs) => {
    server.snapshots.setKeyDelay(delayUs)
    return null
  })
  followLogSettings(server)
  for (const name of ['replica-read-only', 'replica-serve-stale-data'] as const) {
    config.onChange(name, () => {
      server.following.noteRefusals()
      return null
    })
  }
}

/** What memory may be used, and what goes when it is not enough. */
function followMemorySettings(server: Server): void {
  const { config, memoryLimit, clientMemory, log } = server
  clientMemory.setLimit(config.number('maxmemory-clients'), config.number('maxmemory'))
  const limitMemory = (bytes: number): null => {
    memoryLimit.setMaxBytes(bytes)
    if (memoryLimit.isOver()) {
      log.warning(
        `The new maxmemory value set via CONFIG SET (${bytes}) is smaller than the current memory usage (${memoryLimit.countedBytes}). This will result in key eviction and/or the inability to accept new write commands depending on the maxmemory-policy`,
      )
    }
    clientMemory.setLimit(config.number('maxmemory-clients'), bytes)
    return null
  }
  memoryLimit.setMaxBytes(config.number('maxmemory'))
  config.onChange('maxmemory', limitMemory)
  config.onChange('maxmemory-clients', (value) => {
    clientMemory.setLimit(value, config.number('maxmemory'))
    return null
  })
  const choosePolicy = (policy: string): null => {
    memoryLimit.eviction.setPolicy(policy)
    return null
  }
  choosePolicy(config.text('maxmemory-policy'))
  config.onChange('maxmemory-policy', choosePolicy)
}

/** Which values are freed between turns. FLUSHALL and FLUSHDB look up their setting themselves. */
function followLazyFree({ config, keyspace }: Server): void {
  const settings = [
    ['lazyfree-lazy-server-del', FreeReason.ServerDel],
    ['lazyfree-lazy-user-del', FreeReason.UserDel],
    ['lazyfree-lazy-expire', FreeReason.Expire],
    ['lazyfree-lazy-eviction', FreeReason.Eviction],
  ] as const
  for (const [name, reason] of settings) {
    const apply = (isLazy: boolean): null => {
      keyspace.lazyFree.isLazy[reason] = isLazy
      return null
    }
    apply(config.bool(name))
    config.onChange(name, apply)
  }
}

/** Switches the append-only file on and off, and changes how it is written. */
function followLogSettings({ config, appendOnly, ctx }: Server): void {
  config.onChange('appendonly', (isOn) => {
    if (isOn) return appendOnly.enable(!ctx.mayBlock)
    appendOnly.disable()
    return null
  })
  const apply = (): null => {
    appendOnly.applySettings()
    return null
  }
  config.onChange('appendfsync', apply)
  config.onChange('no-appendfsync-on-rewrite', apply)
  config.onChange('aof-checksums', apply)
  config.onChange('aof-timestamp-enabled', apply)
  config.onChange('aof-disable-auto-gc', (isDisabled) => {
    if (!isDisabled) appendOnly.removeHistory()
    return null
  })
}

/** The password of the default user is a setting too, and how new users begin. */
function followUsers(server: Server): void {
  const { config, users } = server
  users.onChange((user, change) => {
    if (user === users.default) server.needsAuthentication = !user.needsNoPassword || !user.isEnabled
    if (change === UserChange.Deleted) server.access.revokeTokens(user)
    // Connections of the default user stay (Valkey src/acl.c ACLLoadFromFile).
    if (change === UserChange.Changed || user === users.default) server.access.closeStrayListeners(user)
    else server.access.closeClientsOf(user)
  })
  const setPassword = (password: string): null => {
    users.set(DEFAULT_USER, ['resetpass', password === '' ? 'nopass' : `>${password}`])
    return null
  }
  const setNewChannels = (text: string): null => {
    users.newChannels = text === 'allchannels' ? AllChannels.Allowed : AllChannels.Denied
    return null
  }
  setNewChannels(config.text('acl-pubsub-default'))
  config.onChange('acl-pubsub-default', setNewChannels)
  setPassword(config.text('requirepass'))
  config.onChange('requirepass', setPassword)
}

/** Takes over the enabled event classes. Misses and new keys are told by the keyspace, which is not asked to for nothing. */
function applyNotifyFlags(server: Server, bits: number): void {
  const { ctx, keyspace } = server
  ctx.notifyFlags = bits
  keyspace.onMiss =
    (bits & Notify.KeyMiss) === 0
      ? null
      : (db, source, start, length) => {
          ctx.notifySink(Notify.KeyMiss, 'keymiss', db, source.latin1Slice(start, start + length))
        }
  keyspace.onAdded =
    (bits & Notify.New) === 0 ? null : (db, row) => ctx.notifySink(Notify.New, 'new', db, db.keyText(row))
}
