/** Data for benches: pipelined commands by the hundred thousand, keys of 16 bytes with values of 64. */
import { once } from 'node:events'
import { connect } from 'node:net'

const BATCH = 1000
const VALUE_BYTES = 64
/** Values are taken from a pool of random text, so that none can be compressed. */
const POOL = randomText(1_000_003)
const POOL_STEP = 7919

/** The name of a key, as redis-benchmark makes it of `key:__rand_int__`: 16 bytes. */
export function keyName(index: number): string {
  return `key:${digits(index)}`
}

/** Twelve digits, as redis-benchmark puts in the place of `__rand_int__`. */
export function digits(index: number): string {
  return String(index).padStart(12, '0')
}

/** A value of 64 bytes that LZF cannot shorten. */
export function valueText(index: number): string {
  const at = (index * POOL_STEP) % (POOL.length - VALUE_BYTES)
  return POOL.slice(at, at + VALUE_BYTES)
}

/** A request or a record of the log, of byte strings. */
export function encode(...args: readonly string[]): string {
  let text = `*${args.length}\r\n`
  for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`
  return text
}

/**
 * Sends `count` commands by one pipelining connection; `request` encodes that of a number. Their replies must be of one line
 * each (`+OK`, `:1`) or of two (`$3`, `abc`), and none an error.
 */
export async function send(
  port: number,
  count: number,
  request: (index: number) => string,
  linesPerReply: 1 | 2 = 1,
): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  for (let first = 0; first < count; first += BATCH) {
    const end = Math.min(count, first + BATCH)
    let text = ''
    for (let i = first; i < end; i++) text += request(i)
    socket.write(text, 'latin1')
    for (let lines = 0; lines < (end - first) * linesPerReply; ) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      if (chunk[0] === 0x2d) throw new Error(`A command was refused: ${chunk.toString('latin1', 0, 200)}`)
      for (const byte of chunk) if (byte === 0x0a) lines++
    }
  }
  socket.destroy()
}

/** Writes keys [0, count). */
export function fillKeys(port: number, count: number): Promise<void> {
  return send(port, count, (index) => encode('SET', keyName(index), valueText(index)))
}

function randomText(length: number): string {
  // A small generator with a fixed seed: all runs have the same data.
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = letters.charCodeAt(state >>> 26)
  }
  return bytes.toString('latin1')
}
