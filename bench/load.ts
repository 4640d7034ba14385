/**
 * Time from the start of the process to the first PONG, with data to load: logs of SETs and of a mix of commands, and an RDB
 * file that redis-server has written. Both servers load the same files in turn, from the page cache.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RespClient } from '../test/support/resp-client.ts'
import { mixedRecords, type Records, setRecords, writeLog } from './load-files.ts'
import { withLoaded } from './start.ts'
import { fillKeys } from './support/fill.ts'
import { median } from './support/numbers.ts'
import { type Bench, column, isWanted, table } from './support/report.ts'
import { alternate } from './support/rounds.ts'
import { type BenchServer, startMillrace, startRedis } from './support/servers.ts'

const ROUNDS = 3
const LOG = ['--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0']
const NO_LOG = ['--appendonly', 'no']

interface Sizes {
  readonly logBytes: number
  readonly keys: number
}

const FULL: Sizes = { logBytes: 1e9, keys: 5_000_000 }
const QUICK: Sizes = { logBytes: 1e6, keys: 5000 }

interface DataFile {
  readonly name: string
  readonly args: readonly string[]
  /** Makes the files. Returns their size in bytes. */
  make(directory: string, sizes: Sizes): Promise<number>
}

const FILES: readonly DataFile[] = [
  logFile('log of SETs', setRecords),
  logFile('log of a mix', mixedRecords),
  { name: 'RDB', args: NO_LOG, make: makeRdb },
]

export const load: Bench = {
  name: 'load',
  summary: 'time to load a log of SETs, one of a mix and an RDB file, a gigabyte each; 4 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const sizes = options.isQuick ? QUICK : FULL
    const rounds = options.rounds ?? (options.isQuick ? 1 : ROUNDS)
    const rows: (string | number)[][] = []
    const root = mkdtempSync(join(tmpdir(), 'bench-load-'))
    try {
      for (const file of FILES.filter(({ name }) => isWanted(name, options))) {
        const directory = join(root, file.name.replaceAll(' ', '-'))
        mkdirSync(directory)
        const megabytes = (await file.make(directory, sizes)) / 1e6
        const starts = [startRedis, startMillrace]
        const times = await alternate(starts, rounds, (start) =>
          withLoaded(
            () => start({ directory, args: file.args }),
            ({ ms }) => ms,
          ),
        )
        const [theirs, ours] = times.map((ms) => median(ms) / 1000) as [number, number]
        rows.push([file.name, megabytes, await keysAlike(file, directory), theirs, ours, theirs / ours])
        rmSync(directory, { recursive: true, force: true })
      }
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
    return {
      method: `From the start of the process to the first PONG, medians of ${rounds} alternating rounds, from the page cache. Keys of 16 bytes with values of 64 that cannot be compressed; the mix is keys, counters, hashes, lists, sets, sorted sets, streams, transactions and expire times. The numbers of keys must agree.`,
      tables: [
        table(
          'Loading',
          [
            column('file', 0),
            column('MB', 0),
            column('keys', 0),
            column('Redis s', 2),
            column('Millrace s', 2),
            column('speed beside Redis', 2),
          ],
          rows,
        ),
      ],
      goals: [],
      plots: [],
    }
  },
}

function logFile(name: string, records: (keys: number) => Records): DataFile {
  return {
    name,
    args: LOG,
    make: async (directory, { logBytes, keys }) => {
      writeLog(directory, logBytes, records(keys))
      return statSync(join(directory, 'appendonlydir', 'appendonly.aof.1.incr.aof')).size
    },
  }
}

async function makeRdb(directory: string, { keys }: Sizes): Promise<number> {
  const redis = await startRedis({ directory, args: NO_LOG })
  try {
    await fillKeys(redis.port, keys)
    const client = await RespClient.connect({ port: redis.port })
    await client.call('SAVE')
    client.close()
  } finally {
    await redis.stop()
  }
  return statSync(join(directory, 'dump.rdb')).size
}

/** How many keys both servers find. @throws Error when they do not agree */
async function keysAlike({ name, args }: DataFile, directory: string): Promise<number> {
  const counts: number[] = []
  for (const start of [startRedis, startMillrace]) {
    const starting = (): Promise<BenchServer> => start({ directory, args })
    counts.push(await withLoaded(starting, async ({ client }) => Number(await client.call('DBSIZE'))))
  }
  if (counts[0] !== counts[1]) throw new Error(`${name}: ${counts[1]} keys, redis-server has ${counts[0]}`)
  return counts[0]!
}
