/**
 * The engine alone: pipelined requests handed to a server without sockets; nanoseconds per request. For profiling:
 * `node --cpu-prof bench/engine.ts`.
 *
 * Environment: BENCH_COMMANDS (comma-separated names), BENCH_AOF=1 (effects are encoded and dropped).
 */
import { configFromOptions } from '../src/config/config.ts'
import { allowInlining } from '../src/server/compiler-flags.ts'
import { Server, SYSTEM_CLOCK } from '../src/server/server.ts'
import type { Connection } from '../src/transport/contract.ts'

const DEPTH = 64
const KEYS = 100_000
const BATCHES = 4000
const ROUNDS = 8
const VALUE = 'value-of-twenty-bytes'

allowInlining()
const silent = { debug() {}, verbose() {}, notice() {}, warning() {} }
const server = new Server({
  config: configFromOptions({ port: 0, appendonly: 'no', save: '' }),
  log: silent,
  clock: SYSTEM_CLOCK,
})
if (process.env.BENCH_AOF === '1') server.journal.subscribe(() => {})

const connection: Connection = {
  outbox: null,
  address: '127.0.0.1:1',
  localAddress: '127.0.0.1:2',
  isUnixSocket: false,
  isLocal: true,
  queuedBytes: 0,
  send: () => true,
  readNow: () => 0,
  pause() {},
  resume() {},
  setKeepAlive() {},
  delaySmallPackets() {},
  end() {},
  destroy() {},
}
const receiver = server.accept(connection)
if (receiver === null) throw new Error('Connection refused')

let state = 12345
function random(limit: number): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return (state >>> 8) % limit
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}

const number = (): string => String(random(KEYS)).padStart(12, '0')
const COMMANDS: Readonly<Record<string, () => string[]>> = {
  PING: () => ['PING'],
  SET: () => ['SET', `key:${number()}`, VALUE],
  GET: () => ['GET', `key:${number()}`],
  INCR: () => ['INCR', `counter:${number()}`],
  LPUSH: () => ['LPUSH', 'list', VALUE],
  RPOP: () => ['RPOP', 'list'],
  HSET: () => ['HSET', 'hash', `field:${number()}`, VALUE],
  ZADD: () => ['ZADD', 'zset', number(), `member:${number()}`],
  XADD: () => ['XADD', 'stream', '*', 'field', VALUE],
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

for (const name of process.env.BENCH_COMMANDS?.split(',') ?? Object.keys(COMMANDS)) {
  const make = COMMANDS[name]
  if (make === undefined) throw new Error(`Unknown command ${name}`)
  // Many different batches, so that keys are spread as a load generator spreads them.
  const batches = Array.from({ length: 500 }, () =>
    Buffer.from(Array.from({ length: DEPTH }, () => encode(make())).join(''), 'latin1'),
  )
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now()
    for (let i = 0; i < BATCHES; i++) {
      const batch = batches[i % batches.length]!
      receiver.received(batch, 0, batch.length)
      // As with 50 connections: replies of many batches are sent in one turn.
      if (i % 50 === 49) await turn()
    }
    best = Math.min(best, ((performance.now() - started) * 1e6) / (BATCHES * DEPTH))
  }
  console.log(`${name.padEnd(8)} ${best.toFixed(0).padStart(6)} ns`)
}
process.exit(0)
