/** All elements of a collection at once; structures/walk.ts delivers them in steps. Hot path of snapshots. */
import type { Arena } from '../storage/arena.ts'
import { HashDict } from '../structures/hash.ts'
import { NO_POSITION } from '../structures/id-table.ts'
import type { Collection } from '../structures/kind.ts'
import { ListBig } from '../structures/list.ts'
import { NODE_COUNT, NODE_END, NODE_START, NODE_WORDS, nodeRef } from '../structures/list-nodes.ts'
import { SetDict } from '../structures/set.ts'
import { SortedSet } from '../structures/sorted-set.ts'
import { Stream } from '../structures/stream.ts'
import { StreamId } from '../structures/stream-id.ts'
import { blockListpackBytes, writeBlockListpack } from '../structures/stream-listpack.ts'
import type { ElementSink } from '../structures/walk.ts'

/** Delivers the elements of a collection, a list by nodes and a stream by blocks. */
export function deliver(object: Collection, arena: Arena, sink: ElementSink): void {
  if (object instanceof HashDict) {
    for (let row = 0; row < object.size; row++) {
      sink.field(object.fieldRef(row), object.valueRef(row), object.timeOf(row))
    }
  } else if (object instanceof SetDict) {
    for (let row = 0; row < object.size; row++) sink.member(object.memberRef(row))
  } else if (object instanceof SortedSet) {
    for (let row = 0; row < object.size; row++) sink.scored(object.memberRef(row), object.score(row))
  } else if (object instanceof ListBig) {
    deliverNodes(object, arena, sink)
  } else if (object instanceof Stream) {
    deliverBlocks(object, sink)
  }
}

function deliverNodes(list: ListBig, arena: Arena, sink: ElementSink): void {
  for (const chunk of list.nodes.chunks) {
    const words = chunk.words
    for (let at = chunk.first; at < chunk.last; at += NODE_WORDS) {
      const ref = nodeRef(words, at)
      const base = arena.offset(ref)
      const end = base + words[at + NODE_END]!
      sink.node(arena.segment(ref), base + words[at + NODE_START]!, end, words[at + NODE_COUNT]!)
    }
  }
}

function deliverBlocks(stream: Stream, sink: ElementSink): void {
  const first = new StreamId()
  const blocks = stream.blocks
  for (let at = blocks.first(); at !== NO_POSITION; at = blocks.next(at)) {
    blocks.readId(at, 0, first)
    const listpack = Buffer.allocUnsafe(blockListpackBytes(stream, at))
    writeBlockListpack(stream, at, listpack, 0)
    sink.block(first, listpack, 0, listpack.length)
  }
}
