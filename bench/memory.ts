/**
 * Memory and pauses: 5 million keys of 16 bytes with values of 64 bytes, written at pipeline depth 16, beside
 * redis-server. Pauses of the garbage collector come from `node --trace-gc`, the longest request from redis-benchmark.
 *
 * Environment: BENCH_KEYS (default 5000000).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rssBytes, startRedis } from './servers.ts'

const KEYS = Number(process.env.BENCH_KEYS ?? 5_000_000)
const VALUE = 'v'.repeat(64)
const BATCH = 1000
const PORT = 17_379

/** Writes all keys by one pipelining connection. Returns the longest batch, in ms. */
async function fill(port: number): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  let longest = 0
  for (let first = 0; first < KEYS; first += BATCH) {
    let request = ''
    for (let i = first; i < first + BATCH; i++) {
      request += `*3\r\n$3\r\nSET\r\n$16\r\nkey:${String(i).padStart(12, '0')}\r\n$64\r\n${VALUE}\r\n`
    }
    const started = performance.now()
    socket.write(request)
    let received = 0
    while (received < BATCH * 5) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      received += chunk.length
    }
    longest = Math.max(longest, performance.now() - started)
  }
  socket.destroy()
  return longest
}

const redis = await startRedis(['--appendonly', 'no'])
const theirsBefore = rssBytes(redis.pid)
const theirLongest = await fill(redis.port)
const theirs = rssBytes(redis.pid)
await redis.stop()

const directory = mkdtempSync(join(tmpdir(), 'bench-memory-'))
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const child = spawn(
  process.execPath,
  ['--trace-gc', main, '--port', String(PORT), '--appendonly', 'no', '--dir', directory],
  {
    stdio: ['ignore', 'pipe', 'ignore'],
  },
)
let log = ''
child.stdout.on('data', (chunk) => (log += String(chunk)))
while (!log.includes('Ready to accept')) await once(child.stdout, 'data')
const pid = child.pid ?? 0
const oursBefore = rssBytes(pid)
const beforeFill = log.length
const ourLongest = await fill(PORT)
const ours = rssBytes(pid)
const pauses = [...log.slice(beforeFill).matchAll(/(?:Scavenge|Mark-Compact)[^\n]*? ([0-9.]+) \/ [0-9.]+ ms/g)].map(
  (m) => Number(m[1]),
)
child.kill('SIGTERM')
await once(child, 'exit')
rmSync(directory, { recursive: true, force: true })

const mb = (bytes: number): string => (bytes / 1e6).toFixed(0)
console.log(`${KEYS} keys of 16 B with 64 B values`)
console.log(
  `redis     RSS ${mb(theirs)} MB (empty ${mb(theirsBefore)}), longest batch of ${BATCH} ${theirLongest.toFixed(1)} ms`,
)
console.log(
  `millrace  RSS ${mb(ours)} MB (empty ${mb(oursBefore)}), longest batch of ${BATCH} ${ourLongest.toFixed(1)} ms`,
)
console.log(
  `ratio ${(ours / theirs).toFixed(2)}; ${pauses.length} collections, longest ${Math.max(0, ...pauses).toFixed(2)} ms`,
)
