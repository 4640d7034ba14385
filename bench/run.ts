/**
 * `npm run bench [-- name …]`: benchmarks beside redis-server, in one run on one machine. Without names: commands.
 *
 *     commands   requests/s and server CPU per request, at pipeline depth 1, 16 and 64
 *     memory     5 million keys: memory and pauses
 *     scripting  Lua scripts, three of BullMQ's among them, by EVALSHA: server CPU; and what a new script costs
 *     bullmq     jobs that BullMQ's Queue and Worker add and process: server CPU and jobs/s
 *     http       the gateway beside webdis with redis-server, and beside Fastify routes that answer a constant
 *     fan-out    WebSocket messages delivered to many sockets, server on one core
 *     idle-sockets  memory of idle WebSockets
 *     eviction   hit ratios of the policies of maxmemory, and writes at the limit
 *     durability    all of: policies   throughput under each fsync policy
 *                           load       time to load a log and a snapshot
 *                           snapshot   stalls, memory and throughput while a snapshot or a rewrite is under way
 *                   (or some of them: `npm run bench -- durability load`)
 *
 * Figures are medians of alternating rounds. Ratios are what counts; absolute numbers are the machine's.
 */
const BENCHES = [
  'commands',
  'memory',
  'scripting',
  'bullmq',
  'http',
  'fan-out',
  'idle-sockets',
  'eviction',
  'durability',
] as const
/** Benches of several parts, one file each. */
const PARTS: Readonly<Record<string, readonly string[]>> = { durability: ['policies', 'load', 'snapshot'] }

const words = process.argv.slice(2)
if (words.length === 0) words.push('commands')
while (words.length > 0) {
  const name = words.shift()!
  const bench = BENCHES.find((known) => known === name)
  if (bench === undefined) {
    process.stderr.write(`Unknown benchmark ${name}; there are: ${BENCHES.join(', ')}\n`)
    process.exit(1)
  }
  const parts = PARTS[bench]
  if (parts === undefined) {
    await import(`./${bench}.ts`)
    continue
  }
  const wanted: string[] = []
  while (words.length > 0 && parts.includes(words[0]!)) wanted.push(words.shift()!)
  for (const part of wanted.length === 0 ? parts : wanted) await import(`./${bench}-${part}.ts`)
}
export {}
