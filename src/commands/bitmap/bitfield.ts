/**
 * BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset increment ...]
 * BITFIELD_RO key [GET type offset ...]
 *
 * A string as integers of any width at any bit: i1 to i64 in two's complement, u1 to u63. `#n` is the offset of the n-th
 * integer of that type. All operations are parsed before the first one runs.
 *
 * Reply: array, one integer per operation: what GET read, what SET found, what INCRBY made; null when OVERFLOW FAIL kept
 * the value. Errors: syntax; type; offset; integer; overflow type; BITFIELD_RO with a write; WRONGTYPE.
 * Source: Valkey src/bitops.c `bitfieldGeneric`.
 */
import { readBits, writeBits } from '../../bytes/bits.ts'
import { INT64_MAX, parseSafeInteger } from '../../bytes/integer.ts'
import { KindMask } from '../../keyspace/database.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { BITFIELD_OVERFLOW, BITFIELD_RO_WRITES, BITFIELD_TYPE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, type KeySpecFlag, keyAt, keyRange } from '../define.ts'
import { showString } from '../string/string-value.ts'
import { bitOffset, WritableString } from './bitmap-access.ts'

const SIGNED_BITS_MAX = 64
const UNSIGNED_BITS_MAX = 63
/** Wider fields are read and written as two of these, and calculated as BigInt. */
const NUMBER_BITS_MAX = 32
/** Greater operands are calculated as BigInt too. */
const NUMBER_OPERAND_MAX = 2 ** 52
const LOW_MASK = 0xffffffffn

const Opcode = { Get: 0, Set: 1, IncrBy: 2 } as const
type Opcode = (typeof Opcode)[keyof typeof Opcode]

const Overflow = { Wrap: 0, Saturate: 1, Fail: 2 } as const
type Overflow = (typeof Overflow)[keyof typeof Overflow]

/** What an operation has done to the string; a field that failed or was read counts as no write. */
const Outcome = { Nothing: 0, Same: 1, Changed: 2 } as const
type Outcome = (typeof Outcome)[keyof typeof Outcome]

type FieldBytes = WritableString | Element

/** One operation. */
interface FieldOperation {
  readonly opcode: Opcode
  readonly overflow: Overflow
  readonly isSigned: boolean
  /** Bits of the field. */
  readonly width: number
  /** Of its first bit. */
  readonly offset: number
  /** The value of SET, the increment of INCRBY: NaN when it is no safe integer; and which argument it is. */
  readonly operand: number
  readonly operandArgument: number
}

export const bitfield = defineCommand({
  name: 'bitfield',
  summary: 'Reads and changes integers of any width at any bit of a string.',
  group: 'bitmap',
  since: '3.2.0',
  complexity: 'O(1) for each operation.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Bitmap,
  keys: [
    {
      ...keyRange(1, 0, 1, 'RW', 'access', 'update', 'variable_flags'),
      notes: 'This command allows both access and modification of the key',
    },
  ],
  keyFlags: bitfieldKeyFlags,
  handler: (ctx, args, reply) => operate(ctx, args, reply, parseOperations(ctx, args)),
})

export const bitfieldRo = defineCommand({
  name: 'bitfield_ro',
  summary: 'Reads integers of any width at any bit of a string.',
  group: 'bitmap',
  since: '6.0.0',
  complexity: 'O(1) for each operation.',
  arity: -2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Bitmap,
  keys: keyAt(1, 'RO', 'access'),
  handler: bitfieldRoHandler,
})

const read = new Element()
const written = new WritableString()

/** A call that only reads needs no right to write. What is malformed counts as a write. */
function bitfieldKeyFlags(args: Args): readonly KeySpecFlag[] {
  for (let i = 2; i < args.count; i++) {
    const following = args.count - i - 1
    if (args.is(i, 'GET') && following >= 2) i += 2
    else if (args.is(i, 'OVERFLOW') && following >= 1) i++
    else return ['RW', 'access', 'update']
  }
  return ['RO', 'access']
}

function bitfieldRoHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const operations = parseOperations(ctx, args)
  for (const { opcode } of operations) if (opcode !== Opcode.Get) throw BITFIELD_RO_WRITES
  operate(ctx, args, reply, operations)
}

