/**
 * What a walk over a stream (walk-blocks.ts) keeps of each block, and how it delivers it.
 *
 * A block's row holds its reference, the range of the payload in use, its counts and its ID, ten words.
 */
import type { Arena } from '../storage/arena.ts'
import { outsideMemory } from '../storage/outside.ts'
import { type IdTable, NO_POSITION } from './id-table.ts'
import { BlockImage, BlockWord } from './stream-block.ts'
import { StreamId } from './stream-id.ts'
import type { ElementSink } from './walk.ts'
import { ROW_END, ROW_START } from './walk-blocks.ts'

const ROW_LIVE = 3
const ROW_DELETED = 4
const ROW_ELEMENTS = 5
const ROW_ID = 6
/** Words of a row. */
export const STREAM_ROW_WORDS = 10

/** The scratch buffer grows in steps of this size, and is given back after a block that needed more than the most. */
const SCRATCH_BYTES_MIN = 8192
const SCRATCH_BYTES_MAX = 1024 * 1024

const image = new BlockImage()
const first = new StreamId()
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES_MIN)

/** Gives the blocks their tickets for a walk. Returns the rows of them all. */
export function copyBlockRows(blocks: IdTable): Int32Array {
  const rows = new Int32Array(outsideMemory(blocks.size * STREAM_ROW_WORDS * 4))
  let at = 0
  let ticket = 0
  for (let block = blocks.first(); block !== NO_POSITION; block = blocks.next(block)) {
    const words = blocks.rowWords(block)
    const from = blocks.rowStart(block)
    words[from + BlockWord.Ticket] = ++ticket
    rows[at] = words[from + BlockWord.Ref]!
    rows[at + ROW_START] = 0
    rows[at + ROW_END] = words[from + BlockWord.Used]!
    rows[at + ROW_LIVE] = words[from + BlockWord.Live]!
    rows[at + ROW_DELETED] = words[from + BlockWord.Deleted]!
    rows[at + ROW_ELEMENTS] = words[from + BlockWord.Elements]!
    rows[at + ROW_ID] = words[from]!
    rows[at + ROW_ID + 1] = words[from + 1]!
    rows[at + ROW_ID + 2] = words[from + 2]!
    rows[at + ROW_ID + 3] = words[from + 3]!
    at += STREAM_ROW_WORDS
  }
  return rows
}

/** Delivers the block whose row starts at `rows[at]`. */
export function deliverBlockRow(arena: Arena, rows: Int32Array, at: number, sink: ElementSink): void {
  image.ref = rows[at]! >>> 0
  image.used = rows[at + ROW_END]!
  image.live = rows[at + ROW_LIVE]!
  image.deleted = rows[at + ROW_DELETED]!
  image.elements = rows[at + ROW_ELEMENTS]!
  first.msHigh = rows[at + ROW_ID]!
  first.msLow = rows[at + ROW_ID + 1]!
  first.seqHigh = rows[at + ROW_ID + 2]!
  first.seqLow = rows[at + ROW_ID + 3]!
  const bytes = image.listpackBytes()
  if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(Math.ceil(bytes / SCRATCH_BYTES_MIN) * SCRATCH_BYTES_MIN)
  sink.block(first, scratch, 0, image.writeListpack(arena, scratch, 0))
  if (scratch.length > SCRATCH_BYTES_MAX) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES_MIN)
}
