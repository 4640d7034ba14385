/** Walks over streams while they change, against the blocks as plain reading finds them when they begin. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { NO_POSITION } from '../../src/structures/id-table.ts'
import { Stream, TrimMode } from '../../src/structures/stream.ts'
import { StreamCursor } from '../../src/structures/stream-cursor.ts'
import { StreamId } from '../../src/structures/stream-id.ts'
import { addListpackBlock, blockListpackBytes, writeBlockListpack } from '../../src/structures/stream-listpack.ts'
import { finish, Recorder } from './walk-recorder.ts'

const BLOCK_ENTRIES = 5
const BLOCK_BYTES = 4096

interface Entry {
  readonly id: number
  readonly value: string
}

function idOf(ms: number): StreamId {
  const id = new StreamId()
  id.set(ms, 0)
  return id
}

function append(stream: Stream, { id, value }: Entry, field: string): void {
  const source = Buffer.from(field + value, 'latin1')
  const offsets = Int32Array.of(0, field.length)
  const lengths = Int32Array.of(field.length, value.length)
  stream.append(idOf(id), source, offsets, lengths, 0, 2, BLOCK_BYTES, BLOCK_ENTRIES)
}

function entries(stream: Stream): Entry[] {
  const all: Entry[] = []
  const cursor = new StreamCursor()
  const last = new StreamId()
  last.setMax()
  cursor.openForward(stream, new StreamId(), last, null)
  while (cursor.next()) {
    cursor.readField()
    cursor.readValue()
    all.push({ id: Number.parseInt(cursor.id.text(), 10), value: cursor.text() })
  }
  return all
}

/** All blocks as the Recorder writes them. */
function blocksOf(stream: Stream): string[] {
  const all: string[] = []
  const first = new StreamId()
  for (let block = stream.blocks.first(); block !== NO_POSITION; block = stream.blocks.next(block)) {
    const target = Buffer.alloc(blockListpackBytes(stream, block))
    writeBlockListpack(stream, block, target, 0)
    stream.blocks.readId(block, 0, first)
    all.push(`${first.text()} ${target.latin1Slice(0, target.length)}`)
  }
  return all
}

const values = fc.oneof(
  { weight: 6, arbitrary: fc.nat(200).map((length) => 'v'.repeat(length)) },
  { weight: 1, arbitrary: fc.constantFrom('5', '9223372036854775807', 'w'.repeat(3000), 'w'.repeat(9000)) },
)
const fields = fc.constantFrom('f', 'f', 'f', 'g')
const modes = fc.constantFrom(TrimMode.Exact, TrimMode.Approximate)
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('add' as const), field: fields, value: values }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('delete' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('trim' as const), left: fc.nat(40), mode: modes }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('trimId' as const), pick: fc.nat(), mode: modes }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('step' as const), bytes: fc.integer({ min: 1, max: 800 }) }) },
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

class Subject {
  readonly arena: Arena = new Arena()
  readonly stream: Stream = new Stream(this.arena)
  model: Entry[] = []
  private added = 0

  add(field: string, value: string): void {
    const entry = { id: ++this.added, value }
    append(this.stream, entry, field)
    this.model.push(entry)
  }

  apply(act: Action): void {
    const { stream, model } = this
    if (act.type === 'add') {
      this.add(act.field, act.value)
    } else if (act.type === 'delete' && model.length > 0) {
      const [entry] = model.splice(act.pick % model.length, 1)
      expect(stream.delete(idOf(entry!.id))).toBe(true)
      stream.updateFirstId()
    } else if (act.type === 'trim') {
      this.forget(stream.trimByLength(act.left, act.mode, 0))
      if (act.mode === TrimMode.Exact) expect(stream.length).toBeLessThanOrEqual(act.left)
    } else if (act.type === 'trimId') {
      this.forget(stream.trimByMinId(idOf(act.pick % (this.added + 1)), act.mode, 0))
    }
  }

  /** Trimming removes from the start; how much is for the stream's own tests to check. */
  private forget(count: number): void {
    this.model = this.model.slice(count)
  }
}

