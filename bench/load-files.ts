/** Files that both servers load: logs of what brokers write. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { encode, keyName, valueText } from './support/fill.ts'

/** Text is gathered until it has so many bytes. */
const WRITE_BYTES = 4 * 1024 * 1024
const COLLECTIONS = 10_000
/** Transactions in the mix have so many commands. */
const TRANSACTION = 3

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
