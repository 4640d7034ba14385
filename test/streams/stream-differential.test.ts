/**
 * Long random runs of stream commands beside redis-server: every reply must be the same. What 7.2 does otherwise than
 * the installed 7.0 is kept out: consumers are created beforehand (7.2 creates them also when nothing is delivered), and
 * XSETID is left to its own test.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hasReference, ReferenceServer } from '../bytes/reference-server.ts'
import { Random } from '../differential/random.ts'
import { TestBroker } from '../support/broker.ts'
import { type Reply, RespClient } from '../support/resp-client.ts'

const COMMANDS = 6000
const GREATEST = '18446744073709551615-18446744073709551615'

class StreamCommands {
  private readonly r: Random
  private ms = 1
  private keys = 'k0'
  private made = 0

  constructor(r: Random) {
    this.r = r
  }

  next(): string[] {
    // New keys from time to time: a stream that has met the greatest ID takes no more entries.
    if (++this.made % 1000 === 0) {
      this.keys = `k${this.made}`
      this.ms = 1
      return ['SET', `${this.keys}:string`, 'x']
    }
    const n = this.n(100)
    if (n < 40) return this.add()
    if (n < 48) return ['XDEL', this.key(), ...this.ids(4)]
    if (n < 51) return this.trim()
    if (n < 57) return [this.one('XRANGE', 'XREVRANGE'), this.key(), this.end(), this.end(), ...this.count()]
    if (n < 60) return ['XREAD', ...this.count(), 'STREAMS', this.key(), this.one('0', '$', '>', this.id())]
    if (n < 68) return this.groupCommand()
    if (n < 80) return this.readGroup()
    if (n < 85) return ['XACK', this.key(), this.group(), ...this.ids(4)]
    if (n < 89) return this.claim()
    if (n < 92) return this.autoClaim()
    if (n < 95) return this.pending()
    return this.info()
  }

  private n(end: number): number {
    return this.r.below(end)
  }

  private one<T>(...values: T[]): T {
    return values[this.n(values.length)]!
  }

  private key(): string {
    return `${this.keys}:${this.one('s', 's', 's', 's', 't', this.n(6) === 0 ? 'string' : 's')}`
  }

  private id(): string {
    const n = this.n(30)
    if (n === 0) return this.one('0', 'bad', GREATEST, '9007199254740993-18446744073709551614')
    if (n === 1) return String(this.n(this.ms + 2))
    return `${Math.max(0, this.ms - this.n(40))}-${this.n(3)}`
  }

  private ids(max: number): string[] {
    return Array.from({ length: 1 + this.n(max) }, () => this.id())
  }

  private end(): string {
    return this.one('-', '+', `(${this.id()}`, this.id(), this.id())
  }

  private count(): string[] {
    return this.n(2) === 0 ? [] : ['COUNT', String(this.n(9) - 1)]
  }

  private value(): string {
    return this.one('9223372036854775807', '-9223372036854775808', '12345678901234567890', '9007199254740993')
      .slice(0, this.one(99, 99, 0, 3))
      .concat(this.one('', '', 'x'.repeat(this.n(300)), String(this.n(70000))))
  }

  private add(): string[] {
    const command = ['XADD', this.key()]
    if (this.n(12) === 0) command.push('NOMKSTREAM')
    if (this.n(3) === 0) command.push(...this.strategy(), ...(this.n(4) === 0 ? ['LIMIT', String(this.n(30))] : []))
    this.ms += this.n(4)
    const n = this.n(40)
    command.push(n === 0 ? this.id() : n === 1 ? `${this.ms}-*` : `${this.ms}-${this.n(4)}`)
    if (this.n(3) > 0) return [...command, 'f', this.value(), 'g', this.value()]
    const fields = Array.from({ length: 1 + this.n(3) }, () => [
      this.one('a', '12', '9223372036854775807'),
      this.value(),
    ])
    return [...command, ...fields.flat()]
  }

  private strategy(): string[] {
    const sign = this.one([], ['='], ['~'], ['~'])
    return this.n(2) === 0 ? ['MAXLEN', ...sign, String(this.n(120))] : ['MINID', ...sign, this.id()]
  }

  private trim(): string[] {
    return ['XTRIM', this.key(), ...this.strategy(), ...(this.n(3) === 0 ? ['LIMIT', String(this.n(30))] : [])]
  }

  private group(): string {
    return this.one('g1', 'g2', this.n(5) === 0 ? 'none' : 'g1')
  }

  private consumer(): string {
    return this.one('c1', 'c2', 'c3')
  }

  private groupCommand(): string[] {
    const read = this.n(3) === 0 ? ['ENTRIESREAD', String(this.n(60) - 2)] : []
    const n = this.n(20)
    if (n < 11) {
      const made = this.n(3) === 0 ? ['MKSTREAM'] : []
      return ['XGROUP', 'CREATE', this.key(), this.group(), this.one('$', '0', this.id()), ...made, ...read]
    }
    if (n < 17) return ['XGROUP', 'SETID', this.key(), this.group(), this.one('$', '0', '-', '+', this.id()), ...read]
    if (n < 19) return ['XGROUP', 'DELCONSUMER', this.key(), this.group(), this.consumer()]
    return ['XGROUP', 'DESTROY', this.key(), this.group()]
  }

  private readGroup(): string[] {
    const noAck = this.n(5) === 0 ? ['NOACK'] : []
    const from = this.one('>', '>', '>', this.id())
    const to = ['GROUP', this.group(), this.consumer()]
    return ['XREADGROUP', ...to, ...this.count(), ...noAck, 'STREAMS', this.key(), from]
  }

  private claim(): string[] {
    const options = this.one<string[]>(
      [],
      ['JUSTID'],
      ['FORCE'],
      ['FORCE', 'JUSTID'],
      ['IDLE', '500000'],
      ['TIME', '1000'],
      ['RETRYCOUNT', '7'],
      ['LASTID', this.id()],
      ['WHAT'],
    )
    const idle = this.one('0', '0', '-1', '100000', 'x')
    return ['XCLAIM', this.key(), this.group(), this.consumer(), idle, ...this.ids(3), ...options]
  }

  private autoClaim(): string[] {
    const idle = this.one('0', '0', '400000', 'x')
    const justId = this.n(2) === 0 ? ['JUSTID'] : []
    return ['XAUTOCLAIM', this.key(), this.group(), this.consumer(), idle, this.end(), ...this.count(), ...justId]
  }

  private pending(): string[] {
    if (this.n(3) === 0) return ['XPENDING', this.key(), this.group()]
    const idle = this.n(2) === 0 ? ['IDLE', '300000'] : []
    const owner = this.n(2) === 0 ? [this.consumer()] : []
    return ['XPENDING', this.key(), this.group(), ...idle, this.end(), this.end(), String(this.n(10) - 1), ...owner]
  }

  private info(): string[] {
    const n = this.n(5)
    if (n === 0) return ['XLEN', this.key()]
    if (n === 1) return ['XINFO', 'GROUPS', this.key()]
    if (n === 2) return ['XINFO', 'CONSUMERS', this.key(), this.group()]
    return ['XINFO', 'STREAM', this.key(), ...(n === 3 ? [] : ['FULL', 'COUNT', String(this.n(20))])]
  }
}

/** The reply without times, and without what 7.0 does not have. */
function comparable(command: readonly string[], reply: Reply): string {
  let text = JSON.stringify(reply)
  if (command[0] === 'XPENDING') text = text.replace(/\d+,(\d+)\]/g, 'T,$1]')
  if (command[1] === 'CONSUMERS') text = text.replace(/"idle",\d+/g, '"idle"').replace(/,"inactive",-?\d+/g, '')
  if (command[3] === 'FULL') text = text.replace(/,"active-time",-?\d+/g, '').replace(/\b1\d{12}\b/g, 'T')
  return text
}

