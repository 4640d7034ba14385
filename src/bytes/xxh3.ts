/**
 * XXH3, the 64-bit variant without a seed: the digest of a string (DIGEST, IFDEQ). Short strings are hashed in big
 * integers; of long ones, which are read in stripes of 64 bytes, only the end is.
 *
 * Source: Yann Collet's specification of XXH3 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) and its secret.
 */

const MASK = (1n << 64n) - 1n
const PRIME32_1 = 0x9e3779b1n
const PRIME32_2 = 0x85ebca77n
const PRIME32_3 = 0xc2b2ae3dn
const PRIME64_1 = 0x9e3779b185ebca87n
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn
const PRIME64_3 = 0x165667b19e3779f9n
const PRIME64_4 = 0x85ebca77c2b2ae63n
const PRIME64_5 = 0x27d4eb2f165667c5n
const PRIME_MX1 = 0x165667919e3779f9n
const PRIME_MX2 = 0x9fb21c651e98df25n

const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364' +
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
)
const SECRET_VIEW = new DataView(SECRET.buffer, SECRET.byteOffset, SECRET.length)

const STRIPE_BYTES = 64
const LANES = 8
/** How far the secret moves on from stripe to stripe. */
const SECRET_STEP_BYTES = 8
const STRIPES_PER_BLOCK = (SECRET.length - STRIPE_BYTES) / SECRET_STEP_BYTES
const BLOCK_BYTES = STRIPES_PER_BLOCK * STRIPE_BYTES
/** Up to here there are no stripes. */
const SHORT_BYTES_MAX = 240

/** The digest of `bytes[start, start + length)` as 16 hexadecimal digits. */
export function xxh3Hex(bytes: Uint8Array, start: number, length: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, length)
  return hashOf(view).toString(16).padStart(16, '0')
}

function hashOf(data: DataView): bigint {
  const length = data.byteLength
  if (length > SHORT_BYTES_MAX) return hashLong(data)
  if (length > 128) return hashTo240(data)
  if (length > 16) return hashTo128(data)
  if (length > 8) return hashTo16(data)
  if (length >= 4) return hashTo8(data)
  if (length > 0) return hashTo3(data)
  return xxh64Avalanche(secret64(56) ^ secret64(64))
}

function hashTo3(data: DataView): bigint {
  const length = data.byteLength
  const first = data.getUint8(0)
  const combined =
    ((first << 16) | (data.getUint8(length >> 1) << 24) | data.getUint8(length - 1) | (length << 8)) >>> 0
  return xxh64Avalanche(BigInt(combined) ^ BigInt((SECRET.readUInt32LE(0) ^ SECRET.readUInt32LE(4)) >>> 0))
}

function hashTo8(data: DataView): bigint {
  const length = data.byteLength
  const head = BigInt(data.getUint32(0, true))
  const tail = BigInt(data.getUint32(length - 4, true))
  const keyed = (tail + (head << 32n)) ^ secret64(8) ^ secret64(16)
  let hash = keyed ^ rotated(keyed, 49n) ^ rotated(keyed, 24n)
  hash = (hash * PRIME_MX2) & MASK
  hash ^= (hash >> 35n) + BigInt(length)
  hash = (hash * PRIME_MX2) & MASK
  return hash ^ (hash >> 28n)
}

function hashTo16(data: DataView): bigint {
  const length = data.byteLength
  const low = data.getBigUint64(0, true) ^ secret64(24) ^ secret64(32)
  const high = data.getBigUint64(length - 8, true) ^ secret64(40) ^ secret64(48)
  return avalanche((BigInt(length) + swapped(low) + high + folded(low, high)) & MASK)
}

function hashTo128(data: DataView): bigint {
  const length = data.byteLength
  let hash = (BigInt(length) * PRIME64_1) & MASK
  // Pairs of 16 bytes from both ends, the outer ones last.
  for (let pair = Math.floor((length - 1) / 32); pair >= 0; pair--) {
    hash += mixed16(data, pair * 16, pair * 32) + mixed16(data, length - (pair + 1) * 16, pair * 32 + 16)
  }
  return avalanche(hash & MASK)
}

function hashTo240(data: DataView): bigint {
  const length = data.byteLength
  let hash = (BigInt(length) * PRIME64_1) & MASK
  for (let i = 0; i < 8; i++) hash += mixed16(data, i * 16, i * 16)
  hash = avalanche(hash & MASK)
  const rounds = Math.floor(length / 16)
  for (let i = 8; i < rounds; i++) hash += mixed16(data, i * 16, (i - 8) * 16 + 3)
  hash += mixed16(data, length - 16, 136 - 17)
  return avalanche(hash & MASK)
}

