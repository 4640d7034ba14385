/**
 * HyperLogLog: how many different elements were added, within about 0.81 %. Byte for byte Redis' format, so that a value
 * can go to a Redis and come from one. Hot path.
 *
 *     | "HYLL" | encoding: u8 | 0 0 0 | cardinality: u64, little-endian | registers |
 *
 * There are 16384 registers of 6 bits. An element's hash chooses one; it keeps the greatest number of zero bits, plus one,
 * that the rest of a hash ended with. The cardinality is a cache, out of date when its highest bit is set.
 *
 * | encoding | registers |
 * | --- | --- |
 * | 0 dense | all, packed from the low bits up: 12288 bytes |
 * | 1 sparse | runs: `00nnnnnn` n+1 zeros; `01nnnnnn nnnnnnnn` n+1 zeros; `1vvvvvnn` n+1 registers with the value v+1 |
 *
 * A sparse one becomes dense when a value exceeds 32, or its length the limit. Nothing is believed of a stored string but
 * what `isHyperLogLog` has checked: runs that do not come to 16384 registers are corrupted.
 *
 * A HyperLogLog is a view that handlers reuse; it does not own the block. After a change its `ref` may be another one.
 * Source: Valkey src/hyperloglog.c.
 */
import { Murmur64 } from '../bytes/murmur64.ts'
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'

/** Number of registers. */
export const REGISTERS = 16384
/** Bits of a hash that choose the register. */
const INDEX_BITS = 14
/** The other ones; the greatest value of a register is one more. */
const COUNTED_BITS = 64 - INDEX_BITS
const REGISTER_BITS = 6
const REGISTER_MAX = 63
const HEADER_BYTES = 16
const DENSE_BYTES = HEADER_BYTES + (REGISTERS * REGISTER_BITS) / 8
const ENCODING_AT = 4
const CARDINALITY_AT = 8
/** Its highest byte, with the bit that says that it is out of date. */
const STALE_AT = 15
const STALE_BIT = 0x80
const HASH_SEED = 0xadc83b19 | 0
const MAGIC = Buffer.from('HYLL')
const EMPTY = Buffer.from('HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff', 'latin1')

/** Greatest values of the parts of a run. */
const RUN_VALUE_MAX = 32
const RUN_LENGTH_MAX = 4
const ZEROS_MAX = 64
/** Runs that are looked at, from the one before a change on, for neighbours to be joined. */
const JOIN_RUNS_MAX = 5

/** 0.5 / ln 2, the constant of the estimate for infinitely many registers. */
const ALPHA_INFINITY = 0.7213475204444817
/** What Redis makes of an estimate beyond 64 bits. */
const CARDINALITY_MAX = 2 ** 63

export const HllEncoding = { Dense: 0, Sparse: 1 } as const

/** What adding an element has done. */
export const Added = { Nothing: 0, Changed: 1, Corrupted: -1 } as const
export type Added = (typeof Added)[keyof typeof Added]

const hash = new Murmur64()
/** How many registers have each value. */
const histogram = new Int32Array(REGISTER_MAX + 1)
const QUARTER = REGISTER_MAX + 1
const quarters = new Int32Array(4 * QUARTER)
/** The runs that take the place of one: at most zeros, a value, zeros. */
const runs = new Uint8Array(5)

/** Whether the bytes have the form of a HyperLogLog; those of sparse runs are looked at when they are used. */
export function isHyperLogLog(bytes: Uint8Array, start: number, length: number): boolean {
  if (length < HEADER_BYTES) return false
  for (let i = 0; i < MAGIC.length; i++) if (bytes[start + i] !== MAGIC[i]) return false
  const encoding = bytes[start + ENCODING_AT]!
  return encoding === HllEncoding.Sparse || (encoding === HllEncoding.Dense && length === DENSE_BYTES)
}

/** Stores an empty HyperLogLog. */
export function emptyHyperLogLog(arena: Arena): Ref {
  return arena.store(EMPTY, 0, EMPTY.length)
}

/** The estimate for registers of a byte each, e.g. those of several joined. */
export function countRegisters(registers: Uint8Array): number {
  quarters.fill(0)
  // Neighbours are often equal: each of four counts for itself, so that none waits for the one before.
  for (let i = 0; i < REGISTERS; i += 4) {
    quarters[registers[i]! & REGISTER_MAX]!++
    quarters[QUARTER + (registers[i + 1]! & REGISTER_MAX)]!++
    quarters[2 * QUARTER + (registers[i + 2]! & REGISTER_MAX)]!++
    quarters[3 * QUARTER + (registers[i + 3]! & REGISTER_MAX)]!++
  }
  for (let value = 0; value <= REGISTER_MAX; value++) {
    histogram[value] =
      quarters[value]! + quarters[QUARTER + value]! + quarters[2 * QUARTER + value]! + quarters[3 * QUARTER + value]!
  }
  return estimate()
}