test('a walk over a stream delivers the blocks of its beginning, in order, whatever is changed between its steps', () => {
  fc.assert(
    fc.property(
      fc.array(values, { maxLength: 60 }),
      fc.array(action, { maxLength: 30 }),
      fc.array(action, { maxLength: 80 }),
      fc.constantFrom('finish' as const, 'close' as const, 'free' as const),
      (first, before, script, ending) => {
        const subject = new Subject()
        const { arena, stream } = subject
        for (const value of first) subject.add('f', value)
        for (const act of before) subject.apply(act)
        const expected = blocksOf(stream)
        const recorder = new Recorder(arena)
        const walk = stream.beginWalk()
        expect(walk.count).toBe(stream.blocks.size)
        for (const act of script) {
          if (act.type === 'step') walk.step(recorder, act.bytes)
          else subject.apply(act)
          expect(arena.liveBytes).toBe(stream.arenaBytes() + walk.heldBytes)
        }
        expect(entries(stream)).toEqual(subject.model)
        if (ending === 'free') stream.free()
        if (ending !== 'close') {
          finish(walk, recorder, 300)
          expect(recorder.elements).toEqual(expected)
        }
        walk.close()
        expect(walk.heldBytes).toBe(0)
        if (ending !== 'free') {
          expect(entries(stream)).toEqual(subject.model)
          expect([arena.liveBytes, arena.liveBlocks]).toEqual([stream.arenaBytes(), stream.arenaBlocks()])
          stream.free()
        }
        expect([arena.liveBytes, arena.liveBlocks]).toEqual([0, 0])
      },
    ),
    { numRuns: 400 },
  )
})

function longStream(): Subject {
  const subject = new Subject()
  for (let i = 0; i < 1003; i++) subject.add('f', `value ${i}`)
  return subject
}

test('what a walk over a stream delivers can be read as a stream again', () => {
  const { arena, stream, model } = longStream()
  const copy = new Stream(arena)
  const recorder = new Recorder(arena)
  const walk = stream.beginWalk()
  expect(() => stream.beginWalk()).toThrow('is open')
  const sink = {
    field: recorder.field.bind(recorder),
    member: recorder.member.bind(recorder),
    scored: recorder.scored.bind(recorder),
    node: recorder.node.bind(recorder),
    block(first: StreamId, buffer: Buffer, start: number, end: number): void {
      // A copy of the bytes: a sink must not change the arena while it reads them.
      received.push([first.text(), Buffer.from(buffer.subarray(start, end))])
    },
  }
  const received: [string, Buffer][] = []
  expect(finish(walk, sink, 1000)).toBeGreaterThan(10)
  for (const [first, block] of received) {
    expect(addListpackBlock(copy, idOf(Number.parseInt(first, 10)), block, 0, block.length)).toBe(true)
  }
  expect(entries(copy)).toEqual(model)
})

test('appended entries cost a walk no copy, and a deleted one costs a copy of its block', () => {
  const subject = longStream()
  const { arena, stream } = subject
  const expected = blocksOf(stream)
  const recorder = new Recorder(arena)
  const walk = stream.beginWalk()
  // The last block has room for two more entries, and is kept once, when it grows or is cut to size.
  for (let i = 0; i < 500; i++) subject.add('f', 'new')
  const held = walk.heldBytes
  expect(held).toBeLessThan(300)
  subject.apply({ type: 'delete', pick: 500 })
  expect(walk.heldBytes - held).toBeGreaterThan(0)
  expect(walk.heldBytes - held).toBeLessThan(300)
  const kept = walk.heldBytes
  subject.apply({ type: 'delete', pick: 1400 })
  expect(walk.heldBytes).toBe(kept)
  const copy = stream.clone()
  subject.apply({ type: 'trim', left: 10, mode: TrimMode.Exact })
  finish(walk, recorder, 1)
  expect(recorder.elements).toEqual(expected)
  expect(arena.liveBytes).toBe(stream.arenaBytes() + copy.arenaBytes())
  expect(entries(copy).length).toBe(1501)
})

test('a freed stream leaves its blocks to the walk', () => {
  const { arena, stream } = longStream()
  const expected = blocksOf(stream)
  const recorder = new Recorder(arena)
  const walk = stream.beginWalk()
  const live = arena.liveBytes
  stream.free()
  expect([walk.heldBytes, arena.liveBytes]).toEqual([live, live])
  finish(walk, recorder, 1000)
  expect(recorder.elements).toEqual(expected)
  expect([walk.heldBytes, arena.liveBytes, arena.liveBlocks]).toEqual([0, 0, 0])
})

test('an empty stream is walked in one step', () => {
  const { arena, stream } = new Subject()
  const walk = stream.beginWalk()
  expect([walk.count, walk.step(new Recorder(arena), 1)]).toEqual([0, true])
  stream.beginWalk().close()
})

test('freeSome frees a stream in pieces of the size asked for', () => {
  const { arena, stream } = longStream()
  let calls = 0
  for (let isDone = false; !isDone; calls++) {
    const blocks = stream.blocks.size
    isDone = stream.freeSome(9)
    expect(blocks - stream.blocks.size).toBe(isDone ? blocks : 9)
    expect([arena.liveBytes, arena.liveBlocks]).toEqual([stream.arenaBytes(), stream.arenaBlocks()])
  }
  expect([calls, arena.liveBytes, arena.liveBlocks]).toEqual([23, 0, 0])
})
