/**
 * Commands about all keys, or all servers, of a cluster: each primary is asked, and the replies become one.
 *
 * | Command | Reply |
 * |---|---|
 * | DBSIZE | sum |
 * | KEYS | all of them, server by server |
 * | RANDOMKEY | of one that has keys |
 * | SCAN | server by server; the cursor says where it is |
 * | FLUSHALL, FLUSHDB, SCRIPT LOAD, SCRIPT FLUSH, FUNCTION LOAD, DELETE, FLUSH and RESTORE, CONFIG SET, RESETSTAT and REWRITE | that of the first, when all have done it |
 * | SCRIPT EXISTS | 1 where all have it |
 *
 * A cursor is `server's cursor × 16384 + lowest slot of the server`, so it outlives a failover as well as Redis' cursors do:
 * what is there all the time is returned, unless the server was replaced or slots moved meanwhile.
 */
import { CommandError, type CommandWords } from '../engine.ts'
import { wordText } from '../words.ts'
import type { Caller } from './caller.ts'
import { SLOTS } from './key-slot.ts'
import type { Link } from './link.ts'
import type { RawReply } from './remote-command.ts'
import type { Topology } from './topology.ts'

type Combine = (replies: readonly RawReply[]) => RawReply

const SAME: Combine = (replies) => replies[0]!
const SUM: Combine = (replies) => String(replies.reduce((sum, reply) => sum + BigInt(String(reply)), 0n))
const JOINED: Combine = (replies) => replies.flatMap((reply) => reply as readonly RawReply[])
const ANY: Combine = (replies) => replies.find((reply) => reply !== null) ?? null
const EVERYWHERE: Combine = (replies) =>
  (replies[0] as readonly RawReply[]).map((_, i) =>
    replies.every((reply) => String((reply as readonly RawReply[])[i]) === '1') ? '1' : '0',
  )

const COMBINED: ReadonlyMap<string, Combine> = new Map([
  ['dbsize', SUM],
  ['keys', JOINED],
  ['randomkey', ANY],
  ['script|exists', EVERYWHERE],
  ...`flushall flushdb script|load script|flush function|load function|delete function|flush function|restore config|set
    config|resetstat config|rewrite`
    .split(/\s+/)
    .map((name) => [name, SAME] as const),
])

export class FanOut {
  private readonly caller: Caller
  private readonly topology: Topology

  constructor(caller: Caller, topology: Topology) {
    this.caller = caller
    this.topology = topology
  }

  /** Whether a command is for all servers. */
  concerns(fullName: string): boolean {
    return fullName === 'scan' || COMBINED.has(fullName)
  }

  /** @throws CommandError, EngineUnavailableError */
  async run(fullName: string, words: CommandWords): Promise<RawReply> {
    if (fullName === 'scan') return this.scan(words)
    const replies = await this.caller.runOnAll(words)
    return COMBINED.get(fullName)!(replies.map(([, reply]) => reply))
  }

  private async scan([name, cursor, ...options]: CommandWords): Promise<RawReply> {
    if (cursor === undefined)
      return this.caller.runOn((await this.caller.primaries(this.caller.patience(null)))[0]!, [name!])
    const text = wordText(cursor)
    if (!/^\d{1,20}$/.test(text)) throw new CommandError('ERR invalid cursor')
    const position = BigInt(text)
    const slot = Number(position % BigInt(SLOTS))
    const links = [...(await this.caller.primaries(this.caller.patience(null)))]
    links.sort((a, b) => this.topology.lowestSlot(a) - this.topology.lowestSlot(b))
    const at = position === 0n ? 0 : this.indexOf(links, slot)
    const reply = await this.caller.runOn(links[at]!, [name!, position / BigInt(SLOTS), ...options])
    const [next, keys] = reply as readonly RawReply[]
    return [Buffer.from(this.nextCursor(links, at, BigInt(String(next)))), keys!]
  }

  /** The server that holds a slot. */
  private indexOf(links: readonly Link[], slot: number): number {
    const holder = this.topology.linkFor(slot)
    const at = holder === null ? -1 : links.indexOf(holder)
    if (at < 0) throw new CommandError('ERR invalid cursor')
    return at
  }

  private nextCursor(links: readonly Link[], at: number, next: bigint): string {
    if (next !== 0n) return String(next * BigInt(SLOTS) + BigInt(this.topology.lowestSlot(links[at]!)))
    const following = links[at + 1]
    return following === undefined ? '0' : String(this.topology.lowestSlot(following))
  }
}
