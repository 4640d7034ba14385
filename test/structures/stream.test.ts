/** Streams and consumer groups against a simple model. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { ConsumerGroup } from '../../src/structures/consumer-group.ts'
import { NO_POSITION } from '../../src/structures/id-table.ts'
import { Stream, TrimMode } from '../../src/structures/stream.ts'
import { BLOCK_STRIDE, BlockWord } from '../../src/structures/stream-block.ts'
import { SeekHint, StreamCursor } from '../../src/structures/stream-cursor.ts'
import { parseStreamIdText, StreamId } from '../../src/structures/stream-id.ts'
import { addListpackBlock, blockListpackBytes, writeBlockListpack } from '../../src/structures/stream-listpack.ts'

/** A simple model: entries in nodes of `nodeEntries`, deleted ones marked. */
interface ModelEntry {
  id: string
  pairs: string[]
  deleted: boolean
}

const NODE_ENTRIES = 4

class Model {
  nodes: ModelEntry[][] = []

  live(): ModelEntry[] {
    return this.nodes.flat().filter((entry) => !entry.deleted)
  }

  append(id: string, pairs: string[]): void {
    const last = this.nodes.at(-1)
    const entry = { id, pairs, deleted: false }
    if (last === undefined || last.length >= NODE_ENTRIES) this.nodes.push([entry])
    else last.push(entry)
  }

  delete(id: string): boolean {
    for (const node of this.nodes) {
      const entry = node.find((e) => e.id === id && !e.deleted)
      if (entry === undefined) continue
      entry.deleted = true
      if (node.every((e) => e.deleted)) this.nodes.splice(this.nodes.indexOf(node), 1)
      return true
    }
    return false
  }

  trim(mode: number, limit: number, isDone: () => boolean, mayDropNode: (node: ModelEntry[]) => boolean): number {
    let removed = 0
    for (;;) {
      const node = this.nodes[0]
      if (node === undefined || isDone()) break
      const live = node.filter((e) => !e.deleted).length
      if (limit > 0 && removed + live > limit) break
      if (mayDropNode(node)) {
        this.nodes.shift()
        removed += live
        continue
      }
      if (mode === TrimMode.Approximate) break
      for (const entry of node) {
        if (isDone() || !mayDropNode([entry])) break
        if (entry.deleted) continue
        entry.deleted = true
        removed++
      }
      break
    }
    return removed
  }

  trimByLength(lengthMax: number, mode: number, limit: number): number {
    return this.trim(
      mode,
      limit,
      () => this.live().length <= lengthMax,
      (node) => this.live().length - node.filter((e) => !e.deleted).length >= lengthMax,
    )
  }

  trimByMinId(from: string, mode: number, limit: number): number {
    return this.trim(
      mode,
      limit,
      () => false,
      (node) => compareText(node.at(-1)!.id, from) < 0,
    )
  }
}

function parts(text: string): [bigint, bigint] {
  const [ms, seq] = text.split('-')
  return [BigInt(ms!), BigInt(seq!)]
}

function compareText(a: string, b: string): number {
  const [aMs, aSeq] = parts(a)
  const [bMs, bSeq] = parts(b)
  if (aMs !== bMs) return aMs < bMs ? -1 : 1
  return aSeq === bSeq ? 0 : aSeq < bSeq ? -1 : 1
}

function idOf(text: string): StreamId {
  const id = new StreamId()
  if (!parseStreamIdText(text, id)) throw new Error(`No ID: ${text}`)
  return id
}

function append(stream: Stream, id: string, pairs: string[], bytesMax = 0, entriesMax = NODE_ENTRIES): void {
  const source = Buffer.from(pairs.join(''), 'latin1')
  const lengths = Int32Array.from(pairs, (text) => text.length)
  const offsets = new Int32Array(pairs.length)
  for (let i = 1; i < pairs.length; i++) offsets[i] = offsets[i - 1]! + lengths[i - 1]!
  stream.append(idOf(id), source, offsets, lengths, 0, pairs.length, bytesMax, entriesMax)
}

