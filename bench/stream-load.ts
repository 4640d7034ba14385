/**
 * Producers or consumers of one stream, run as processes by bench/streams.ts. The entries carry the time at which they were
 * sent, by the clock that all processes of a machine share.
 */
import { type Reply, RespClient } from '../test/support/resp-client.ts'
import { type Latency, LatencyHistogram, nowUs } from './support/numbers.ts'
import { serveTasks } from './support/task-process.ts'

const STREAM = 'orders'
const VALUE = 'a value of forty bytes, as in an order ..'
/** How long the consumers that get none of the last entries wait for more. */
const BLOCK_MS = '100'

export type StreamTask =
  | {
      readonly role: 'produce'
      readonly port: number
      readonly connections: number
      readonly entries: number
      /** Entries in one write. */
      readonly batch: number
      /** Entries per second of all connections; null: as fast as they are answered. */
      readonly rate: number | null
    }
  | {
      readonly role: 'consume'
      readonly port: number
      readonly group: string
      readonly consumers: number
      /** Of the whole group, until it ends. */
      readonly entries: number
      /** COUNT of a read. */
      readonly count: number
    }

export interface StreamResult {
  /** When the last entry was sent or received, by the clock of `nowUs`. */
  readonly lastUs: number
  /** From XADD to receipt; null for producers. */
  readonly latency: Latency | null
}

async function produce(task: StreamTask & { role: 'produce' }): Promise<StreamResult> {
  const clients = await connect(task.port, task.connections)
  const perClient = task.entries / task.connections
  const begunUs = nowUs()
  const usPerBatch = task.rate === null ? 0 : (task.batch * task.connections * 1e6) / task.rate
  await Promise.all(
    clients.map(async (client, index) => {
      for (let sent = 0; sent < perClient; sent += task.batch) {
        // Connections take turns in time too.
        const dueUs = begunUs + (sent / task.batch + index / task.connections) * usPerBatch
        if (task.rate !== null && dueUs > nowUs()) await untilUs(dueUs)
        const time = String(nowUs())
        const commands = Array.from({ length: Math.min(task.batch, perClient - sent) }, () => [
          ...['XADD', STREAM, '*', 'sent', time, 'value', VALUE],
        ])
        refuseErrors(await client.pipeline(commands))
      }
    }),
  )
  for (const client of clients) client.close()
  return { lastUs: nowUs(), latency: null }
}

async function consume(task: StreamTask & { role: 'consume' }): Promise<StreamResult> {
  const clients = await connect(task.port, task.consumers)
  const latencies = new LatencyHistogram()
  let lastUs = 0
  await Promise.all(
    clients.map(async (client, index) => {
      const read = ['XREADGROUP', 'GROUP', task.group, `consumer-${index}`, 'COUNT', String(task.count)]
      const next = [...read, 'BLOCK', BLOCK_MS, 'STREAMS', STREAM, '>']
      let replies = await client.pipeline([next])
      for (;;) {
        const receivedUs = nowUs()
        const ids: string[] = []
        for (const [id, sentUs] of entriesOf(replies.at(-1)!)) {
          ids.push(id)
          latencies.add(receivedUs - sentUs)
          lastUs = receivedUs
        }
        const isLast = latencies.count >= task.entries
        const commands = ids.length === 0 ? [] : [['XACK', STREAM, task.group, ...ids]]
        if (!isLast) commands.push(next)
        if (commands.length > 0) replies = refuseErrors(await client.pipeline(commands))
        if (isLast) return
      }
    }),
  )
  for (const client of clients) client.close()
  return { lastUs, latency: latencies.latency() }
}

/** ID and time of sending of each entry in a reply to XREADGROUP. */
function* entriesOf(reply: Reply): Generator<[string, number]> {
  if (reply === null) return
  const [stream] = reply as [[string, [string, string[]][]]]
  for (const [id, fields] of stream[1]) yield [id, Number(fields[1])]
}

function refuseErrors(replies: Reply[]): Reply[] {
  for (const reply of replies) {
    if (typeof reply === 'object' && reply !== null && 'error' in reply) throw new Error(reply.error)
  }
  return replies
}

function connect(port: number, count: number): Promise<RespClient[]> {
  return Promise.all(Array.from({ length: count }, () => RespClient.connect({ port })))
}

/** Timers are too coarse for some thousand batches a second. */
async function untilUs(dueUs: number): Promise<void> {
  while (nowUs() < dueUs) await new Promise((resolve) => setImmediate(resolve))
}

serveTasks<StreamTask, StreamResult>((task) => (task.role === 'produce' ? produce(task) : consume(task)))
