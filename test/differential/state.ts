/** The whole content of a server as text, for comparison after a run. */
import type { RespClient } from '../support/resp-client.ts'
import { normalize } from './compare.ts'

const READERS: Readonly<Record<string, (key: string) => string[]>> = {
  string: (key) => ['GET', key],
  list: (key) => ['LRANGE', key, '0', '-1'],
  hash: (key) => ['HGETALL', key],
  set: (key) => ['SMEMBERS', key],
  zset: (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
  stream: (key) => ['XRANGE', key, '-', '+'],
}

/** Type and content of every key of the selected database, by key. */
export async function contentOf(client: RespClient): Promise<Map<string, string>> {
  const content = new Map<string, string>()
  const keys = await client.call('KEYS', '*')
  if (!Array.isArray(keys)) throw new Error(`KEYS replied ${JSON.stringify(keys)}`)
  for (const key of keys) {
    if (typeof key !== 'string') throw new Error('KEYS replied a key that is no string')
    const type = await client.call('TYPE', key)
    const name = typeof type === 'object' && type !== null && 'status' in type ? type.status : 'none'
    const reader = READERS[name]
    if (reader === undefined) continue
    const command = reader(key)
    content.set(key, `${name} ${normalize(command, await client.call(...command))}`)
  }
  return content
}
