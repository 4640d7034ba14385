/**
 * Time from the start of the process to the first PONG, with data to load: logs of SETs and of a mix of commands, and an
 * RDB file that redis-server has written. Both servers load the same files, one after the other, from the page cache.
 *
 * Environment: BENCH_ROUNDS (default 3), BENCH_MB (size of a log, default 1000), BENCH_KEYS (of the RDB file and of the
 * log of SETs, default 5000000), BENCH_FILES (comma-separated: sets, mix, rdb).
 */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { fill, mixedRecords, setRecords, writeLog } from './durability-data.ts'
import { type BenchServer, median, startMillraceOn, startRedisOn } from './servers.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const LOG_BYTES = Number(process.env.BENCH_MB ?? 1000) * 1e6
const KEYS = Number(process.env.BENCH_KEYS ?? 5_000_000)
const LOAD_MS_MAX = 300_000
const POLL_MS = 5
const LOG = ['--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0']
const NO_LOG = ['--appendonly', 'no']

interface DataFile {
  readonly label: string
  readonly args: readonly string[]
  /** Makes the files. Returns their size in bytes. */
  make(directory: string): Promise<number>
}

const FILES: Readonly<Record<string, DataFile>> = {
  sets: {
    label: 'log of SETs',
    args: LOG,
    make: async (at) => logBytes(at, writeLog(at, LOG_BYTES, setRecords(KEYS))),
  },
  mix: {
    label: 'log of a mix',
    args: LOG,
    make: async (at) => logBytes(at, writeLog(at, LOG_BYTES, mixedRecords(KEYS))),
  },
  rdb: { label: `RDB of ${KEYS} keys`, args: NO_LOG, make: makeRdb },
}

async function makeRdb(directory: string): Promise<number> {
  const redis = await startRedisOn(directory, NO_LOG)
  const client = new Redis(redis.port)
  try {
    await fill(redis.port, KEYS)
    await client.save()
  } finally {
    client.disconnect()
    await redis.stop()
  }
  return statSync(join(directory, 'dump.rdb')).size
}

function logBytes(directory: string, records: number): number {
  if (records === 0) throw new Error('An empty log')
  return statSync(join(directory, 'appendonlydir', 'appendonly.aof.1.incr.aof')).size
}

interface Load {
  readonly ms: number
  readonly keys: number
}

/** Starts a server and waits until it answers, then stops it. */
async function load(start: () => Promise<BenchServer>): Promise<Load> {
  const begun = performance.now()
  const server = await start()
  const client = new Redis(server.port, { lazyConnect: true })
  try {
    while (!(await pongs(server.port))) {
      if (performance.now() - begun > LOAD_MS_MAX) throw new Error(`${server.name} has not loaded in ${LOAD_MS_MAX} ms`)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    const ms = performance.now() - begun
    await client.connect()
    return { ms, keys: await client.dbsize() }
  } finally {
    client.disconnect()
    await server.stop()
  }
}

async function pongs(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write('PING\r\n')
    const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(LOAD_MS_MAX) })) as [Buffer]
    return chunk.toString('latin1').startsWith('+PONG')
  } finally {
    socket.destroy()
  }
}

const root = mkdtempSync(join(tmpdir(), 'bench-load-'))
try {
  console.log(`loading: from the start of the process to the first PONG, medians of ${ROUNDS} rounds`)
  console.log('file                        MB      keys   redis s    ours s   redis MB/s   ours MB/s   ratio')
  for (const name of process.env.BENCH_FILES?.split(',') ?? Object.keys(FILES)) {
    const file = FILES[name]
    if (file === undefined) throw new Error(`Unknown file ${name}`)
    const directory = join(root, name)
    mkdirSync(directory)
    const megabytes = (await file.make(directory)) / 1e6
    const theirs: number[] = []
    const ours: number[] = []
    let keys = 0
    for (let round = 0; round < ROUNDS; round++) {
      const their = await load(() => startRedisOn(directory, file.args))
      const our = await load(() => startMillraceOn(directory, [...file.args, '--save', '']))
      if (their.keys !== our.keys) throw new Error(`${name}: ${our.keys} keys, redis has ${their.keys}`)
      theirs.push(their.ms / 1000)
      ours.push(our.ms / 1000)
      keys = our.keys
    }
    const [theirSeconds, ourSeconds] = [median(theirs), median(ours)]
    console.log(
      [
        file.label.padEnd(22),
        megabytes.toFixed(0).padStart(7),
        String(keys).padStart(9),
        theirSeconds.toFixed(2).padStart(9),
        ourSeconds.toFixed(2).padStart(9),
        (megabytes / theirSeconds).toFixed(0).padStart(12),
        (megabytes / ourSeconds).toFixed(0).padStart(11),
        (theirSeconds / ourSeconds).toFixed(2).padStart(7),
      ].join(' '),
    )
    rmSync(directory, { recursive: true, force: true })
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