function readEntries(cursor: StreamCursor, readsFields = true): [string, string[]][] {
  const entries: [string, string[]][] = []
  while (cursor.next()) {
    const pairs: string[] = []
    for (let i = 0; readsFields && i < cursor.fieldCount; i++) {
      cursor.readField()
      pairs.push(cursor.text())
      cursor.readValue()
      pairs.push(cursor.text())
    }
    entries.push([cursor.id.text(), pairs])
  }
  return entries
}

function range(stream: Stream, from: string, to: string, hint: SeekHint | null = null): [string, string[]][] {
  const cursor = new StreamCursor()
  cursor.openForward(stream, idOf(from), idOf(to), hint)
  return readEntries(cursor)
}

function reverseRange(stream: Stream, from: string, to: string): [string, string[]][] {
  const cursor = new StreamCursor()
  cursor.openBackward(stream, idOf(from), idOf(to))
  return readEntries(cursor)
}

/** The stream with its blocks written as listpacks and read again. */
function throughListpacks(stream: Stream): Stream {
  const copy = new Stream(new Arena())
  const first = new StreamId()
  for (let block = stream.blocks.first(); block !== NO_POSITION; block = stream.blocks.next(block)) {
    const bytes = Buffer.alloc(blockListpackBytes(stream, block))
    expect(writeBlockListpack(stream, block, bytes, 0)).toBe(bytes.length)
    stream.blocks.readId(block, 0, first)
    expect(addListpackBlock(copy, first, bytes, 0, bytes.length)).toBe(true)
    for (let word = 0; word < BLOCK_STRIDE; word++) {
      if (word === BlockWord.Ref) continue
      expect(copy.blocks.word(copy.blocks.last(), word)).toBe(stream.blocks.word(block, word))
    }
  }
  copy.length = stream.length
  return copy
}

const MAX_ID = '18446744073709551615-18446744073709551615'

const value = fc.oneof(
  fc.string({ maxLength: 8 }).map((text) => text.replace(/[^\x00-\xff]/g, '?')),
  fc.integer().map(String),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
  fc.constantFrom('', '0', '-0', '007', '127', '128', '4095', '4096', '-4097', '9223372036854775808', 'x'.repeat(70)),
  fc.constantFrom('y'.repeat(5000), '9007199254740993', '-9007199254740993'),
)
const pairs = fc.oneof(
  fc.tuple(value, value).map(([a, b]) => ['f', a, 'g', b]),
  fc.tuple(value).map(([a]) => ['12', a]),
  fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 3 }).map((list) => list.flat()),
)
/** Steps from one ID to the next: in the sequence, in the time, or far. */
const step = fc.oneof(
  fc.record({ ms: fc.constant(0n), seq: fc.bigInt(1n, 200n) }),
  fc.record({ ms: fc.bigInt(1n, 10000n), seq: fc.bigInt(0n, 3n) }),
  fc.record({ ms: fc.bigInt(1n, 2n ** 60n), seq: fc.bigInt(0n, 2n ** 64n - 1n) }),
)
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('add' as const), step, pairs }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), pick: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('trimLength' as const),
      length: fc.nat(20),
      mode: fc.constantFrom(TrimMode.Exact, TrimMode.Approximate),
      limit: fc.nat(10),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('trimId' as const),
      pick: fc.nat(),
      mode: fc.constantFrom(TrimMode.Exact, TrimMode.Approximate),
      limit: fc.nat(10),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('range' as const), a: fc.nat(), b: fc.nat() }) },
)

