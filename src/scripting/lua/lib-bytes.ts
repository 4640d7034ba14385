/**
 * Pieces that the binary Lua libraries share: bytes, floats, and a writer of byte strings. Hot path.
 *
 * Writing bytes to a buffer and making the string once is about twice as fast as concatenation with the check for chars
 * to escape, and the result is flat.
 */
import { charge, FREE_CHARS_MAX, whenAborted } from './memory.ts'
import { LuaError } from './value.ts'

/** All one-byte strings by byte value. */
export const BYTE_STRINGS: readonly string[] = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))

const BUFFER_BYTES = 16 * 1024
/** A larger buffer is given back after use. */
const BUFFER_BYTES_KEPT = 1024 * 1024
/** V8 has no longer strings. */
const TEXT_BYTES_MAX = 2 ** 29 - 24
/** Strings from this length on are copied by native code, shorter ones faster by ours. */
const NATIVE_COPY_LENGTH = 16

const floatBytes = new Uint8Array(8)
const floatView = new DataView(floatBytes.buffer)

/** Builds one byte string at a time; it is reused, so nothing that writes may call Lua code. */
export class ByteWriter {
  /** The bytes so far, up to `length`. Replaced by `reserve`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  length = 0

  constructor() {
    whenAborted(() => this.release())
  }

  /** Makes room for `count` more bytes. Throws a Lua error when the text cannot become a string. */
  reserve(count: number): void {
    if (this.length + count > this.bytes.length) this.grow(this.length + count)
  }

  byte(code: number): void {
    this.reserve(1)
    this.bytes[this.length++] = code
  }

  /** Appends a byte string. */
  text(text: string): void {
    const count = text.length
    this.reserve(count)
    const at = this.length
    if (count < NATIVE_COPY_LENGTH) {
      const bytes = this.bytes
      for (let i = 0; i < count; i++) bytes[at + i] = text.charCodeAt(i)
    } else this.bytes.latin1Write(text, at, count)
    this.length = at + count
  }

  /** Appends a big-endian single (`size` 4) or double (`size` 8). */
  float(value: number, size: 4 | 8): void {
    this.reserve(size)
    setFloat(value, size)
    for (let i = 0; i < size; i++) this.bytes[this.length + i] = floatBytes[i]!
    this.length += size
  }

  /** The text from the start, which is also the new start. */
  finish(): string {
    if (this.length > FREE_CHARS_MAX) charge(this.length)
    const text = this.bytes.latin1Slice(0, this.length)
    this.release()
    return text
  }

  private release(): void {
    this.length = 0
    if (this.bytes.length > BUFFER_BYTES_KEPT) this.bytes = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  }

  private grow(needed: number): void {
    if (needed > TEXT_BYTES_MAX) throw new LuaError('not enough memory')
    charge(needed)
    const grown = Buffer.allocUnsafeSlow(Math.min(2 * needed, TEXT_BYTES_MAX))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}

/** The number as the bytes of a big-endian single (`size` 4) or double (`size` 8). */
export function floatToBytes(value: number, size: 4 | 8): string {
  setFloat(value, size)
  let bytes = ''
  for (let i = 0; i < size; i++) bytes += BYTE_STRINGS[floatBytes[i]!]
  return bytes
}

function setFloat(value: number, size: 4 | 8): void {
  if (size === 4) floatView.setFloat32(0, value)
  else floatView.setFloat64(0, value)
}

/** The big-endian single (`size` 4) or double (`size` 8) at `at`, which the caller has checked to be inside. */
export function bytesToFloat(text: string, at: number, size: 4 | 8): number {
  for (let i = 0; i < size; i++) floatBytes[i] = text.charCodeAt(at + i)
  return size === 4 ? floatView.getFloat32(0) : floatView.getFloat64(0)
}

/** A copy of a byte string in the opposite byte order. */
export function reverseBytes(text: string): string {
  let reversed = ''
  for (let i = text.length - 1; i >= 0; i--) reversed += text[i]
  return reversed
}

/** How many names are remembered; a power of two. */
const NAME_COUNT = 512
/** V8 copies slices up to this length; a longer one would keep the whole text that it was cut from alive. */
const SLICE_COPIED_MAX = 12
const NAME_LENGTH_MAX = 24

const names: string[] = Array.from({ length: NAME_COUNT }, () => '')

/**
 * `text.slice(start, end)` for table keys. The same few names come again and again: a remembered string saves the new
 * one and the computation of its hash.
 */
export function sliceName(text: string, start: number, end: number): string {
  const length = end - start
  if (length > NAME_LENGTH_MAX) return text.slice(start, end)
  let hash = length
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  const slot = (hash ^ (hash >>> 9)) & (NAME_COUNT - 1)
  const name = names[slot]!
  if (name.length === length) {
    let i = 0
    while (i < length && name.charCodeAt(i) === text.charCodeAt(start + i)) i++
    if (i === length) return name
  }
  const slice = text.slice(start, end)
  return (names[slot] = length > SLICE_COPIED_MAX ? Buffer.from(slice, 'latin1').latin1Slice(0, length) : slice)
}
