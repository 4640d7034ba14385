/** A sink that keeps what a walk delivers, in a form that can be compared with what plain reading finds. */
import { Arena, type Ref } from '../../src/storage/arena.ts'
import { PackedCursor } from '../../src/storage/packed.ts'
import type { StreamId } from '../../src/structures/stream-id.ts'
import type { CollectionWalk, ElementSink } from '../../src/structures/walk.ts'

/** Enough for any collection of the tests. */
const STEPS_MAX = 100_000

export class Recorder implements ElementSink {
  /** Fields, members and scores, or the IDs and bytes of blocks. */
  readonly elements: string[] = []
  /** Elements of lists. */
  readonly entries: string[] = []
  private readonly arena: Arena
  private readonly copies = new Arena()
  private readonly cursor = new PackedCursor(this.copies)

  constructor(arena: Arena) {
    this.arena = arena
  }

  field(field: Ref, value: Ref): void {
    this.elements.push(`${this.arena.text(field)}=${this.arena.text(value)}`)
  }

  member(member: Ref): void {
    this.elements.push(this.arena.text(member))
  }

  scored(member: Ref, score: number): void {
    this.elements.push(`${this.arena.text(member)}=${score}`)
  }

  node(buffer: Buffer, start: number, end: number, count: number): void {
    const ref = this.copies.store(buffer, start, end - start)
    this.cursor.openRange(ref, 0, end - start)
    const before = this.entries.length
    while (this.cursor.advance()) this.entries.push(this.cursor.text())
    if (this.entries.length - before !== count) throw new Error(`A node of ${count} entries came with another number`)
    this.copies.free(ref)
  }

  block(first: StreamId, buffer: Buffer, start: number, end: number): void {
    this.elements.push(`${first.text()} ${buffer.latin1Slice(start, end)}`)
  }
}

/** Takes the rest of a walk in steps of `bytes`. Returns how many it took. */
export function finish(walk: CollectionWalk, sink: ElementSink, bytes: number): number {
  for (let steps = 1; steps <= STEPS_MAX; steps++) if (walk.step(sink, bytes)) return steps
  throw new Error('The walk does not end')
}
