/** Everything that a file has to bring back, as text: keys of all databases with values and expire times, and functions. */
import type { Reply } from '../../support/resp-client.ts'
import type { DirectClient } from './broker-in-process.ts'

const DATABASES = 4

/** What is left out of a comparison. */
export interface Hidden {
  /** Fields of XINFO STREAM FULL. */
  readonly fields: readonly string[]
  /** Whether pending entries that are deleted from the stream are. */
  readonly deletedPending: boolean
  /** Whether consumers without pending entries are. */
  readonly idleConsumers: boolean
}

/** What differs after loading although nothing is lost: the shape of an index. */
const SHAPE_FIELDS = ['radix-tree-keys', 'radix-tree-nodes']
/**
 * Commands have no place for the times at which consumers were seen; and XREADGROUP is recorded as XCLAIM, as in Redis
 * 7.2, which says nothing of how many entries a group has read.
 */
const COMMAND_FIELDS = [...SHAPE_FIELDS, 'seen-time', 'active-time', 'idle', 'inactive', 'entries-read', 'lag']

/**
 * What snapshots do not keep, what a log does not, and what a base of commands does not, all as in Redis: a consumer is
 * recorded with the first entry that it gets, and XCLAIM makes no entry pending that is deleted.
 */
export const LostIn = {
  Rdb: { fields: SHAPE_FIELDS, deletedPending: false, idleConsumers: false },
  Log: { fields: COMMAND_FIELDS, deletedPending: false, idleConsumers: true },
  LogOfCommands: { fields: [...COMMAND_FIELDS, 'pel-count'], deletedPending: true, idleConsumers: true },
} as const satisfies Record<string, Hidden>

const READERS: Readonly<Record<string, (key: string) => string[]>> = {
  string: (key) => ['GET', key],
  list: (key) => ['LRANGE', key, '0', '-1'],
  hash: (key) => ['HGETALL', key],
  set: (key) => ['SMEMBERS', key],
  zset: (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
  stream: (key) => ['XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'],
}

/** The whole content by `database key`. */
export async function contentOf(client: DirectClient, hidden: Hidden): Promise<Map<string, string>> {
  const content = new Map<string, string>()
  for (let db = 0; db < DATABASES; db++) {
    await client.call('SELECT', String(db))
    const keys = (await client.call('KEYS', '*')) as string[]
    const types = await client.pipeline(keys.map((key) => ['TYPE', key]))
    const times = await client.pipeline(keys.map((key) => ['PEXPIRETIME', key]))
    const names = types.map((type) => (type as { status: string }).status)
    const values = await client.pipeline(keys.map((key, i) => READERS[names[i]!]!(key)))
    keys.forEach((key, i) => {
      const value = JSON.stringify(canonical(names[i]!, values[i]!, hidden))
      content.set(`${db} ${key}`, `${names[i]} ${times[i]} ${value}`)
    })
  }
  await client.call('SELECT', '0')
  content.set('functions', JSON.stringify(await client.call('FUNCTION', 'LIST', 'WITHCODE')))
  return content
}

/** What two contents do not have in common, shortened: a comparison of the whole would print megabytes. */
export function differences(actual: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  for (const key of new Set([...actual.keys(), ...expected.keys()])) {
    const [a, e] = [actual.get(key), expected.get(key)]
    if (a !== e) found.push(`${key}: ${excerpt(a, e)} instead of ${excerpt(e, a)}`)
  }
  return found
}

const EXCERPT_BEFORE = 20
const EXCERPT_LENGTH = 100

function excerpt(text: string | undefined, other: string | undefined): string {
  if (text === undefined) return 'nothing'
  let at = 0
  while (at < text.length && text[at] === other?.[at]) at++
  const start = Math.max(0, at - EXCERPT_BEFORE)
  return `${text.length} characters, at ${at}: ${text.slice(start, start + EXCERPT_LENGTH)}`
}

function canonical(type: string, value: Reply, hidden: Hidden): Reply {
  if (!Array.isArray(value)) return value
  if (type === 'set') return [...value].sort()
  if (type === 'hash') return pairs(value).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
  return type === 'stream' ? canonicalStream(value, hidden) : value
}

function pairs(items: readonly Reply[]): Reply[][] {
  return Array.from({ length: items.length / 2 }, (_, i) => [items[2 * i]!, items[2 * i + 1]!])
}

function canonicalStream(stream: readonly Reply[], hidden: Hidden): Reply {
  const entries = stream[stream.indexOf('entries') + 1] as Reply[][]
  const existing = new Set(entries.map(([id]) => id))
  const visit = (value: Reply): Reply => {
    if (!Array.isArray(value)) return value
    const kept: Reply[] = []
    for (let i = 0; i < value.length; i++) {
      const item = value[i]!
      if (typeof item === 'string' && hidden.fields.includes(item)) i++
      else if (item === 'pending' && hidden.deletedPending)
        kept.push(
          item,
          (value[++i] as Reply[][]).filter(([id]) => existing.has(id!)),
        )
      else if (item === 'consumers' && hidden.idleConsumers)
        kept.push(item, (visit(value[++i]!) as Reply[][]).filter(hasPending))
      else kept.push(visit(item))
    }
    return kept
  }
  return visit([...stream])
}

function hasPending(consumer: readonly Reply[]): boolean {
  const pending = consumer[consumer.indexOf('pending') + 1]
  return Array.isArray(pending) && pending.length > 0
}