function parseOperations(ctx: CommandContext, args: Args): FieldOperation[] {
  const operations: FieldOperation[] = []
  let overflow: Overflow = Overflow.Wrap
  for (let i = 2; i < args.count; ) {
    const following = args.count - i - 1
    if (args.is(i, 'OVERFLOW') && following >= 1) {
      overflow = overflowAt(args, i + 1)
      i += 2
      continue
    }
    const opcode = opcodeAt(args, i, following)
    const isSigned = isSignedType(args, i + 1)
    const width = typeWidth(args, i + 1, isSigned)
    const offset = bitOffset(ctx, args, i + 2, width)
    const operandArgument = opcode === Opcode.Get ? 0 : i + 3
    const operand = operandArgument === 0 ? 0 : args.safeInteger(operandArgument)
    // What is no safe integer may be none at all.
    if (Number.isNaN(operand)) args.int64(operandArgument)
    operations.push({ opcode, overflow, isSigned, width, offset, operand, operandArgument })
    i += opcode === Opcode.Get ? 3 : 4
  }
  return operations
}

/** @throws SYNTAX_ERROR also when too few arguments follow */
function opcodeAt(args: Args, i: number, following: number): Opcode {
  if (args.is(i, 'GET') && following >= 2) return Opcode.Get
  if (args.is(i, 'SET') && following >= 3) return Opcode.Set
  if (args.is(i, 'INCRBY') && following >= 3) return Opcode.IncrBy
  throw SYNTAX_ERROR
}

function overflowAt(args: Args, i: number): Overflow {
  if (args.is(i, 'WRAP')) return Overflow.Wrap
  if (args.is(i, 'SAT')) return Overflow.Saturate
  if (args.is(i, 'FAIL')) return Overflow.Fail
  throw BITFIELD_OVERFLOW
}

/** Lower case only, as in Redis. */
function isSignedType(args: Args, i: number): boolean {
  const sign = args.length(i) === 0 ? 0 : args.buffer[args.start(i)]
  if (sign === 'i'.charCodeAt(0)) return true
  if (sign === 'u'.charCodeAt(0)) return false
  throw BITFIELD_TYPE
}

function typeWidth(args: Args, i: number, isSigned: boolean): number {
  const width = parseSafeInteger(args.buffer, args.start(i) + 1, args.length(i) - 1)
  if (width >= 1 && width <= (isSigned ? SIGNED_BITS_MAX : UNSIGNED_BITS_MAX)) return width
  throw BITFIELD_TYPE
}

function operate(ctx: CommandContext, args: Args, reply: ReplySink, operations: readonly FieldOperation[]): void {
  let end = 0
  for (const { opcode, offset, width } of operations) if (opcode !== Opcode.Get) end = Math.max(end, offset + width)
  const { db } = ctx
  let bytes: FieldBytes = written
  if (end > 0) written.open(db, args, Math.ceil(end / 8))
  else {
    const row = db.readKind(args, 1, KindMask.String)
    read.length = 0
    if (row !== NO_ROW) showString(db, row, read)
    bytes = read
  }
  const hasGrown = end > 0 && written.hasGrown
  let changes = 0
  reply.array(operations.length)
  for (const operation of operations) {
    const { width, operand } = operation
    const isSmall = width <= NUMBER_BITS_MAX && Math.abs(operand) <= NUMBER_OPERAND_MAX
    const outcome = isSmall ? applySmall(bytes, operation, reply) : applyBig(bytes, operation, args, reply)
    if (outcome === Outcome.Changed || (hasGrown && outcome === Outcome.Same)) changes++
  }
  if (changes > 0) {
    ctx.changed(args, 1, Notify.String, 'setbit')
    ctx.markDirty(changes - 1)
  }
  // Redis does not record a string that has grown while all its operations failed, and loses it.
  else if (hasGrown) ctx.changedQuietly(args, 1)
}

/** Runs an operation whose numbers are exact as doubles. */
function applySmall(bytes: FieldBytes, operation: FieldOperation, reply: ReplySink): Outcome {
  const { opcode, isSigned, width, offset, operand } = operation
  const { buffer, start, length } = bytes
  const size = 2 ** width
  const bits = readBits(buffer, start, length, offset, width)
  const old = isSigned && bits >= size / 2 ? bits - size : bits
  if (opcode === Opcode.Get) {
    reply.integer(old)
    return Outcome.Nothing
  }
  const isSet = opcode === Opcode.Set
  const max = isSigned ? size / 2 - 1 : size - 1
  const min = isSigned ? -max - 1 : 0
  const exact = isSet ? operand : old + operand
  let result = exact
  if (exact > max || exact < min) {
    if (operation.overflow === Overflow.Fail) {
      reply.nil()
      return Outcome.Nothing
    }
    // A negative value for an unsigned field counts as a huge one.
    const isAbove = exact > max || (isSet && !isSigned)
    if (operation.overflow === Overflow.Saturate) result = isAbove ? max : min
    else {
      const wrapped = exact - Math.floor(exact / size) * size
      result = wrapped > max ? wrapped - size : wrapped
    }
  }
  reply.integer(isSet ? old : result)
  writeBits(buffer, start, offset, width, result < 0 ? result + size : result)
  return result === old ? Outcome.Same : Outcome.Changed
}

