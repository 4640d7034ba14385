/**
 * The commands that rebuild a stream: its entries, its counters, its groups and what is pending in them. For rewriting
 * an append-only file as commands, and for checking that a log says all about a stream.
 *
 * Entries that were released are made pending by XNACK itself. An empty stream comes to be by adding an entry and trimming it at once. Source: Valkey src/aof.c rewriteStreamObject.
 */
import type { ConsumerGroup } from './consumer-group.ts'
import { NO_POSITION } from './id-table.ts'
import type { IdempotentIds } from './idempotent-ids.ts'
import { type Consumer, deliveriesText } from './pending-entries.ts'
import type { Stream } from './stream.ts'
import { StreamCursor } from './stream-cursor.ts'
import { StreamId } from './stream-id.ts'

/** Released entries that one command names at most. */
const RELEASED_PER_COMMAND = 64

/**
 * Yields argument lists of byte strings, in the order in which they are to be executed. The stream must not change
 * meanwhile.
 */
export function* rebuildCommands(stream: Stream, key: string): Generator<string[], void, void> {
  yield* entryCommands(stream, key)
  yield* stateCommands(stream, key)
}

/** As `rebuildCommands`, for what a stream is beside its entries; creates it if it has none. */
export function* stateCommands(stream: Stream, key: string): Generator<string[], void, void> {
  if (stream.length === 0) yield ['XADD', key, 'MAXLEN', '0', '0-1', 'x', 'y']
  yield [
    'XSETID',
    key,
    stream.lastId.text(),
    'ENTRIESADDED',
    String(stream.entriesAdded),
    'MAXDELETEDID',
    stream.maxDeletedId.text(),
  ]
  if (stream.idempotentIds !== null) yield* idempotencyCommands(key, stream.idempotentIds)
  for (const group of stream.groups) {
    const lastId = group.lastId.text()
    yield ['XGROUP', 'CREATE', key, group.name, lastId, 'ENTRIESREAD', String(group.entriesRead)]
    for (const consumer of group.consumers) yield* consumerCommands(key, group, consumer)
    yield* releaseCommands(key, group)
  }
}

function* idempotencyCommands(key: string, ids: IdempotentIds): Generator<string[], void, void> {
  yield ['XCFGSET', key, 'IDMP-DURATION', String(ids.durationSeconds), 'IDMP-MAXSIZE', String(ids.maxSize)]
  for (const { producer, idempotentId, id } of ids.entries()) {
    yield ['XIDMPRECORD', key, producer, idempotentId, id.text()]
  }
}

function* entryCommands(stream: Stream, key: string): Generator<string[], void, void> {
  const last = new StreamId()
  last.setMax()
  const cursor = new StreamCursor()
  cursor.openForward(stream, new StreamId(), last, null)
  while (cursor.next()) {
    const command = ['XADD', key, cursor.id.text()]
    for (let i = 0; i < cursor.fieldCount; i++) {
      cursor.readField()
      command.push(cursor.text())
      cursor.readValue()
      command.push(cursor.text())
    }
    yield command
  }
}

function* consumerCommands(key: string, group: ConsumerGroup, consumer: Consumer): Generator<string[], void, void> {
  if (consumer.pending.size === 0) {
    yield ['XGROUP', 'CREATECONSUMER', key, group.name, consumer.name]
    return
  }
  const id = new StreamId()
  const owned = consumer.pending
  for (let at = owned.first(); at !== NO_POSITION; at = owned.next(at)) {
    owned.readId(at, 0, id)
    const position = group.pending.find(id)
    const time = String(group.pending.deliveryTime(position))
    const count = deliveriesText(group.pending.deliveryCount(position))
    const attributes = ['TIME', time, 'RETRYCOUNT', count, 'JUSTID', 'FORCE']
    yield ['XCLAIM', key, group.name, consumer.name, '0', id.text(), ...attributes]
  }
}

/** Runs of released entries with the same delivery count, in the order in which they were released. */
function* releaseCommands(key: string, group: ConsumerGroup): Generator<string[], void, void> {
  let run: string[] = []
  let count = ''
  const command = (): string[] => {
    return ['XNACK', key, group.name, 'FAIL', 'IDS', String(run.length), ...run, 'RETRYCOUNT', count, 'FORCE']
  }
  for (const { id } of group.pending.releasedEntries()) {
    const deliveries = deliveriesText(group.pending.deliveryCount(group.pending.find(id)))
    if (run.length > 0 && (deliveries !== count || run.length === RELEASED_PER_COMMAND)) {
      yield command()
      run = []
    }
    count = deliveries
    run.push(id.text())
  }
  if (run.length > 0) yield command()
}
