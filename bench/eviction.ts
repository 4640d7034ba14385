/**
 * How well eviction chooses: the hit ratio of a cache whose keys are asked for with Zipf's distribution, beside
 * redis-server. Both servers get the same requests and room for as many keys: `maxmemory` is what the server uses with
 * that many keys, measured before and adjusted until it holds them. A miss is followed by a SET of the key.
 *
 * The last column is the hit ratio with room for as many keys of a cache that always keeps those asked for most.
 * Beside it: what a write costs at the limit, as redis-benchmark's SET of random keys, requests/s and server CPU.
 */
import { Redis } from 'ioredis'
import { type BenchServer, cpuMs, redisBenchmark, startMillrace, startRedis } from './servers.ts'

const UNIVERSE = 100_000
const CAPACITY = 10_000
const REQUESTS = 400_000
/** The first part fills the cache and is not counted. */
const WARMUP = 150_000
/** Requests whose GETs go together; their misses are set after them. */
const BATCH = 100
/** Requests between two looks at the number of keys. */
const ADJUSTED_EACH = 10_000
const EXPONENT = 0.99
const VALUE = 'v'.repeat(200)
const POLICIES = ['allkeys-lru', 'allkeys-lfu', 'allkeys-random', 'volatile-lru', 'volatile-ttl'] as const
const TTL_SECONDS = 100_000
const LIMIT_REQUESTS = 400_000
const LIMIT_KEYS = 1_000_000
const BENCHMARK_TIMEOUT_MS = 120_000

interface Result {
  readonly hitRatio: number
  readonly keys: number
}

/** The rank of each request, the same for all servers. */
function zipfRanks(): Int32Array {
  const cumulative = new Float64Array(UNIVERSE)
  let sum = 0
  for (let i = 0; i < UNIVERSE; i++) cumulative[i] = sum += 1 / (i + 1) ** EXPONENT
  const ranks = new Int32Array(REQUESTS)
  let state = 12345
  for (let i = 0; i < REQUESTS; i++) {
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
function bestRatio(ranks: Int32Array): number {
  let hits = 0
  for (let i = WARMUP; i < REQUESTS; i++) if (ranks[i]! < CAPACITY) hits++
  return hits / (REQUESTS - WARMUP)
}

function keyOf(rank: number): string {
  return `key:${String(rank).padStart(8, '0')}`
}

async function usedMemory(client: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
}

async function measure(server: BenchServer, policy: string, ranks: Int32Array): Promise<Result> {
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
  for (let i = 0; i < REQUESTS; i += BATCH) {
    const wanted = ranks.subarray(i, i + BATCH)
    const reads = client.pipeline()
    for (const rank of wanted) reads.get(keyOf(rank))
    const replies = (await reads.exec()) ?? []
    const missed = new Set<number>()
    replies.forEach(([, value], at) => {
      if (value === null) missed.add(wanted[at]!)
      else if (i >= WARMUP) hits++
    })
    const writes = client.pipeline()
    for (const rank of missed) store(writes, keyOf(rank))
    if (missed.size > 0) await writes.exec()
    if (i % ADJUSTED_EACH !== 0) continue
    const kept = await client.dbsize()
    if (i >= WARMUP) {
      keys += kept
      looks++
    } else {
      // Buffers, and tables that grow by steps, take from the room for keys.
      limit += Math.round((CAPACITY - kept) * bytesPerKey)
      await client.config('SET', 'maxmemory', String(limit))
    }
  }
  client.disconnect()
  return { hitRatio: hits / (REQUESTS - WARMUP), keys: keys / looks }
}

/** Requests/s and server CPU in µs per request of SETs at the limit. */
async function atLimit(server: BenchServer): Promise<{ rate: number; cpuUs: number }> {
  const client = new Redis(server.port, '127.0.0.1')
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await client.config('SET', 'maxmemory', String(20 * 1024 * 1024))
  await client.flushall()
  const args = ['-t', 'set', '-n', String(LIMIT_REQUESTS), '-r', String(LIMIT_KEYS), '-d', '100', '-P', '16']
  redisBenchmark(server.port, args, BENCHMARK_TIMEOUT_MS)
  const before = cpuMs(server.pid)
  const rate = redisBenchmark(server.port, args, BENCHMARK_TIMEOUT_MS)
  const cpuUs = ((cpuMs(server.pid) - before) * 1000) / LIMIT_REQUESTS
  client.disconnect()
  return { rate, cpuUs }
}

const ranks = zipfRanks()
const servers = [await startMillrace(['--appendonly', 'no', '--save', '']), await startRedis([])]
const best = (bestRatio(ranks) * 100).toFixed(2)
for (const policy of POLICIES) {
  const cells: string[] = []
  for (const server of servers) {
    const { hitRatio, keys } = await measure(server, policy, ranks)
    cells.push(`${server.name} ${(hitRatio * 100).toFixed(2)} % with ${Math.round(keys)} keys`)
  }
  process.stdout.write(`${policy.padEnd(16)} ${cells.join('   ')}   best ${best} %\n`)
}
for (const server of servers) {
  const { rate, cpuUs } = await atLimit(server)
  process.stdout.write(`SET at the limit, ${server.name}: ${Math.round(rate)} requests/s, ${cpuUs.toFixed(2)} µs\n`)
}
for (const server of servers) await server.stop()