export class HyperLogLog {
  readonly arena: Arena
  ref: Ref = NO_REF
  private buffer: Buffer = EMPTY
  private start = 0
  private end = 0
  /** Sparse: longest value in bytes, header included. */
  private sparseBytesMax = 0

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** Opens a block for which `isHyperLogLog` holds. */
  open(ref: Ref, sparseBytesMax: number): void {
    this.sparseBytesMax = sparseBytesMax
    this.show(ref)
  }

  get isSparse(): boolean {
    return this.buffer[this.start + ENCODING_AT] === HllEncoding.Sparse
  }

  /** Adds the element `bytes[start, start + length)`. */
  add(bytes: Uint8Array, start: number, length: number): Added {
    hash.set(bytes, start, length, HASH_SEED)
    const { high, low } = hash
    const index = low & (REGISTERS - 1)
    // Zeros that the rest ends with, which has 18 bits in the low word and 32 in the high one.
    const lowRest = low >>> INDEX_BITS
    const lowBits = 32 - INDEX_BITS
    const zeros = lowRest !== 0 ? trailingZeros(lowRest) : lowBits + (high !== 0 ? trailingZeros(high) : 32)
    return this.raise(index, zeros + 1)
  }

  /** Sets a register unless it is greater already. */
  raise(index: number, value: number): Added {
    return this.isSparse ? this.raiseSparse(index, value) : this.raiseDense(index, value)
  }

  /** Raises `registers`, a byte each, to the values of these. Returns false when the value is corrupted. */
  mergeInto(registers: Uint8Array): boolean {
    if (this.isSparse) return this.mergeRuns(registers)
    // Three bytes hold four registers.
    for (let i = 0, at = this.start + HEADER_BYTES; i < REGISTERS; i += 4, at += 3) {
      const three = this.buffer[at]! | (this.buffer[at + 1]! << 8) | (this.buffer[at + 2]! << 16)
      if ((three & 63) > registers[i]!) registers[i] = three & 63
      if (((three >> 6) & 63) > registers[i + 1]!) registers[i + 1] = (three >> 6) & 63
      if (((three >> 12) & 63) > registers[i + 2]!) registers[i + 2] = (three >> 12) & 63
      if (three >> 18 > registers[i + 3]!) registers[i + 3] = three >> 18
    }
    return true
  }

  /** The value of register `index` of a dense one. */
  denseRegister(index: number): number {
    const bit = index * REGISTER_BITS
    const at = this.start + HEADER_BYTES + (bit >> 3)
    const shift = bit & 7
    const next = at + 1 < this.end ? this.buffer[at + 1]! : 0
    return ((this.buffer[at]! >> shift) | (next << (8 - shift))) & REGISTER_MAX
  }

  /** Sets register `index` of a dense one. */
  setDenseRegister(index: number, value: number): void {
    const { buffer } = this
    const bit = index * REGISTER_BITS
    const at = this.start + HEADER_BYTES + (bit >> 3)
    const shift = bit & 7
    buffer[at] = (buffer[at]! & ~(REGISTER_MAX << shift)) | (value << shift)
    if (shift > 8 - REGISTER_BITS) {
      buffer[at + 1] = (buffer[at + 1]! & ~(REGISTER_MAX >> (8 - shift))) | (value >> (8 - shift))
    }
  }

  /** The estimate, to the nearest integer; -1 when the value is corrupted. */
  count(): number {
    histogram.fill(0)
    if (!this.isSparse) this.countDense()
    else if (!this.countRuns()) return -1
    return estimate()
  }

  /** Whether the cached cardinality is up to date. */
  get hasCardinality(): boolean {
    return (this.buffer[this.start + STALE_AT]! & STALE_BIT) === 0
  }

  /** The cached cardinality; one beyond 2^53, which no HyperLogLog has, is rounded. */
  get cardinality(): number {
    const at = this.start + CARDINALITY_AT
    return this.buffer.readUInt32LE(at + 4) * 2 ** 32 + this.buffer.readUInt32LE(at)
  }

  setCardinality(value: number): void {
    const at = this.start + CARDINALITY_AT
    const high = Math.floor(value / 2 ** 32)
    this.buffer.writeUInt32LE(high, at + 4)
    this.buffer.writeUInt32LE(value - high * 2 ** 32, at)
  }

