/**
 * BITOP AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE destination key [key ...]
 *
 * Combines strings bit by bit and stores the result, which is as long as the longest of them; shorter ones and missing
 * keys go on with zeros. With the first key X and the others Y1, Y2 …: DIFF is what is set in X and in no Y; DIFF1 in
 * some Y and not in X; ANDOR in X and in some Y; ONE in exactly one of all.
 *
 * Reply: integer, the length of the result; at 0 the destination is deleted. Errors: syntax; number of keys; WRONGTYPE.
 * Source: Valkey src/bitops.c `bitopCommand`; redis.io/commands/bitop for the operations of Redis 8.2.
 */
import { BitwiseOperation, combineBits, invertBits, noteSetBits } from '../../bytes/bits.ts'
import { type Database, KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { BITOP_NOT_KEYS, bitopKeysNeeded, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { copyBytes, NO_REF, type Ref } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import { Kind } from '../../structures/kind.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt, keyRange } from '../define.ts'
import { deleteKey } from '../delete-key.ts'
import { showString } from '../string/string-value.ts'

/** More than two strings are combined in parts that stay in the processor's cache, in bytes. */
const PART_BYTES = 32 * 1024
const WORD_BYTES = 8

const OPERATIONS = ['AND', 'OR', 'XOR', 'NOT', 'DIFF', 'DIFF1', 'ANDOR', 'ONE'] as const
type Operation = (typeof OPERATIONS)[number]

export const bitop = defineCommand({
  name: 'bitop',
  summary: 'Combines strings bit by bit and stores the result.',
  group: 'bitmap',
  since: '2.6.0',
  complexity: 'O(N), N being the length of all strings.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Bitmap,
  keys: [...keyAt(2, 'OW', 'update'), keyRange(3, -1, 1, 'RO', 'access')],
  handler: bitopHandler,
})

function bitopHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operation = OPERATIONS.find((name) => args.is(1, name))
  if (operation === undefined) throw SYNTAX_ERROR
  if (operation === 'NOT' && args.count !== 4) throw BITOP_NOT_KEYS
  if ((operation === 'DIFF' || operation === 'DIFF1' || operation === 'ANDOR') && args.count < 5)
    throw bitopKeysNeeded(operation)

  const { db } = ctx
  const sources = readSources(ctx, args)
  let length = 0
  for (const source of sources) length = Math.max(length, source.length)
  reply.integer(length)
  if (length === 0) {
    const row = db.find(args, 2)
    if (row !== NO_ROW) deleteKey(ctx, args, 2, row)
    return
  }
  const row = db.find(args, 2)
  const reused = row === NO_ROW ? NO_REF : reusableBlock(db, row, sources, length)
  const ref = reused === NO_REF ? db.arena.alloc(length) : reused
  const target = new BitTarget(db.arena.segment(ref), db.arena.offset(ref), sources)
  const part = sources.length > 2 ? PART_BYTES : length
  for (let from = 0; from < length; from += part) {
    target.choose(from, Math.min(length, from + part))
    combine(operation, target)
  }
  if (row === NO_ROW) db.markRaw(db.add(args, 2, Kind.StringBytes, ref))
  else {
    db.clearExpire(row)
    // The destination may have been one of the sources: it is freed when the result is there.
    if (reused === NO_REF) db.freeValue(row)
    db.overwrite(row, Kind.StringBytes, ref)
    db.markRaw(row)
  }
  ctx.changed(args, 2, Notify.String, 'set')
}

/** The block of the destination at `row`, when the result fits and it is no source; else NO_REF. */
function reusableBlock(db: Database, row: number, sources: readonly Element[], length: number): Ref {
  if (db.kind(row) !== Kind.StringBytes || db.arena.length(db.ref(row)) !== length) return NO_REF
  const ref = db.ref(row)
  const buffer = db.arena.segment(ref)
  const start = db.arena.offset(ref)
  for (const source of sources) if (source.buffer === buffer && source.start === start) return NO_REF
  return ref
}

/** The strings of the keys from argument 3 on; missing ones are empty. */
function readSources(ctx: CommandContext, args: Args): Element[] {
  const sources: Element[] = []
  for (let i = 3; i < args.count; i++) {
    const row = ctx.db.readKind(args, i, KindMask.String)
    const source = new Element()
    if (row !== NO_ROW) showString(ctx.db, row, source)
    sources.push(source)
  }
  return sources
}

function combine(operation: Operation, target: BitTarget): void {
  switch (operation) {
    case 'AND':
      target.combineFrom(0, BitwiseOperation.And)
      break
    case 'OR':
      target.combineFrom(0, BitwiseOperation.Or)
      break
    case 'XOR':
      target.combineFrom(0, BitwiseOperation.Xor)
      break
    case 'NOT':
      target.invert()
      break
    case 'DIFF':
      target.combineFrom(0, BitwiseOperation.AndNot)
      break
    case 'DIFF1':
      target.combineFrom(1, BitwiseOperation.Or)
      target.apply(BitwiseOperation.AndNot, 0)
      break
    case 'ANDOR':
      target.combineFrom(1, BitwiseOperation.Or)
      target.apply(BitwiseOperation.And, 0)
      break
    case 'ONE':
      target.setExactlyOnce()
      break
  }
}

/** A part of the result, at the same place of which the sources are combined. */
class BitTarget {
  readonly sources: readonly Element[]
  private readonly buffer: Buffer
  private readonly start: number
  private from = 0
  private end = 0

  constructor(buffer: Buffer, start: number, sources: readonly Element[]) {
    this.buffer = buffer
    this.start = start
    this.sources = sources
  }

  /** Goes to the bytes [from, end). */
  choose(from: number, end: number): void {
    this.from = from
    this.end = end
  }

  /** Source number `first` OPERATION the next one OPERATION … to the last. */
  combineFrom(first: number, operation: BitwiseOperation): void {
    if (first + 1 < this.sources.length) this.combineTwo(operation, first, first + 1)
    else this.load(first, 0)
    for (let i = first + 2; i < this.sources.length; i++) this.apply(operation, i)
  }

  /** Combines what is there with source `i`, which goes on with zeros. */
  apply(operation: BitwiseOperation, i: number): void {
    const { buffer, start: target } = this
    const source = this.sources[i]!
    const { from } = this
    const length = this.lengthOf(i)
    combineBits(operation, buffer, target + from, buffer, target + from, source.buffer, source.start + from, length)
    if (operation === BitwiseOperation.And) this.clearBehind(length)
  }

  invert(): void {
    const { buffer, start } = this.sources[0]!
    invertBits(this.buffer, this.start + this.from, buffer, start + this.from, this.end - this.from)
  }

  /** In one pass, as far as both of them go. */
  private combineTwo(operation: BitwiseOperation, i: number, k: number): void {
    const { from } = this
    const a = this.sources[i]!
    const b = this.sources[k]!
    const both = Math.min(this.lengthOf(i), this.lengthOf(k))
    combineBits(operation, this.buffer, this.start + from, a.buffer, a.start + from, b.buffer, b.start + from, both)
    if (operation === BitwiseOperation.And) this.clearBehind(both)
    else if (operation !== BitwiseOperation.AndNot && this.lengthOf(i) === both) this.load(k, both)
    else this.load(i, both)
  }

  /** Copies source `i` from `done` on, followed by zeros. */
  private load(i: number, done: number): void {
    const { buffer, start } = this.sources[i]!
    const at = this.from + done
    const length = this.lengthOf(i)
    copyBytes(buffer, start + at, this.buffer, this.start + at, length - done)
    this.clearBehind(length)
  }

  setExactlyOnce(): void {
    const { buffer, start, from, end } = this
    // As far from a word as the target.
    const shift = (buffer.byteOffset + start + from) % WORD_BYTES
    const more = Buffer.alloc(shift + end - from)
    buffer.fill(0, start + from, start + end)
    for (let i = 0; i < this.sources.length; i++) {
      const source = this.sources[i]!
      noteSetBits(buffer, start + from, more, shift, source.buffer, source.start + from, this.lengthOf(i))
    }
    combineBits(BitwiseOperation.AndNot, buffer, start + from, buffer, start + from, more, shift, end - from)
  }

  /** How many bytes source `i` has here. */
  private lengthOf(i: number): number {
    return Math.max(0, Math.min(this.end, this.sources[i]!.length) - this.from)
  }

  private clearBehind(length: number): void {
    if (this.from + length < this.end) this.buffer.fill(0, this.start + this.from + length, this.start + this.end)
  }
}