describe('Stream', () => {
  it(
    'behaves as a list of entries in nodes under random operations and accounts for its arena blocks',
    { timeout: 60_000 },
    () => {
      fc.assert(
        fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
          const arena = new Arena()
          const stream = new Stream(arena)
          const model = new Model()
          const hint = new SeekHint()
          const added: string[] = []
          let ms = 1n
          let seq = 0n
          for (const act of actions) {
            if (act.type === 'add') {
              if (act.step.ms === 0n) seq += act.step.seq
              else seq = act.step.seq
              ms += act.step.ms
              if (ms >= 2n ** 64n || seq >= 2n ** 64n) return
              const id = `${ms}-${seq}`
              append(stream, id, act.pairs)
              model.append(id, act.pairs)
              added.push(id)
            } else if (added.length === 0) {
              continue
            } else if (act.type === 'delete') {
              const id = added[act.pick % added.length]!
              expect(stream.delete(idOf(id))).toBe(model.delete(id))
              stream.updateFirstId()
            } else if (act.type === 'trimLength') {
              const limit = act.mode === TrimMode.Exact ? 0 : act.limit
              expect(stream.trimByLength(act.length, act.mode, limit)).toBe(
                model.trimByLength(act.length, act.mode, limit),
              )
            } else if (act.type === 'trimId') {
              const id = added[act.pick % added.length]!
              const limit = act.mode === TrimMode.Exact ? 0 : act.limit
              expect(stream.trimByMinId(idOf(id), act.mode, limit)).toBe(model.trimByMinId(id, act.mode, limit))
            } else {
              const from = added[act.a % added.length]!
              const to = added[act.b % added.length]!
              const expected = model
                .live()
                .filter((e) => compareText(e.id, from) >= 0 && compareText(e.id, to) <= 0)
                .map((e): [string, string[]] => [e.id, e.pairs])
              expect(range(stream, from, to, hint)).toEqual(expected)
              expect(reverseRange(stream, from, to)).toEqual(expected.reverse())
              expect(stream.has(idOf(from))).toBe(model.live().some((e) => e.id === from))
            }
            const live = model.live()
            expect(stream.length).toBe(live.length)
            expect(stream.firstId.text()).toBe(live[0]?.id ?? '0-0')
            const newest = new StreamId()
            expect(stream.newestEntryId(newest) ? newest.text() : null).toBe(live.at(-1)?.id ?? null)
            expect(stream.blocks.size).toBe(model.nodes.length)
            expect(arena.liveBytes).toBe(stream.arenaBytes())
            expect(arena.liveBlocks).toBe(stream.arenaBlocks())
          }
          const all = model.live().map((e): [string, string[]] => [e.id, e.pairs])
          expect(range(throughListpacks(stream), '0-0', MAX_ID)).toEqual(all)
          const copy = stream.clone()
          expect(range(copy, '0-0', MAX_ID)).toEqual(all)
          stream.free()
          expect(range(copy, '0-0', MAX_ID)).toEqual(all)
          expect(reverseRange(copy, '0-0', MAX_ID)).toEqual([...all].reverse())
          copy.free()
          expect(arena.liveBytes).toBe(0)
          expect(arena.liveBlocks).toBe(0)
        }),
        { numRuns: 200 },
      )
    },
  )

  it('starts a block where stream-node-max-bytes is reached, counting as a listpack', () => {
    const stream = new Stream(new Arena())
    // Frame 7, counts 4, field count 2, field 'f' 3, terminator 2, entry 2+2+2+12+2: 38 bytes with a value of 10.
    append(stream, '1-1', ['f', 'v'.repeat(10)], 49, 0)
    // 38 + 11 reaches 49.
    append(stream, '1-2', ['f', 'v'.repeat(10)], 49, 0)
    expect(stream.blocks.size).toBe(2)
    append(stream, '1-3', ['f', 'v'.repeat(10)], 50, 0)
    expect(stream.blocks.size).toBe(2)
  })

  it('goes on from any hint and skips unread fields', () => {
    const stream = new Stream(new Arena())
    for (let i = 1; i <= 50; i++) append(stream, `${i}-0`, ['a', String(i), `f${i}`, 'x'], 0, 20)
    const hint = new SeekHint()
    for (let i = 1; i <= 50; i += 3) {
      const cursor = new StreamCursor()
      cursor.openForward(stream, idOf(`${i}-0`), idOf(`${i + 2}-0`), hint)
      expect(readEntries(cursor, false).map(([id]) => id)).toEqual(
        [i, i + 1, i + 2].filter((n) => n <= 50).map((n) => `${n}-0`),
      )
    }
    expect(range(stream, '2-0', '2-0', hint)).toEqual([['2-0', ['a', '2', 'f2', 'x']]])
  })

  it('gives IDs from the clock, after the last ID, and none behind the greatest one', () => {
    const stream = new Stream(new Arena())
    const id = new StreamId()
    expect(stream.nextId(1000, id)).toBe(true)
    expect(id.text()).toBe('1000-0')
    append(stream, '1000-18446744073709551615', ['a', 'b'])
    expect(stream.nextId(999, id)).toBe(true)
    expect(id.text()).toBe('1001-0')
    expect(stream.nextId(1000, id)).toBe(true)
    expect(id.text()).toBe('1001-0')
    id.set(1000, 0)
    expect(stream.nextSequence(id)).toBe(false)
    id.set(1001, 7)
    expect(stream.nextSequence(id)).toBe(true)
    expect(id.text()).toBe('1001-0')
    append(stream, MAX_ID, ['a', 'b'])
    expect(stream.nextId(5000, id)).toBe(false)
  })

  it('knows the lag of a group unless a deleted entry or the position hides it', () => {
    const stream = new Stream(new Arena())
    const group = new ConsumerGroup(new Arena(), 'g', new StreamId(), 0)
    stream.addGroup(group)
    expect(stream.lag(group)).toBe(0)
    for (let i = 1; i <= 5; i++) append(stream, `${i}-0`, ['a', 'b'])
    expect(stream.lag(group)).toBe(5)
    stream.advanceGroup(group, idOf('1-0'))
    expect(group.entriesRead).toBe(1)
    expect(stream.lag(group)).toBe(4)
    stream.delete(idOf('3-0'))
    stream.updateFirstId()
    expect(stream.lag(group)).toBe(null)
    stream.advanceGroup(group, idOf('4-0'))
    expect(group.entriesRead).toBe(2)
    stream.advanceGroup(group, idOf('5-0'))
    expect(stream.lag(group)).toBe(2)
    expect(stream.entriesUpTo(idOf('5-0'))).toBe(5)
    expect(stream.entriesUpTo(idOf('9-0'))).toBe(-1)
  })
})

