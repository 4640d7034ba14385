/**
 * `npm run bench [-- name …]`: benchmarks beside redis-server, in one run on one machine. Without names: commands.
 *
 *     commands   requests/s and server CPU per request, at pipeline depth 1, 16 and 64
 *     memory     5 million keys: memory and pauses
 *     lua        scripts: CPU time beside Redis' own interpreter
 *     scripts    BullMQ's commands by EVALSHA: server CPU
 *     http       the gateway beside webdis with redis-server, and beside Fastify routes that answer a constant
 *     fan-out    WebSocket messages delivered to many sockets, server on one core
 *     idle-sockets  memory of idle WebSockets
 *
 * Figures are medians of alternating rounds. Ratios are what counts; absolute numbers are the machine's.
 */
const BENCHES = ['commands', 'memory', 'lua', 'scripts', 'http', 'fan-out', 'idle-sockets'] as const

const names = process.argv.slice(2)
for (const name of names.length === 0 ? ['commands'] : names) {
  const bench = BENCHES.find((known) => known === name)
  if (bench === undefined) {
    process.stderr.write(`Unknown benchmark ${name}; there are: ${BENCHES.join(', ')}\n`)
    process.exit(1)
  }
  await import(`./${bench}.ts`)
}
export {}
