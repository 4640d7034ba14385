/** Random access to packed blocks: where each entry, or each pair of entries, starts. */
import type { PackedCursor } from '../storage/packed.ts'

/**
 * Positions of every `stride`-th entry of the block on which the cursor is open, `count` of them, in `reuse` if they
 * fit there. The cursor ends before the first entry. O(n)
 */
export function packedPositions(
  cursor: PackedCursor,
  count: number,
  stride: number,
  reuse: Int32Array<ArrayBuffer>,
): Int32Array<ArrayBuffer> {
  const positions = reuse.length >= count ? reuse : new Int32Array(count)
  cursor.open(cursor.ref)
  for (let i = 0; i < count; i++) {
    positions[i] = cursor.next
    for (let skipped = 0; skipped < stride; skipped++) cursor.skip()
  }
  cursor.open(cursor.ref)
  return positions
}
