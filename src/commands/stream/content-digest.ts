/**
 * What stands for the content of an entry that has no idempotent ID of its own (IDMPAUTO): 128 bits over its fields and
 * values, whatever the order of the fields. Hot path.
 *
 * Each pair is hashed with its lengths, and the hashes are added up. Source of the rule: redis.io/commands/xadd (8.6).
 */
import { Murmur64 } from '../../bytes/murmur64.ts'
import type { Args } from '../../resp/args.ts'
import { copyBytes } from '../../storage/arena.ts'

const DIGEST_BYTES = 16
const LENGTH_BYTES = 4
const LOW_SEED = 0x1f0d3804
const HIGH_SEED = 0x5a2c96b1
const SCRATCH_BYTES = 1024
/** A longer buffer is given back after use. */
const KEEP_BYTES_MAX = 65536

const digest = Buffer.alloc(DIGEST_BYTES)
const hash = new Murmur64()
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** The digest of the fields and values from argument `first` on. Valid until the next call. */
export function contentDigest(args: Args, first: number): Buffer {
  digest.fill(0)
  for (let i = first; i + 1 < args.count; i += 2) {
    const bytes = pairBytes(args, i)
    hash.set(scratch, 0, bytes, LOW_SEED)
    add(0)
    hash.set(scratch, 0, bytes, HIGH_SEED)
    add(DIGEST_BYTES / 2)
  }
  if (scratch.length > KEEP_BYTES_MAX) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  return digest
}

/** Lays field and value into the scratch buffer. Returns how many bytes that are. */
function pairBytes(args: Args, field: number): number {
  const fieldBytes = args.length(field)
  const valueBytes = args.length(field + 1)
  const bytes = LENGTH_BYTES + fieldBytes + valueBytes
  if (scratch.length < bytes) scratch = Buffer.allocUnsafeSlow(bytes)
  scratch.writeUInt32LE(fieldBytes, 0)
  copyBytes(args.buffer, args.start(field), scratch, LENGTH_BYTES, fieldBytes)
  copyBytes(args.buffer, args.start(field + 1), scratch, LENGTH_BYTES + fieldBytes, valueBytes)
  return bytes
}

/** Adds the hash to the words at `at`. */
function add(at: number): void {
  digest.writeInt32LE((digest.readInt32LE(at) + hash.low) | 0, at)
  digest.writeInt32LE((digest.readInt32LE(at + 4) + hash.high) | 0, at + 4)
}