describe.skipIf(!hasReference)('stream commands in random order', () => {
  for (const seed of [1, 2, 3]) {
    it(`get the replies that redis-server gives (seed ${seed})`, { timeout: 60_000 }, async () => {
      const reference = await ReferenceServer.start()
      const broker = await TestBroker.start()
      const theirs = await RespClient.connect({ path: join(reference.directory, 'redis.sock') })
      const ours = await broker.connect()
      try {
        const commands = new StreamCommands(new Random(seed))
        for (let i = 0; i < COMMANDS; i++) {
          const command = commands.next()
          const [a, b] = await Promise.all([theirs.call(...command), ours.call(...command)])
          expect(comparable(command, b), `${i}: ${command.join(' ')}`).toBe(comparable(command, a))
          if (command[0] !== 'XGROUP' || (command[1] !== 'CREATE' && command[1] !== 'DELCONSUMER')) continue
          for (const name of ['c1', 'c2', 'c3']) {
            const create = ['XGROUP', 'CREATECONSUMER', command[2]!, command[3]!, name]
            await Promise.all([theirs.call(...create), ours.call(...create)])
          }
        }
        const { arena } = broker.server.keyspace
        expect(broker.server.keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
      } finally {
        theirs.close()
        await broker.stop()
        await reference.stop()
      }
    })
  }
})
