/**
 * Event sourcing: orders are a stream of events, and all else follows from it. `npm run example:event-sourcing`
 *
 * - The stream `orders` is the only truth. Nothing in it is ever changed.
 * - The group `billing` has two consumers that share the work. One of them dies with an event in hand; the other takes
 *   it over (XAUTOCLAIM), so that it is billed all the same, once.
 * - The group `projection` keeps a read model: a hash with the state of each order, a sorted set with the revenue of
 *   each item. It is thrown away at the end and built again by replaying the stream.
 */
import { createBroker, type LocalBroker, type ReplyValue } from '../../src/index.ts'

const STREAM = 'orders'
const READ_MODEL = ['order-state', 'revenue-by-item']
/** A pending event that was idle for so long is taken over, in ms. */
const TAKE_OVER_AFTER_MS = 100

interface OrderEvent {
  readonly id: string
  readonly type: string
  readonly order: string
  readonly item: string
  readonly amount: number
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function title(text: string): void {
  process.stdout.write(`\n== ${text}\n`)
}

/** `[[id, [field, value, …]], …]`, as streams are read, as events. */
function toEvents(entries: ReplyValue): OrderEvent[] {
  if (!Array.isArray(entries)) return []
  return entries.map(([id, fields]: [string, string[]]) => {
    const value = (name: string): string => fields[fields.indexOf(name) + 1] ?? ''
    return { id, type: value('type'), order: value('order'), item: value('item'), amount: Number(value('amount')) }
  })
}

function append(broker: LocalBroker, type: string, order: string, item: string, amount: number): Promise<ReplyValue> {
  return broker.call('XADD', STREAM, '*', 'type', type, 'order', order, 'item', item, 'amount', amount)
}

/** Up to `count` new events of a group for one of its consumers; waits a moment for the first. */
async function read(broker: LocalBroker, group: string, consumer: string, count: number): Promise<OrderEvent[]> {
  const reply = await broker.call(
    'XREADGROUP',
    'GROUP',
    group,
    consumer,
    'COUNT',
    count,
    'BLOCK',
    50,
    'STREAMS',
    STREAM,
    '>',
  )
  return reply === null ? [] : toEvents((reply as Record<string, ReplyValue>)[STREAM] ?? null)
}

/** Brings one event into the read model, and acknowledges it in the same transaction: both or neither. */
async function project(broker: LocalBroker, event: OrderEvent): Promise<void> {
  const effects: (string | number)[][] = [['HSET', 'order-state', event.order, event.type]]
  if (event.type === 'paid') effects.push(['ZINCRBY', 'revenue-by-item', event.amount, event.item])
  if (event.type === 'refunded') effects.push(['ZINCRBY', 'revenue-by-item', -event.amount, event.item])
  await broker.pipeline([['MULTI'], ...effects, ['XACK', STREAM, 'projection', event.id], ['EXEC']])
}

async function projectAll(broker: LocalBroker): Promise<number> {
  let projected = 0
  for (;;) {
    const events = await read(broker, 'projection', 'projector', 100)
    if (events.length === 0) return projected
    for (const event of events) await project(broker, event)
    projected += events.length
  }
}

/** The read model as text, to compare. */
async function showReadModel(broker: LocalBroker): Promise<string> {
  const states = (await broker.call('HGETALL', 'order-state')) as Record<string, string>
  const revenue = (await broker.call('ZRANGE', 'revenue-by-item', '+inf', '-inf', 'BYSCORE', 'REV', 'WITHSCORES')) as [
    string,
    number,
  ][]
  const orders = Object.entries(states).map(([order, state]) => `${order} ${state}`)
  return `orders: ${orders.sort().join(', ')}\nrevenue: ${revenue.map(([item, sum]) => `${item} ${sum}`).join(', ')}`
}

const broker = await createBroker()
for (const group of ['billing', 'projection']) await broker.call('XGROUP', 'CREATE', STREAM, group, '0', 'MKSTREAM')

title('Events are appended')
for (const [type, order, item, amount] of [
  ['placed', 'o1', 'tea', 5],
  ['placed', 'o2', 'cake', 8],
  ['paid', 'o1', 'tea', 5],
  ['placed', 'o3', 'tea', 5],
  ['paid', 'o2', 'cake', 8],
  ['paid', 'o3', 'tea', 5],
  ['refunded', 'o3', 'tea', 5],
] as const) {
  await append(broker, type, order, item, amount)
  say(`${order} ${type}: ${item}, ${amount}`)
}
say(`The stream has ${String(await broker.call('XLEN', STREAM))} events`)

title('Group billing: two consumers share the events, one of them dies')
const billed: string[] = []
async function bill(consumer: string, event: OrderEvent): Promise<void> {
  if (event.type === 'paid') {
    billed.push(event.order)
    say(`${consumer} bills ${event.order}`)
  }
  await broker.call('XACK', STREAM, 'billing', event.id)
}
for (const event of await read(broker, 'billing', 'anna', 2)) await bill('anna', event)
const [unfinished] = await read(broker, 'billing', 'ben', 1)
say(`ben takes "${unfinished!.order} ${unfinished!.type}" and dies before billing it`)
for (const event of await read(broker, 'billing', 'anna', 100)) await bill('anna', event)
await new Promise((resolve) => setTimeout(resolve, TAKE_OVER_AFTER_MS * 1.5))
const [, claimed] = (await broker.call('XAUTOCLAIM', STREAM, 'billing', 'anna', TAKE_OVER_AFTER_MS, '0')) as [
  string,
  ReplyValue,
]
for (const event of toEvents(claimed)) {
  say(`anna takes over "${event.order} ${event.type}"`)
  await bill('anna', event)
}
say(`billed: ${billed.sort().join(', ')}`)
const [pending] = (await broker.call('XPENDING', STREAM, 'billing')) as [number]
say(`billing has ${pending} pending events`)

title('Group projection: a read model follows the same events')
say(`projected ${await projectAll(broker)} events`)
const before = await showReadModel(broker)
say(before)

title('Replay: the read model is thrown away and built again')
await broker.pipeline([['MULTI'], ['DEL', ...READ_MODEL], ['XGROUP', 'SETID', STREAM, 'projection', '0'], ['EXEC']])
say(`read model deleted: ${String(await broker.call('EXISTS', ...READ_MODEL))} keys left`)
say(`replayed ${await projectAll(broker)} events`)
const after = await showReadModel(broker)
say(after)
say(after === before ? 'The rebuilt read model is the same' : 'The rebuilt read model differs')

await broker.close()
process.exitCode = after === before ? 0 : 1
