/**
 * Byte strings of bytes that come again and again: names of keys and fields, flags, times. Hot path.
 *
 * A string of some bytes takes a call into the runtime, 130 to 180 ns, and memory; comparing 24 bytes with those of a string that
 * was made before takes 40 ns. The same string again also has its hash already, for who looks it up in a Map.
 *
 * A slot for each hash of length and last bytes; what differs there, as IDs do, is told apart soon.
 */
import { byteString } from './short-text.ts'

/** A power of two. */
const SLOTS = 512
/** Longer ones come seldom again. */
const LENGTH_MAX = 32
/** The hash is that of so many bytes at the end. */
const HASHED_BYTES = 6

export class TextCache {
  private readonly bytes = new Uint8Array(SLOTS * LENGTH_MAX)
  private readonly texts: string[] = new Array<string>(SLOTS).fill('')

  /** The bytes `source[start, start + length)` as a byte string. */
  text(source: Buffer, start: number, length: number): string {
    const end = start + length
    if (length > LENGTH_MAX) return source.latin1Slice(start, end)
    let hash = length
    for (let i = length > HASHED_BYTES ? end - HASHED_BYTES : start; i < end; i++)
      hash = (Math.imul(hash, 31) + source[i]!) | 0
    const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1)
    const bytes = this.bytes
    const first = slot * LENGTH_MAX
    const known = this.texts[slot]!
    if (known.length === length) {
      let i = length - 1
      while (i >= 0 && bytes[first + i] === source[start + i]) i--
      if (i < 0) return known
    }
    for (let i = 0; i < length; i++) bytes[first + i] = source[start + i]!
    return (this.texts[slot] = byteString(source, start, length))
  }
}