  forgetCardinality(): void {
    this.buffer[this.start + STALE_AT]! |= STALE_BIT
  }

  /** Makes a sparse one dense. Returns false, and changes nothing, when the value is corrupted. */
  makeDense(): boolean {
    const dense = new HyperLogLog(this.arena)
    const ref = this.arena.alloc(DENSE_BYTES)
    dense.show(ref)
    dense.buffer.fill(0, dense.start, dense.end)
    this.buffer.copy(dense.buffer, dense.start, this.start, this.start + HEADER_BYTES)
    dense.buffer[dense.start + ENCODING_AT] = HllEncoding.Dense
    let index = 0
    for (let at = this.runsStart; at < this.end; at += this.runBytes(at)) {
      const length = this.runLength(at)
      const value = this.runValue(at)
      if (value > 0) {
        if (index + length > REGISTERS) break
        for (let i = index; i < index + length; i++) dense.setDenseRegister(i, value)
      }
      index += length
    }
    if (index !== REGISTERS) {
      this.arena.free(ref)
      return false
    }
    this.arena.free(this.ref)
    this.show(ref)
    return true
  }

  /** The runs of a sparse one as text: `Z:100 v:2,1 z:30`. */
  describeRuns(): string {
    const texts: string[] = []
    for (let at = this.runsStart; at < this.end; at += this.runBytes(at)) {
      const value = this.runValue(at)
      if (value > 0) texts.push(`v:${value},${this.runLength(at)}`)
      else texts.push(`${this.runBytes(at) === 2 ? 'Z' : 'z'}:${this.runLength(at)}`)
    }
    return texts.join(' ')
  }

  private show(ref: Ref): void {
    this.ref = ref
    this.buffer = this.arena.segment(ref)
    this.start = this.arena.offset(ref)
    this.end = this.start + this.arena.length(ref)
  }

  private raiseDense(index: number, value: number): Added {
    if (value <= this.denseRegister(index)) return Added.Nothing
    this.setDenseRegister(index, value)
    return Added.Changed
  }

  private get runsStart(): number {
    return this.start + HEADER_BYTES
  }

  /** Bytes of the run at `at`. */
  private runBytes(at: number): number {
    return (this.buffer[at]! & 0xc0) === 0x40 ? 2 : 1
  }

  /** Registers of the run at `at`. */
  private runLength(at: number): number {
    const byte = this.buffer[at]!
    if (byte >= 0x80) return (byte & 3) + 1
    if (byte < 0x40) return byte + 1
    // A run that is cut off reads as if a zero followed.
    const next = at + 1 < this.end ? this.buffer[at + 1]! : 0
    return (((byte & 0x3f) << 8) | next) + 1
  }

  /** Value of the registers of the run at `at`. */
  private runValue(at: number): number {
    const byte = this.buffer[at]!
    return byte >= 0x80 ? ((byte >> 2) & 0x1f) + 1 : 0
  }

  /** Splits the run that holds the register, and joins what has become equal. */
  private raiseSparse(index: number, value: number): Added {
    if (value > RUN_VALUE_MAX) return this.raiseAsDense(index, value)
    let at = this.runsStart
    let before = -1
    let first = 0
    let length = 0
    while (at < this.end) {
      length = this.runLength(at)
      if (index < first + length) break
      before = at
      at += this.runBytes(at)
      first += length
    }
    if (length === 0 || at >= this.end) return Added.Corrupted
    const oldValue = this.runValue(at)
    if (oldValue >= value) return Added.Nothing
    const oldBytes = this.runBytes(at)
    let newBytes = 1
    if (length === 1 && oldBytes === 1) this.buffer[at] = valueRun(value, 1)
    else {
      newBytes = splitRun(index - first, first + length - 1 - index, oldValue, value)
      const bytes = this.end - this.start + newBytes - oldBytes
      if (newBytes > oldBytes && bytes > this.sparseBytesMax) return this.raiseAsDense(index, value)
      const offset = at - this.start
      this.replaceRun(offset, oldBytes, newBytes)
      before = before < 0 ? before : before - at + this.start + offset
    }
    this.joinRuns(before < 0 ? this.runsStart : before)
    this.forgetCardinality()
    return Added.Changed
  }

