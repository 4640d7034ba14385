/** The checksum of RDB files: known values, and pieces of every length and alignment. */
import { describe, expect, it } from 'vitest'
import { CRC64_BYTES, Crc64 } from '../../src/bytes/crc64.ts'

const MASK = 0xffffffffffffffffn

/** Bit by bit, as the definition says. */
function crcByDefinition(bytes: Uint8Array): bigint {
  let crc = 0n
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x95ac9329ac4bc9b5n : crc >> 1n
  }
  return crc & MASK
}

function checksum(crc: Crc64): bigint {
  const bytes = Buffer.alloc(CRC64_BYTES + 2, 0xaa)
  crc.writeTo(bytes, 1)
  expect(bytes[0]).toBe(0xaa)
  expect(bytes[CRC64_BYTES + 1]).toBe(0xaa)
  return bytes.readBigUInt64LE(1)
}

function sample(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = Math.imul(i + 1, 0x9e3779b1) >>> 21
  return bytes
}

describe('Crc64', () => {
  it('gives the check value of the Jones polynomial', () => {
    const crc = new Crc64()
    crc.update(Buffer.from('123456789'), 0, 9)
    expect(checksum(crc)).toBe(0xe9c6d914c4b8d9can)
  })

  it('is 0 without bytes', () => {
    expect(checksum(new Crc64())).toBe(0n)
  })

  it('agrees with the definition at every length and alignment', () => {
    const bytes = sample(170)
    for (let start = 0; start < 9; start++) {
      for (let end = start; end <= 170; end++) {
        const crc = new Crc64()
        crc.update(bytes, start, end)
        expect(checksum(crc)).toBe(crcByDefinition(bytes.subarray(start, end)))
      }
    }
  })

  it('agrees with the definition for views that start anywhere in their memory', () => {
    const bytes = sample(400)
    for (let shift = 0; shift < 8; shift++) {
      const view = bytes.subarray(shift, 390 + shift)
      const crc = new Crc64()
      crc.update(view, 0, view.length)
      expect(checksum(crc)).toBe(crcByDefinition(view))
    }
  })

  it('does not depend on how the bytes are cut into pieces', () => {
    const bytes = sample(1000)
    const whole = new Crc64()
    whole.update(bytes, 0, bytes.length)
    for (const size of [1, 2, 3, 7, 8, 9, 63, 500, 999]) {
      const crc = new Crc64()
      for (let at = 0; at < bytes.length; at += size) crc.update(bytes, at, Math.min(at + size, bytes.length))
      expect(checksum(crc)).toBe(checksum(whole))
    }
  })

  it('recognises its checksum and no other, and starts again after a reset', () => {
    const crc = new Crc64()
    crc.update(sample(100), 0, 100)
    const bytes = Buffer.alloc(CRC64_BYTES)
    crc.writeTo(bytes, 0)
    expect(crc.matches(bytes, 0)).toBe(true)
    for (let bit = 0; bit < 64; bit++) {
      bytes[bit >>> 3]! ^= 1 << (bit & 7)
      expect(crc.matches(bytes, 0)).toBe(false)
      bytes[bit >>> 3]! ^= 1 << (bit & 7)
    }
    crc.reset()
    expect(checksum(crc)).toBe(0n)
  })
})
