/** Words of 32 bits in bytes, the lowest byte first, wherever they lie. Hot path. */

/** The word at `at`, as a signed number. */
export function readWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

/** Writes the low 32 bits of an integer. Returns where they end. */
export function writeWord(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
  return at + 4
}
