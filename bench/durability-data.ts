/** Data sets of the durability benches: keys of 16 bytes with values of 64, in a running server or as files. */
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

const BATCH = 1000
const VALUE_BYTES = 64
/** Values are taken from a pool of random text, so that none can be compressed. */
const POOL = randomText(1_000_003)
const POOL_STEP = 7919
/** Text is gathered until it has so many bytes. */
const WRITE_BYTES = 4 * 1024 * 1024
const COLLECTIONS = 10_000
/** Transactions in the mix have so many commands. */
const TRANSACTION = 3

/** The name of a key, as redis-benchmark makes it of `key:__rand_int__`. */
export function keyName(index: number): string {
  return `key:${String(index).padStart(12, '0')}`
}

/** A value of 64 bytes that LZF cannot shorten. */
export function valueText(index: number): string {
  const at = (index * POOL_STEP) % (POOL.length - VALUE_BYTES)
  return POOL.slice(at, at + VALUE_BYTES)
}

/** A request or a record of the log. */
export function encode(...args: readonly string[]): string {
  let text = `*${args.length}\r\n`
  for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`
  return text
}

/** Writes keys [0, count) by one pipelining connection. */
export async function fill(port: number, count: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  for (let first = 0; first < count; first += BATCH) {
    const end = Math.min(count, first + BATCH)
    let request = ''
    for (let i = first; i < end; i++) request += encode('SET', keyName(i), valueText(i))
    socket.write(request)
    let replies = ''
    while (replies.length < (end - first) * '+OK\r\n'.length) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      replies += chunk.toString('latin1')
    }
    if (replies.includes('-')) throw new Error(`A key was refused: ${replies.slice(0, 200)}`)
  }
  socket.destroy()
}

/** The records of a log, by number. */
export type Records = (index: number) => string

/** SETs over `keys` keys. */
export function setRecords(keys: number): Records {
  return (index) => encode('SET', keyName(index % keys), valueText(index))
}

/** What brokers write: plain keys and counters, hashes, lists as queues, sets, sorted sets, streams, transactions. */
export function mixedRecords(keys: number): Records {
  return (index) => {
    const round = Math.floor(index / MIX.length)
    return MIX[index % MIX.length]!(round, round % keys, round % COLLECTIONS)
  }
}

const MIX: readonly ((round: number, key: number, collection: number) => string)[] = [
  (round, key) => encode('SET', keyName(key), valueText(round)),
  (_, key) => encode('INCRBY', `counter:${key % COLLECTIONS}`, '7'),
  (round, _, collection) => encode('HSET', `hash:${collection}`, `field:${round % 1000}`, valueText(round)),
  (round, _, collection) => encode('RPUSH', `list:${collection}`, valueText(round)),
  (_, __, collection) => encode('LPOP', `list:${(collection * 3) % COLLECTIONS}`),
  (round, _, collection) => encode('SADD', `set:${collection}`, `member:${round % 5000}`),
  (round, _, collection) => encode('ZADD', `zset:${collection}`, String(round), `member:${round % 2000}`),
  (round, _, collection) => encode('XADD', `stream:${collection}`, `${round + 1}-0`, 'payload', valueText(round)),
  (round, key) => {
    let text = encode('MULTI')
    for (let i = 0; i < TRANSACTION; i++) text += encode('HSET', `job:${key % COLLECTIONS}`, `f${i}`, String(round + i))
    return text + encode('EXEC')
  },
  (round, key) => encode('SET', `session:${key}`, valueText(round), 'PXAT', String(4_000_000_000_000 + round)),
  (_, key) => encode('DEL', `session:${Math.max(0, key - 1000)}`),
]

/** Makes a multi-part log of one incremental file of about `bytes` bytes in `directory`. Returns how many records it has. */
export function writeLog(directory: string, bytes: number, records: Records): number {
  const folder = join(directory, 'appendonlydir')
  mkdirSync(folder)
  writeFileSync(join(folder, 'appendonly.aof.manifest'), 'file appendonly.aof.1.incr.aof seq 1 type i\n')
  const fd = openSync(join(folder, 'appendonly.aof.1.incr.aof'), 'w')
  let text = encode('SELECT', '0')
  let count = 0
  for (let written = 0; written < bytes; ) {
    while (text.length < WRITE_BYTES && written + text.length < bytes) text += records(count++)
    written += writeSync(fd, text, null, 'latin1')
    text = ''
  }
  closeSync(fd)
  return count
}

function randomText(length: number): string {
  // A small generator with a fixed seed: all runs have the same data.
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = digits.charCodeAt(state >>> 26)
  }
  return bytes.toString('latin1')
}
