/** Subscribers of one channel that only count bytes; a process of their own, so that they take no time from who measures. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(import.meta.url)
const SUBSCRIBE = '*2\r\n$9\r\nSUBSCRIBE\r\n$7\r\nchannel\r\n'
const BUFFER_BYTES = 65_536

/** Starts them. Resolves to what stops them, when all are subscribed. */
export async function startSubscribers(port: number, count: number): Promise<() => Promise<void>> {
  const child: ChildProcess = fork(FILE, [String(port), String(count)])
  const ended = once(child, 'exit')
  await Promise.race([
    once(child, 'message'),
    ended.then(() => Promise.reject(new Error('The subscribers could not connect'))),
  ])
  return async () => {
    child.disconnect()
    await ended
  }
}

async function subscribe(port: number): Promise<void> {
  let received = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  connect({
    port,
    host: '127.0.0.1',
    onread: {
      buffer,
      callback: (bytes) => {
        if (received === 0) resolve()
        received += bytes
        return true
      },
    },
  }).write(SUBSCRIBE)
  await promise
}

if (process.argv[1] === FILE) {
  process.on('disconnect', () => process.exit(0))
  const [port, count] = process.argv.slice(2).map(Number)
  await Promise.all(Array.from({ length: count! }, () => subscribe(port!)))
  process.send?.('subscribed')
}
