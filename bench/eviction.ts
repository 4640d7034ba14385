/**
 * How well eviction chooses: the hit ratio of a cache whose keys are asked for with Zipf's distribution, beside
 * redis-server. Both servers get the same requests and room for as many keys: `maxmemory` is what the server uses with
 * that many keys, measured before and adjusted until it holds them. A miss is followed by a SET of the key.
 *
 * The last column is the hit ratio with room for as many keys of a cache that always keeps those asked for most.
 * Beside it: what a write costs at the limit, as redis-benchmark's SET of random keys, requests/s and server CPU.
 */
import { Redis } from 'ioredis'
import { redisBenchmark } from './support/redis-benchmark.ts'
import { type Bench, column, isWanted, table } from './support/report.ts'
import { withCpu } from './support/rounds.ts'
import { type BenchServer, startBoth } from './support/servers.ts'

const UNIVERSE = 100_000
const CAPACITY = 10_000

interface Sizes {
  readonly requests: number
  /** The first part fills the cache and is not counted. */
  readonly warmup: number
  readonly limitRequests: number
}

const FULL: Sizes = { requests: 400_000, warmup: 150_000, limitRequests: 400_000 }
const QUICK: Sizes = { requests: 4000, warmup: 1500, limitRequests: 2000 }
/** Requests whose GETs go together; their misses are set after them. */
const BATCH = 100
/** Requests between two looks at the number of keys. */
const ADJUSTED_EACH = 10_000
const EXPONENT = 0.99
const VALUE = 'v'.repeat(200)
const POLICIES = ['allkeys-lru', 'allkeys-lfu', 'allkeys-random', 'volatile-lru', 'volatile-ttl'] as const
const TTL_SECONDS = 100_000
const LIMIT_KEYS = 1_000_000
const LIMIT_BYTES = 20 * 1024 * 1024

export const eviction: Bench = {
  name: 'eviction',
  summary: 'hit ratios of the policies of maxmemory, and writes at the limit; 4 minutes',
  programs: ['redis-server', 'redis-benchmark'],
  run: async (options) => {
    const sizes = options.isQuick ? QUICK : FULL
    const ranks = zipfRanks(sizes)
    const servers = await startBoth(['--appendonly', 'no'])
    const rows: (string | number)[][] = []
    const limits: (string | number)[][] = []
    try {
      for (const policy of POLICIES.filter((name) => isWanted(name, options))) {
        const results: Result[] = []
        for (const server of servers) results.push(await measure(server, policy, ranks, sizes))
        rows.push([policy, ...results.flatMap(({ hitRatio, keys }) => [hitRatio * 100, keys])])
      }
      for (const server of servers) {
        const { rate, cpuUs } = await atLimit(server, sizes)
        limits.push([server.name, rate, cpuUs])
      }
    } finally {
      for (const server of servers) await server.stop()
    }
    return {
      method: `${sizes.requests.toLocaleString('en-US')} requests over ${UNIVERSE.toLocaleString('en-US')} keys with Zipf's distribution, room for ${CAPACITY.toLocaleString('en-US')}. A cache that always keeps those asked for most has ${(bestRatio(ranks, sizes) * 100).toFixed(1)} %.`,
      tables: [
        table(
          'Hit ratios',
          [column('policy', 0), column('Redis %', 2), column('keys', 0), column('Millrace %', 2), column('keys', 0)],
          rows,
        ),
        table(
          'SET of random keys at the limit, depth 16',
          [column('server', 0), column('requests/s', 0), column('CPU µs/request', 2)],
          limits,
        ),
      ],
      goals: [],
      plots: [],
    }
  },
}

interface Result {
  readonly hitRatio: number
  readonly keys: number
}

