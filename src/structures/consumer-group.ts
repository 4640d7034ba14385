/**
 * Consumer groups of a stream: who has read how far, and what is pending for whom. Hot path.
 *
 * Groups of a stream and consumers of a group are few; each set is an array sorted by name, byte by byte, which is the
 * order of XINFO, and is searched by the bytes of the request. A consumer keeps a number in its group, which the pending
 * entries hold instead of a pointer.
 */
import type { Arena } from '../storage/arena.ts'
import { Consumer, PendingEntries } from './pending-entries.ts'
import { SeekHint } from './stream-cursor.ts'
import { StreamId } from './stream-id.ts'

/** Read counter of a group that does not know how many entries of the stream it has read. */
export const ENTRIES_READ_UNKNOWN = -1

/** What has a name that is a byte string. */
interface Named {
  readonly name: string
}

export class ConsumerGroup {
  /** Byte string. */
  readonly name: string
  /** ID of the newest entry that was delivered to the group. */
  readonly lastId: StreamId = new StreamId()
  /** How many entries of the stream the group has read, from the first one ever added; or ENTRIES_READ_UNKNOWN. */
  entriesRead: number
  /** Sorted by name. */
  readonly consumers: Consumer[] = []
  readonly pending: PendingEntries
  /** Where the group's reading was last, for the next read. */
  readonly hint: SeekHint = new SeekHint()
  private readonly arena: Arena
  private readonly consumersByIndex: (Consumer | null)[] = []
  private readonly freeIndices: number[] = []

  /** @param arena counts the bytes of the group from here on, until `free`. */
  constructor(arena: Arena, name: string, lastId: StreamId, entriesRead: number) {
    this.arena = arena
    this.name = name
    this.lastId.copy(lastId)
    this.entriesRead = entriesRead
    this.pending = new PendingEntries(arena, this.consumersByIndex)
    arena.outsideBytes += GROUP_OBJECT_BYTES + name.length
  }

  /** Gives up the group: its bytes count no longer. */
  free(): void {
    this.arena.outsideBytes -= GROUP_OBJECT_BYTES + this.name.length
    for (const consumer of this.consumers) this.arena.outsideBytes -= consumerBytes(consumer)
    this.pending.free()
  }

  /** The consumer whose name is `source[start, start + length)`, or null. */
  consumer(source: Uint8Array, start: number, length: number): Consumer | null {
    const at = searchNamed(this.consumers, source, start, length)
    return at < 0 ? null : this.consumers[at]!
  }

  /** Adds a consumer, seen now. The name must be new. */
  addConsumer(name: string, nowMs: number): Consumer {
    const index = this.freeIndices.pop() ?? this.consumersByIndex.length
    const consumer = new Consumer(this.arena, name, index, nowMs)
    this.arena.outsideBytes += consumerBytes(consumer)
    this.consumersByIndex[index] = consumer
    insertNamed(this.consumers, consumer)
    return consumer
  }

  /** Removes a consumer and what is pending for it. */
  removeConsumer(consumer: Consumer): void {
    this.pending.removeAllOf(consumer, new StreamId())
    this.arena.outsideBytes -= consumerBytes(consumer)
    this.consumersByIndex[consumer.index] = null
    this.freeIndices.push(consumer.index)
    this.consumers.splice(this.consumers.indexOf(consumer), 1)
  }

  /** A group of its own with the same consumers and pending entries. */
  clone(): ConsumerGroup {
    const copy = new ConsumerGroup(this.arena, this.name, this.lastId, this.entriesRead)
    copy.freeIndices.push(...this.freeIndices)
    for (const consumer of this.consumersByIndex) {
      if (consumer === null) {
        copy.consumersByIndex.push(null)
        continue
      }
      const copied = new Consumer(this.arena, consumer.name, consumer.index, consumer.seenTime)
      this.arena.outsideBytes += consumerBytes(copied)
      copied.activeTime = consumer.activeTime
      copied.pending.copyFrom(consumer.pending)
      copy.consumersByIndex.push(copied)
    }
    for (const consumer of this.consumers) copy.consumers.push(copy.consumersByIndex[consumer.index]!)
    this.pending.copyTo(copy.pending)
    return copy
  }

  /** Bytes of typed arrays, names and objects (those estimated). */
  overheadBytes(): number {
    let bytes = GROUP_OBJECT_BYTES + this.name.length + this.pending.overheadBytes()
    for (const consumer of this.consumers) {
      bytes += consumerBytes(consumer) + consumer.pending.overheadBytes()
    }
    return bytes
  }
}

const GROUP_OBJECT_BYTES = 512
const CONSUMER_OBJECT_BYTES = 256

function consumerBytes(consumer: Consumer): number {
  return CONSUMER_OBJECT_BYTES + consumer.name.length
}

/** Index of the item named `source[start, start + length)` in a sorted list; else the complement of where it belongs. */
export function searchNamed(list: readonly Named[], source: Uint8Array, start: number, length: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareName(list[middle]!.name, source, start, length)
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle
  }
  return ~low
}

/** Puts an item with a new name into a sorted list. */
export function insertNamed<T extends Named>(list: T[], item: T): void {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    // Chars are bytes, so strings compare as the bytes do.
    if (list[middle]!.name < item.name) low = middle + 1
    else high = middle
  }
  list.splice(low, 0, item)
}

function compareName(name: string, source: Uint8Array, start: number, length: number): number {
  const shared = Math.min(name.length, length)
  for (let i = 0; i < shared; i++) {
    const difference = name.charCodeAt(i) - source[start + i]!
    if (difference !== 0) return difference
  }
  return name.length - length
}