/** As `applySmall`, for wide fields and great operands. */
function applyBig(bytes: FieldBytes, operation: FieldOperation, args: Args, reply: ReplySink): Outcome {
  const old = readField(bytes, operation)
  if (operation.opcode === Opcode.Get) {
    replyInt64(reply, old)
    return Outcome.Nothing
  }
  const result = resultOf(operation, old, args.int64(operation.operandArgument))
  if (result === null) {
    reply.nil()
    return Outcome.Nothing
  }
  replyInt64(reply, operation.opcode === Opcode.Set ? old : result)
  writeField(bytes, operation, result)
  return result === old ? Outcome.Same : Outcome.Changed
}

function readField(bytes: FieldBytes, { isSigned, width, offset }: FieldOperation): bigint {
  const { buffer, start, length } = bytes
  const highWidth = Math.max(0, width - NUMBER_BITS_MAX)
  const high = highWidth > 0 ? readBits(buffer, start, length, offset, highWidth) : 0
  const low = readBits(buffer, start, length, offset + highWidth, width - highWidth)
  const value = (BigInt(high) << 32n) | BigInt(low)
  return isSigned ? BigInt.asIntN(width, value) : value
}

function writeField({ buffer, start }: FieldBytes, { width, offset }: FieldOperation, value: bigint): void {
  const bits = BigInt.asUintN(width, value)
  const highWidth = Math.max(0, width - NUMBER_BITS_MAX)
  if (highWidth > 0) writeBits(buffer, start, offset, highWidth, Number(bits >> 32n))
  writeBits(buffer, start, offset + highWidth, width - highWidth, Number(bits & LOW_MASK))
}

/** The value to store, null when it overflows and that is to fail. */
function resultOf(operation: FieldOperation, old: bigint, operand: bigint): bigint | null {
  const { opcode, overflow, isSigned, width } = operation
  const base = opcode === Opcode.Set ? operand : old
  const increment = opcode === Opcode.Set ? 0n : operand
  const limit = isSigned ? signedOverflow(base, increment, width) : unsignedOverflow(base, increment, width)
  if (limit === null) return base + increment
  if (overflow === Overflow.Fail) return null
  if (overflow === Overflow.Saturate) return limit
  return isSigned ? BigInt.asIntN(width, base + increment) : BigInt.asUintN(width, base + increment)
}

/** The limit that the sum exceeds, null when it exceeds none. A negative base (of SET) counts as a huge one. */
function unsignedOverflow(base: bigint, increment: bigint, width: number): bigint | null {
  const max = (1n << BigInt(width)) - 1n
  const value = BigInt.asUintN(64, base)
  if (value > max || value + increment > max) return max
  return value + increment < 0n ? 0n : null
}

/**
 * As `unsignedOverflow`. Redis calculates what may be added to the base in 64 bits, so that a base (of SET) far below
 * what a narrow field holds exceeds the upper limit.
 */
function signedOverflow(base: bigint, increment: bigint, width: number): bigint | null {
  const max = width === SIGNED_BITS_MAX ? INT64_MAX : (1n << BigInt(width - 1)) - 1n
  const min = -max - 1n
  const isNarrow = width !== SIGNED_BITS_MAX
  const upTo = BigInt.asIntN(64, max - base)
  const downTo = BigInt.asIntN(64, min - base)
  if (base > max || ((isNarrow || (base >= 0n && increment > 0n)) && increment > upTo)) return max
  if (base < min || ((isNarrow || (base < 0n && increment < 0n)) && increment < downTo)) return min
  return null
}

function replyInt64(reply: ReplySink, value: bigint): void {
  const number = Number(value)
  if (Number.isSafeInteger(number)) reply.integer(number)
  else reply.bigInteger(value)
}