/** The rank of each request, the same for all servers. */
function zipfRanks({ requests }: Sizes): Int32Array {
  const cumulative = new Float64Array(UNIVERSE)
  let sum = 0
  for (let i = 0; i < UNIVERSE; i++) cumulative[i] = sum += 1 / (i + 1) ** EXPONENT
  const ranks = new Int32Array(requests)
  let state = 12345
  for (let i = 0; i < requests; i++) {
    // A generator of 31 bits is fine enough for ranks.
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    const wanted = (state / 0x80000000) * sum
    let low = 0
    let high = UNIVERSE - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (cumulative[middle]! < wanted) low = middle + 1
      else high = middle
    }
    ranks[i] = low
  }
  return ranks
}

/** Hits of a cache that holds the `CAPACITY` keys that are asked for most. */
function bestRatio(ranks: Int32Array, { requests, warmup }: Sizes): number {
  let hits = 0
  for (let i = warmup; i < requests; i++) if (ranks[i]! < CAPACITY) hits++
  return hits / (requests - warmup)
}

function keyOf(rank: number): string {
  return `key:${String(rank).padStart(8, '0')}`
}

async function usedMemory(client: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
}

async function measure(
  server: BenchServer,
  policy: string,
  ranks: Int32Array,
  { requests, warmup }: Sizes,
): Promise<Result> {
  const client = new Redis(server.port, '127.0.0.1', { enableAutoPipelining: false })
  const isVolatile = policy.startsWith('volatile')
  await client.config('SET', 'maxmemory', '0')
  await client.config('SET', 'maxmemory-policy', policy)
  await client.flushall()
  const empty = await usedMemory(client)
  const store = (pipeline: ReturnType<Redis['pipeline']>, key: string): void => {
    if (isVolatile) pipeline.set(key, VALUE, 'EX', TTL_SECONDS)
    else pipeline.set(key, VALUE)
  }
  // What that many keys take; others than those that are asked for.
  for (let i = 0; i < CAPACITY; i += BATCH) {
    const pipeline = client.pipeline()
    for (let j = i; j < i + BATCH; j++) store(pipeline, keyOf(UNIVERSE + j))
    await pipeline.exec()
  }
  let limit = await usedMemory(client)
  const bytesPerKey = (limit - empty) / CAPACITY
  await client.config('SET', 'maxmemory', String(limit))
  let hits = 0
  let keys = 0
  let looks = 0
  for (let i = 0; i < requests; i += BATCH) {
    const wanted = ranks.subarray(i, i + BATCH)
    const reads = client.pipeline()
    for (const rank of wanted) reads.get(keyOf(rank))
    const replies = (await reads.exec()) ?? []
    const missed = new Set<number>()
    replies.forEach(([, value], at) => {
      if (value === null) missed.add(wanted[at]!)
      else if (i >= warmup) hits++
    })
    const writes = client.pipeline()
    for (const rank of missed) store(writes, keyOf(rank))
    if (missed.size > 0) await writes.exec()
    if (i % ADJUSTED_EACH !== 0) continue
    const kept = await client.dbsize()
    if (i >= warmup) {
      keys += kept
      looks++
    } else {
      // Buffers, and tables that grow by steps, take from the room for keys.
      limit += Math.round((CAPACITY - kept) * bytesPerKey)
      await client.config('SET', 'maxmemory', String(limit))
    }
  }
  client.disconnect()
  return { hitRatio: hits / (requests - warmup), keys: keys / looks }
}

/** Requests/s and server CPU in µs per request of SETs at the limit. */
async function atLimit(
  server: BenchServer,
  { limitRequests }: Sizes,
): Promise<{ readonly rate: number; readonly cpuUs: number }> {
  const client = new Redis(server.port, '127.0.0.1')
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await client.config('SET', 'maxmemory', String(LIMIT_BYTES))
  await client.flushall()
  client.disconnect()
  const args = ['-t', 'set', '-n', String(limitRequests), '-r', String(LIMIT_KEYS), '-d', '100', '-P', '16']
  await redisBenchmark(server.port, args)
  const { result, ms } = await withCpu(server.pid, () => redisBenchmark(server.port, args))
  return { rate: result.rate, cpuUs: (ms * 1000) / limitRequests }
}