describe('addListpackBlock', () => {
  it(
    'refuses every listpack that was cut or changed into what is no block, and reads none beyond its end',
    { timeout: 60_000 },
    () => {
      const stream = new Stream(new Arena())
      append(stream, '5-1', ['a', '1', 'b', 'x'.repeat(100)])
      append(stream, '6-1', ['a', '99999', 'b', '12345678901'])
      append(stream, '6-2', ['other', 'y'.repeat(5000)])
      stream.delete(idOf('6-1'))
      const block = stream.blocks.first()
      const bytes = Buffer.alloc(blockListpackBytes(stream, block))
      writeBlockListpack(stream, block, bytes, 0)
      for (let length = 0; length < bytes.length; length++) {
        const copy = new Stream(new Arena())
        expect(addListpackBlock(copy, idOf('5-1'), Buffer.from(bytes.subarray(0, length)), 0, length)).toBe(false)
        expect(copy.blocks.size).toBe(0)
      }
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
          const changed = Buffer.from(bytes)
          changed[at] = byte
          const copy = new Stream(new Arena())
          if (!addListpackBlock(copy, idOf('5-1'), changed, 0, changed.length)) return
          copy.length = copy.blocks.word(copy.blocks.first(), BlockWord.Live)
          // What was accepted can be read from both ends.
          expect(range(copy, '0-0', MAX_ID).map(([id]) => id)).toEqual(
            reverseRange(copy, '0-0', MAX_ID)
              .map(([id]) => id)
              .reverse(),
          )
        }),
      )
    },
  )
})

