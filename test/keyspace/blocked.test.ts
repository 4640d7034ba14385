/** What is told of a key without its text: whether somebody may wait for it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BlockedClient, BlockedKeys, BlockedOn } from '../../src/keyspace/blocked.ts'

const client: BlockedClient = { blockedOn: BlockedOn.List, blockedUnblocksOnNoKey: false }
const keys = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('', 'bull:mail:marker', 'bull:mail:wait', '\xff\0'))

function mayHave(blocked: BlockedKeys, key: string): boolean {
  const bytes = Buffer.from(`<${key}>`, 'latin1')
  return blocked.mayHave(bytes, 1, key.length)
}

test('a key that somebody waits for may be there by its bytes, and none when nobody waits any more', () => {
  const bytesOnly = keys.map((key) => Buffer.from(key, 'latin1').toString('latin1'))
  fc.assert(
    fc.property(fc.array(bytesOnly, { maxLength: 20 }), fc.array(bytesOnly, { maxLength: 20 }), (added, removed) => {
      const blocked = new BlockedKeys()
      for (const key of added) blocked.add(key, client)
      for (const key of removed) blocked.remove(key, client)
      for (const key of blocked.keys()) expect(mayHave(blocked, key)).toBe(true)
      for (const key of added) blocked.remove(key, client)
      for (const key of [...added, ...removed]) expect(mayHave(blocked, key)).toBe(false)
    }),
  )
})

test('other keys of a queue are told from the one that its workers wait for', () => {
  const blocked = new BlockedKeys()
  blocked.add('bull:mail:marker', client)
  for (const name of ['wait', 'active', 'events', 'meta', 'id', 'completed', '1', '12345', '12345:lock'])
    expect(mayHave(blocked, `bull:mail:${name}`)).toBe(false)
})
