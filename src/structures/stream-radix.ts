/**
 * How many nodes the radix tree has in which Redis keeps the blocks of a stream, for XINFO STREAM. The tree's keys are
 * the 16 bytes of the blocks' IDs.
 *
 * A key's last bytes, those it shares with no other, are one node and a leaf (just the leaf when there are none); keys
 * that part at a byte share one branching node, with one more above it when bytes in common lead there. So the
 * count follows from how many bytes neighbours in the order of the keys have in common.
 * Source: Valkey src/rax.c (representation of nodes).
 */
import { type IdTable, NO_POSITION } from './id-table.ts'

const KEY_BYTES = 16
const KEY_WORDS = 4
const EMPTY_TREE_NODES = 1
/** Beyond this number of blocks the rest of the tree is taken to be as dense as this part. */
const BLOCKS_MAX = 4096

/** Number of nodes; exact for up to 4096 blocks. */
export function radixNodes(blocks: IdTable): number {
  const count = Math.min(blocks.size, BLOCKS_MAX)
  if (count === 0) return EMPTY_TREE_NODES
  const shared = sharedBytes(blocks, count)
  const nodes = leafNodes(shared, count) + branchNodes(shared)
  return blocks.size > count ? Math.round((nodes * blocks.size) / count) : nodes
}

/** Bytes that each key has in common with the one before it. */
function sharedBytes(blocks: IdTable, count: number): Uint8Array {
  const shared = new Uint8Array(count - 1)
  let before = blocks.first()
  let at = blocks.next(before)
  for (let i = 0; i < count - 1 && at !== NO_POSITION; i++) {
    let bytes = 0
    for (let word = 0; word < KEY_WORDS; word++) {
      const difference = blocks.word(before, word) ^ blocks.word(at, word)
      if (difference !== 0) {
        bytes += Math.clz32(difference) >>> 3
        break
      }
      bytes += 4
    }
    shared[i] = bytes
    before = at
    at = blocks.next(at)
  }
  return shared
}

/** The nodes below the last branching of each key: its remaining bytes, if any, and the leaf. */
function leafNodes(shared: Uint8Array, count: number): number {
  let nodes = 0
  for (let i = 0; i < count; i++) {
    const before = i > 0 ? shared[i - 1]! : -1
    const after = i < shared.length ? shared[i]! : -1
    const parted = Math.max(before, after)
    // The branching node holds the byte at `parted`; a single key has no branching.
    nodes += parted + 1 < KEY_BYTES ? 2 : 1
  }
  return nodes
}

/** Branching nodes, and the nodes of common bytes that lead to them. */
function branchNodes(shared: Uint8Array): number {
  // Depths of the branchings that are open on the way from left to right: a Cartesian tree over `shared`.
  const open: number[] = []
  let nodes = 0
  for (let i = 0; i <= shared.length; i++) {
    const depth = i < shared.length ? shared[i]! : -1
    while (open.length > 0 && open[open.length - 1]! > depth) {
      const closed = open.pop()!
      const above = Math.max(open.length > 0 ? open[open.length - 1]! : -1, depth)
      // Bytes between the branching above and this one are a node of their own.
      nodes += closed > above + 1 ? 2 : 1
    }
    if (depth >= 0 && (open.length === 0 || open[open.length - 1]! < depth)) open.push(depth)
  }
  return nodes
}
