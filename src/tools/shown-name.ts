/** Keys and names from files as text for people. */
import { isUtf8 } from 'node:buffer'
import { quote } from '../bytes/quoting.ts'

/** Longest name that is shown whole, in bytes. */
const SHOWN_BYTES_MAX = 256

/** A byte string as it is if that is printable UTF-8, else in quotes with escapes. Long ones are cut. */
export function shownName(bytes: string): string {
  const whole = Buffer.from(bytes, 'latin1')
  const buffer = whole.subarray(0, cutAt(whole))
  const cut = buffer.length < whole.length ? '…' : ''
  const text = buffer.toString('utf8')
  // Control characters would change what a terminal shows.
  if (isUtf8(buffer) && !/[\x00-\x1f\x7f-\x9f"]/.test(text)) return text + cut
  return quote(buffer.toString('latin1')) + cut
}

/** Where a long name is cut: not within a character. */
function cutAt(bytes: Buffer): number {
  let end = Math.min(bytes.length, SHOWN_BYTES_MAX)
  while (end < bytes.length && end > SHOWN_BYTES_MAX - 4 && (bytes[end]! & 0xc0) === 0x80) end--
  return end
}
