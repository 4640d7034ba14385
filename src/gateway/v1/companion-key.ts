/**
 * Names of keys that must lie in the hash slot of another key: scripts of a cluster may use both then.
 *
 * The name carries the hash tag of the other key. A key without a tag is its own, unless it has a closing brace, which
 * would end the tag too early: then a number stands in that has the same slot.
 */
import { createHash } from 'node:crypto'
import { keySlot, SLOTS } from '../remote/key-slot.ts'

/** Digits with which a number of each slot is found; the last of them is below 250,000. */
let numberOfSlot: Uint32Array | null = null

/** @param parts what the companion is about, beside the key; told apart whatever they contain */
export function companionKey(purpose: string, key: string, parts: readonly string[]): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([key, ...parts]))
    .digest('base64url')
  return `millrace:${purpose}:{${hashTag(key)}}:${digest}`
}

/** A text without braces' trouble whose slot, as a hash tag, is that of `key`. */
function hashTag(key: string): string {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  if (close > open + 1) return key.slice(open + 1, close)
  if (!key.includes('}')) return key
  numberOfSlot ??= findNumbers()
  return String(numberOfSlot[keySlot(Buffer.from(key))])
}

function findNumbers(): Uint32Array {
  const numbers = new Uint32Array(SLOTS)
  const isFound = new Uint8Array(SLOTS)
  for (let number = 0, missing = SLOTS; missing > 0; number++) {
    const slot = keySlot(Buffer.from(String(number)))
    if (isFound[slot] === 1) continue
    isFound[slot] = 1
    numbers[slot] = number
    missing--
  }
  return numbers
}