  /** Puts the first `newBytes` bytes of `runs` in the place of the run at `offset` of the block. */
  private replaceRun(offset: number, oldBytes: number, newBytes: number): void {
    const length = this.end - this.start
    const total = length + newBytes - oldBytes
    // The block is made longer before what is behind the run moves, and shorter after it.
    if (total > length) this.show(this.arena.resize(this.ref, total))
    this.buffer.copyWithin(this.start + offset + newBytes, this.start + offset + oldBytes, this.start + length)
    // Of a run that was cut off one byte too many is taken away, which leaves the value as corrupted as it was.
    const written = Math.min(newBytes, total - offset)
    for (let i = 0; i < written; i++) this.buffer[this.start + offset + i] = runs[i]!
    if (total < length) this.show(this.arena.resize(this.ref, total))
  }

  /** Joins neighbours of the same value, as far as a run can hold them. */
  private joinRuns(from: number): void {
    const { buffer } = this
    let at = from
    let end = this.end
    for (let i = 0; i < JOIN_RUNS_MAX && at < end; i++) {
      const value = this.runValue(at)
      if (value === 0) {
        at += this.runBytes(at)
        continue
      }
      const length = at + 1 < end && this.runValue(at + 1) === value ? this.runLength(at) + this.runLength(at + 1) : 0
      if (length === 0 || length > RUN_LENGTH_MAX) {
        at++
        continue
      }
      buffer.copyWithin(at, at + 1, end)
      buffer[at] = valueRun(value, length)
      end--
    }
    if (end < this.end) this.show(this.arena.resize(this.ref, end - this.start))
  }

  private raiseAsDense(index: number, value: number): Added {
    return this.makeDense() ? this.raiseDense(index, value) : Added.Corrupted
  }

  private mergeRuns(registers: Uint8Array): boolean {
    let index = 0
    for (let at = this.runsStart; at < this.end; at += this.runBytes(at)) {
      const length = this.runLength(at)
      const value = this.runValue(at)
      if (value > 0) {
        if (index + length > REGISTERS) break
        for (let i = index; i < index + length; i++) if (value > registers[i]!) registers[i] = value
      }
      index += length
    }
    return index === REGISTERS
  }

  private countDense(): void {
    const { buffer } = this
    for (let at = this.start + HEADER_BYTES; at < this.end; at += 3) {
      const three = buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16)
      histogram[three & 63]!++
      histogram[(three >> 6) & 63]!++
      histogram[(three >> 12) & 63]!++
      histogram[three >> 18]!++
    }
  }

  private countRuns(): boolean {
    let index = 0
    for (let at = this.runsStart; at < this.end; at += this.runBytes(at)) {
      const length = this.runLength(at)
      index += length
      histogram[this.runValue(at)]! += length
    }
    return index === REGISTERS
  }
}

/** Writes what takes the place of a run: `before` registers, the new value, `after` registers. Returns its bytes. */
function splitRun(before: number, after: number, oldValue: number, value: number): number {
  let at = appendRun(0, oldValue, before)
  runs[at++] = valueRun(value, 1)
  return appendRun(at, oldValue, after)
}

function appendRun(at: number, value: number, length: number): number {
  if (length === 0) return at
  if (value > 0) runs[at++] = valueRun(value, length)
  else if (length <= ZEROS_MAX) runs[at++] = length - 1
  else {
    runs[at++] = 0x40 | ((length - 1) >> 8)
    runs[at++] = (length - 1) & 0xff
  }
  return at
}

function valueRun(value: number, length: number): number {
  return 0x80 | ((value - 1) << 2) | (length - 1)
}

/** Zero bits that a word ends with; not for 0. */
function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word)
}

/**
 * The cardinality that `histogram` tells of.
 * Source: Otmar Ertl, New cardinality estimation algorithms for HyperLogLog sketches, arXiv:1702.01284.
 */
function estimate(): number {
  let z = REGISTERS * tau((REGISTERS - histogram[COUNTED_BITS + 1]!) / REGISTERS)
  for (let value = COUNTED_BITS; value >= 1; value--) {
    z += histogram[value]!
    z *= 0.5
  }
  z += REGISTERS * sigma(histogram[0]! / REGISTERS)
  return Math.min(Math.round((ALPHA_INFINITY * REGISTERS * REGISTERS) / z), CARDINALITY_MAX)
}

function sigma(start: number): number {
  if (start === 1) return Number.POSITIVE_INFINITY
  let x = start
  let y = 1
  let z = start
  for (;;) {
    x *= x
    const before = z
    z += x * y
    y += y
    if (before === z) return z
  }
}

function tau(start: number): number {
  if (start === 0 || start === 1) return 0
  let x = start
  let y = 1
  let z = 1 - start
  for (;;) {
    x = Math.sqrt(x)
    const before = z
    y *= 0.5
    z -= (1 - x) * (1 - x) * y
    if (before === z) return z / 3
  }
}