/** The eight sums of a long string, as low and high words. */
class Lanes {
  private readonly low = new Int32Array(LANES)
  private readonly high = new Int32Array(LANES)

  constructor() {
    const start = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1]
    for (let i = 0; i < LANES; i++) this.set(i, start[i]!)
  }

  get(i: number): bigint {
    return (BigInt(this.high[i]! >>> 0) << 32n) | BigInt(this.low[i]! >>> 0)
  }

  private set(i: number, value: bigint): void {
    this.low[i] = Number(BigInt.asIntN(32, value))
    this.high[i] = Number(BigInt.asIntN(32, value >> 32n))
  }

  /** Adds the 64 bytes at `at`, with the secret from `secretAt` on. */
  addStripe(data: DataView, at: number, secretAt: number): void {
    for (let i = 0; i < LANES; i++) {
      const low = data.getInt32(at + i * 8, true)
      const high = data.getInt32(at + i * 8 + 4, true)
      this.add(i ^ 1, low, high)
      const keyLow = low ^ SECRET_VIEW.getInt32(secretAt + i * 8, true)
      const keyHigh = high ^ SECRET_VIEW.getInt32(secretAt + i * 8 + 4, true)
      this.add(i, Math.imul(keyLow, keyHigh), upperProduct(keyLow, keyHigh))
    }
  }

  /** Mixes the sums at the end of a block. */
  scramble(): void {
    for (let i = 0; i < LANES; i++) {
      const value = this.get(i)
      const key = secret64(SECRET.length - STRIPE_BYTES + i * 8)
      this.set(i, ((value ^ (value >> 47n) ^ key) * PRIME32_1) & MASK)
    }
  }

  private add(i: number, low: number, high: number): void {
    const sum = (this.low[i]! >>> 0) + (low >>> 0)
    this.low[i] = sum
    this.high[i] = this.high[i]! + high + (sum > 0xffffffff ? 1 : 0)
  }
}

/** Upper 32 bits of the product of two unsigned words. */
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const other = aLow * bHigh + (middle % 0x10000)
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000)) | 0
}

function hashLong(data: DataView): bigint {
  const length = data.byteLength
  const lanes = new Lanes()
  const blocks = Math.floor((length - 1) / BLOCK_BYTES)
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < STRIPES_PER_BLOCK; i++) {
      lanes.addStripe(data, block * BLOCK_BYTES + i * STRIPE_BYTES, i * SECRET_STEP_BYTES)
    }
    lanes.scramble()
  }
  const stripes = Math.floor((length - 1 - blocks * BLOCK_BYTES) / STRIPE_BYTES)
  for (let i = 0; i < stripes; i++) {
    lanes.addStripe(data, blocks * BLOCK_BYTES + i * STRIPE_BYTES, i * SECRET_STEP_BYTES)
  }
  lanes.addStripe(data, length - STRIPE_BYTES, SECRET.length - STRIPE_BYTES - 7)
  let hash = (BigInt(length) * PRIME64_1) & MASK
  for (let i = 0; i < LANES; i += 2) {
    hash += folded(lanes.get(i) ^ secret64(11 + i * 8), lanes.get(i + 1) ^ secret64(19 + i * 8))
  }
  return avalanche(hash & MASK)
}

function secret64(at: number): bigint {
  return SECRET.readBigUInt64LE(at)
}

function mixed16(data: DataView, at: number, secretAt: number): bigint {
  const low = data.getBigUint64(at, true) ^ secret64(secretAt)
  return folded(low, data.getBigUint64(at + 8, true) ^ secret64(secretAt + 8))
}

/** The halves of the 128-bit product, exclusive or. */
function folded(a: bigint, b: bigint): bigint {
  const product = a * b
  return (product & MASK) ^ (product >> 64n)
}

function rotated(value: bigint, bits: bigint): bigint {
  return ((value << bits) & MASK) | (value >> (64n - bits))
}

/** The bytes in the opposite order. */
function swapped(value: bigint): bigint {
  let rest = value
  let result = 0n
  for (let i = 0; i < 8; i++, rest >>= 8n) result = (result << 8n) | (rest & 0xffn)
  return result
}

function avalanche(value: bigint): bigint {
  const hash = ((value ^ (value >> 37n)) * PRIME_MX1) & MASK
  return hash ^ (hash >> 32n)
}

function xxh64Avalanche(value: bigint): bigint {
  let hash = ((value ^ (value >> 33n)) * PRIME64_2) & MASK
  hash = ((hash ^ (hash >> 29n)) * PRIME64_3) & MASK
  return hash ^ (hash >> 32n)
}