describe('ConsumerGroup', () => {
  it('keeps names in the order of their bytes and finds them by bytes', () => {
    const group = new ConsumerGroup(new Arena(), 'g', new StreamId(), -1)
    for (const name of ['b', '\xff', 'a', 'ab', '']) group.addConsumer(name, 5)
    expect(group.consumers.map((c) => c.name)).toEqual(['', 'a', 'ab', 'b', '\xff'])
    const find = (name: string) => group.consumer(Buffer.from(name, 'latin1'), 0, name.length)
    for (const name of ['b', '\xff', 'a', 'ab', '']) expect(find(name)?.name).toBe(name)
    expect(find('abc')).toBe(null)
    group.removeConsumer(find('a')!)
    expect(find('a')).toBe(null)
    expect(group.addConsumer('c', 5).index).toBe(2)
  })

  it('tracks pending entries under random deliveries, claims and acknowledgements', { timeout: 60_000 }, () => {
    const id = fc.nat(600).map((n) => `${n}-1`)
    const act = fc.oneof(
      fc.record({ type: fc.constant('deliver' as const), id, to: fc.nat(2), time: fc.nat(1000) }),
      fc.record({ type: fc.constant('ack' as const), id }),
      fc.record({ type: fc.constant('claim' as const), id, to: fc.nat(2), time: fc.nat(1000) }),
      fc.record({ type: fc.constant('idle' as const), id, time: fc.nat(1000) }),
      fc.record({ type: fc.constant('fill' as const), to: fc.nat(2), time: fc.nat(1000) }),
    )
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), fc.nat(2), (acts, dropped) => {
        const group = new ConsumerGroup(new Arena(), 'g', new StreamId(), -1)
        const consumers = ['a', 'b', 'c'].map((name) => group.addConsumer(name, 1))
        const model = new Map<string, { owner: number; time: number; count: number }>()
        const sorted = () => [...model.keys()].sort(compareText)
        for (const a of acts) {
          if (a.type === 'fill') {
            for (let n = 0; n < 300; n++) {
              group.pending.deliver(idOf(`${n}-1`), consumers[a.to]!, a.time)
              model.set(`${n}-1`, { owner: a.to, time: a.time, count: 1 })
            }
          } else if (a.type === 'deliver') {
            group.pending.deliver(idOf(a.id), consumers[a.to]!, a.time)
            model.set(a.id, { owner: a.to, time: a.time, count: 1 })
          } else if (a.type === 'ack') {
            expect(group.pending.acknowledge(idOf(a.id))).toBe(model.delete(a.id))
          } else if (a.type === 'claim') {
            const position = group.pending.find(idOf(a.id))
            const known = model.get(a.id)
            expect(position === NO_POSITION).toBe(known === undefined)
            if (known === undefined) continue
            group.pending.assign(position, idOf(a.id), consumers[a.to]!)
            group.pending.setDelivery(position, a.time, group.pending.deliveryCount(position) + 1)
            model.set(a.id, { owner: a.to, time: a.time, count: known.count + 1 })
          } else {
            const found: string[] = []
            const seen = new StreamId()
            let position = group.pending.nextDeliveredBy(group.pending.ceiling(idOf(a.id)), a.time)
            while (position !== NO_POSITION) {
              group.pending.readId(position, seen)
              found.push(seen.text())
              position = group.pending.nextDeliveredBy(group.pending.next(position), a.time)
            }
            expect(found).toEqual(sorted().filter((k) => compareText(k, a.id) >= 0 && model.get(k)!.time <= a.time))
          }
        }
        const check = (checked: ConsumerGroup) => {
          const rows: unknown[] = []
          const seen = new StreamId()
          const pending = checked.pending
          for (let p = pending.first(); p !== NO_POSITION; p = pending.next(p)) {
            pending.readId(p, seen)
            rows.push([seen.text(), pending.owner(p)?.name, pending.deliveryTime(p), pending.deliveryCount(p)])
          }
          const expected = sorted().map((k) => {
            const entry = model.get(k)!
            return [k, ['a', 'b', 'c'][entry.owner], entry.time, entry.count]
          })
          expect(rows).toEqual(expected)
          for (const consumer of checked.consumers) {
            const owned: string[] = []
            for (let p = consumer.pending.first(); p !== NO_POSITION; p = consumer.pending.next(p)) {
              consumer.pending.readId(p, 0, seen)
              owned.push(seen.text())
            }
            expect(owned).toEqual(expected.filter((row) => row[1] === consumer.name).map((row) => row[0]))
            expect(consumer.pending.size).toBe(owned.length)
          }
        }
        check(group)
        check(group.clone())
        group.removeConsumer(consumers[dropped]!)
        for (const [k, entry] of [...model]) if (entry.owner === dropped) model.delete(k)
        check(group)
        for (const k of sorted()) expect(group.pending.acknowledge(idOf(k))).toBe(true)
        expect(group.pending.size).toBe(0)
      }),
      { numRuns: 150 },
    )
  })
})
