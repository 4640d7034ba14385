/** Intsets of RDB records: the layout is that of structures/intset.ts, but members may be beyond the safe integers. */
import type { Limits } from '../../keyspace/limits.ts'
import { INTSET_HEADER_BYTES } from '../../structures/intset.ts'
import { Kind } from '../../structures/kind.ts'
import type { SetView } from '../../structures/set-view.ts'
import type { RdbString } from './rdb-input.ts'

/**
 * Puts an intset into a view that looks at no set; an empty one leaves the view as it is.
 *
 * @returns what is wrong with it, or null.
 */
export function readIntset(source: RdbString, set: SetView, limits: Limits): string | null {
  const { buffer, start, length } = source
  if (length < INTSET_HEADER_BYTES) return `expected an intset, found ${length} bytes`
  const width = buffer.readUInt32LE(start)
  const count = buffer.readUInt32LE(start + 4)
  if ((width !== 2 && width !== 4 && width !== 8) || INTSET_HEADER_BYTES + count * width !== length) {
    return `expected an intset of ${length} bytes, found ${count} integers of ${width} bytes`
  }
  if (count === 0) return null
  const isSafe = width === 8 ? checkWide(buffer, start, count) : checkNarrow(buffer, start, count, width)
  if (isSafe === null) return 'expected an intset in ascending order'
  if (isSafe) {
    set.openBlock(Kind.SetIntset, set.arena.store(buffer, start, length))
    set.expect(count, limits)
  } else addAsText(buffer, start, count, set, limits)
  return null
}

/** Whether all members are safe integers (they are); null when they do not ascend. */
function checkNarrow(buffer: Buffer, start: number, count: number, width: number): boolean | null {
  let previous = Number.NEGATIVE_INFINITY
  for (let i = 0; i < count; i++) {
    const value = buffer.readIntLE(start + INTSET_HEADER_BYTES + i * width, width)
    if (value <= previous) return null
    previous = value
  }
  return true
}

function checkWide(buffer: Buffer, start: number, count: number): boolean | null {
  let isSafe = true
  let previous = buffer.readBigInt64LE(start + INTSET_HEADER_BYTES)
  for (let i = 0; i < count; i++) {
    const value = buffer.readBigInt64LE(start + INTSET_HEADER_BYTES + i * 8)
    if (i > 0 && value <= previous) return null
    if (!Number.isSafeInteger(Number(value))) isSafe = false
    previous = value
  }
  return isSafe
}

function addAsText(buffer: Buffer, start: number, count: number, set: SetView, limits: Limits): void {
  for (let i = 0; i < count; i++) {
    const text = Buffer.from(String(buffer.readBigInt64LE(start + INTSET_HEADER_BYTES + i * 8)), 'latin1')
    if (i === 0) set.create(text, 0, text.length, count, limits)
    set.add(text, 0, text.length, limits)
  }
}
