/**
 * Pieces of byte strings that the binary Lua libraries share: single bytes, and IEEE 754 singles and doubles. Hot path.
 */

/** All one-byte strings by byte value. */
export const BYTE_STRINGS: readonly string[] = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))

const floatBytes = new Uint8Array(8)
const floatView = new DataView(floatBytes.buffer)

/** The number as the bytes of a big-endian single (`size` 4) or double (`size` 8). */
export function floatToBytes(value: number, size: 4 | 8): string {
  if (size === 4) floatView.setFloat32(0, value)
  else floatView.setFloat64(0, value)
  let bytes = ''
  for (let i = 0; i < size; i++) bytes += BYTE_STRINGS[floatBytes[i]!]
  return bytes
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
