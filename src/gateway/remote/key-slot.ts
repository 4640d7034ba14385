/** The hash slot of a key in a cluster. Source: redis.io "Redis cluster specification", Key distribution model. */

export const SLOTS = 16384
/** CRC-16/XMODEM. */
const POLYNOMIAL = 0x1021
const TABLE: Uint16Array = crcTable()
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d

export function keySlot(key: Uint8Array): number {
  const open = key.indexOf(OPENING_BRACE)
  const close = open < 0 ? -1 : key.indexOf(CLOSING_BRACE, open + 1)
  // `{}` is no tag.
  const tag = close > open + 1 ? key.subarray(open + 1, close) : key
  let crc = 0
  for (const byte of tag) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte]!
  return crc % SLOTS
}

function crcTable(): Uint16Array {
  const table = new Uint16Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL
    table[byte] = crc & 0xffff
  }
  return table
}
