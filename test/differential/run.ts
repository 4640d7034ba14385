/** Runs the same random commands on two servers and collects the replies that differ. */
import type { Reply, RespClient } from '../support/resp-client.ts'
import { sameReply, sameScores } from './compare.ts'
import { nextCommands } from './generator.ts'
import { knownDifferences } from './known-differences.ts'
import { Random } from './random.ts'
import { contentOf } from './state.ts'

const BATCH = 200
/** The whole content is compared after so many commands. */
const STATE_EVERY = 5000
const DIFFERENCES_MAX = 25

export interface Difference {
  readonly index: number
  readonly command: readonly string[]
  readonly ours: unknown
  readonly theirs: unknown
}

/** Compares `count` commands made from `seed`, in RESP2 or RESP3. Both servers are emptied first. */
export async function compareServers(
  ours: RespClient,
  theirs: RespClient,
  seed: number,
  count: number,
  respVersion: '2' | '3',
): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const client of [ours, theirs]) {
    await client.call('HELLO', respVersion)
    await client.call('FLUSHALL')
  }
  const random = new Random(seed)
  let done = 0
  while (done < count && differences.length < DIFFERENCES_MAX) {
    const commands: string[][] = []
    while (commands.length < BATCH) commands.push(...nextCommands(random))
    const [a, b] = await Promise.all([ours.pipeline(commands), theirs.pipeline(commands)])
    const touched = new Set<string>()
    const queued: string[][] = []
    commands.forEach((command, i) => {
      const name = command[0]!.toLowerCase()
      const bodies = name === 'exec' ? queued.splice(0) : null
      if (name === 'multi' || name === 'discard') queued.length = 0
      else if (isQueued(a[i]!)) queued.push(command)
      if (bodies === null ? sameReply(command, a[i]!, b[i]!) : sameTransaction(bodies, a[i]!, b[i]!)) return
      if (knownDifferences.some((known) => known.applies(command, a[i]!, b[i]!))) return
      if (touched.size === 0) differences.push({ index: done + i, command, ours: a[i], theirs: b[i] })
      for (const word of command) touched.add(word)
    })
    // One difference makes others: start the next batch from the same ground.
    if (touched.size > 0) await Promise.all([ours.call('FLUSHALL'), theirs.call('FLUSHALL')])
    done += commands.length
    if (done % STATE_EVERY < BATCH) differences.push(...(await compareContent(ours, theirs, done)))
  }
  return differences
}

function isQueued(reply: Reply): boolean {
  return (
    typeof reply === 'object' &&
    reply !== null &&
    !Array.isArray(reply) &&
    'status' in reply &&
    reply.status === 'QUEUED'
  )
}

/** EXEC: each reply is compared as that of its command. */
function sameTransaction(bodies: readonly string[][], a: Reply, b: Reply): boolean {
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return sameReply(['EXEC'], a, b)
  return a.every((reply, i) => isSame(bodies[i] ?? ['EXEC'], reply, b[i]!))
}

function isSame(command: readonly string[], a: Reply, b: Reply): boolean {
  return sameReply(command, a, b) || knownDifferences.some((known) => known.applies(command, a, b))
}

async function compareContent(ours: RespClient, theirs: RespClient, index: number): Promise<Difference[]> {
  const [a, b] = [await contentOf(ours), await contentOf(theirs)]
  const differences: Difference[] = []
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const left = a.get(key)
    const right = b.get(key)
    if (left !== right && !sameContent(left, right)) {
      differences.push({ index, command: ['(content)', key], ours: left, theirs: right })
    }
  }
  return differences
}

function sameContent(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false
  const split = (text: string): [string, Reply] => [
    text.slice(0, text.indexOf(' ')),
    JSON.parse(text.slice(text.indexOf(' ') + 1)),
  ]
  const [aType, aValue] = split(a)
  const [bType, bValue] = split(b)
  const same = aType === 'zset' ? sameScores : sameReply
  return aType === bType && same(['content'], aValue, bValue)
}
