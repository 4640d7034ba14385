/**
 * Random bytes at the door, seeded and bounded: noise, requests with broken parts, and random requests with random
 * arguments, over many connections that end in any way. Afterwards the server answers, no command has failed with a
 * defect, and the arena holds what the structures account for.
 *
 * MILLRACE_FUZZ sets the number of rounds, MILLRACE_SEED the seed.
 */
import { afterEach, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { until } from '../support/redis-servers.ts'
import { encodeCommand } from '../support/resp-client.ts'

const ROUNDS = Number(process.env.MILLRACE_FUZZ ?? 300)
const SEED = Number(process.env.MILLRACE_SEED ?? 7)

/** Commands that end or stop the server, or reply without end. */
const FORBIDDEN = new Set([
  'shutdown',
  'debug',
  'monitor',
  'eval',
  'eval_ro',
  'evalsha',
  'evalsha_ro',
  'config',
  'sync',
  'psync',
  'replicaof',
  'slaveof',
  'migrate',
  // Takes a second or more, and keeps nobody's data.
  'pfselftest',
])
const VALUES = [
  '',
  '0',
  '1',
  '-1',
  '2',
  '10',
  '3.5',
  'inf',
  'nan',
  '*',
  '$',
  '+',
  '-',
  '(1',
  '[a',
  '(a',
  '1-1',
  '0-0',
  '9223372036854775807',
  '-9223372036854775808',
  'a',
  'b',
  'key:1',
  'key:2',
  'key:3',
  'x'.repeat(70),
  '\0\xff\r\n',
]
const KEYS = ['a', 'b', 'key:1', 'key:2', 'key:3', 'key:4']
const WORDS = [
  'COUNT',
  'LIMIT',
  'MATCH',
  'LEFT',
  'RIGHT',
  'WITHSCORES',
  'BYSCORE',
  'REV',
  'BLOCK',
  'STREAMS',
  'GROUP',
  'CREATE',
  'MKSTREAM',
  'MAXLEN',
  '~',
  '=',
  'NX',
  'XX',
  'GT',
  'LT',
  'CH',
  'INCR',
  'EX',
  'PX',
  'KEEPTTL',
  'GET',
  'WEIGHTS',
  'AGGREGATE',
  'SUM',
  'STORE',
  'BY',
  'ALPHA',
  'DESC',
  'SETINFO',
  'LIST',
  'NOVALUES',
  'WITHVALUES',
  'IDLE',
  'JUSTID',
  'FULL',
  'BEFORE',
  'AFTER',
  'RANK',
  'MINMATCHLEN',
  'IDX',
  'DB',
  'REPLACE',
  'ANY',
  'MIN',
  'MAX',
]

let broker: TestBroker

afterEach(() => broker.stop())

/** mulberry32. */
function createRandom(seed: number): (below: number) => number {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

test(
  `${ROUNDS} connections of noise leave the server in order (seed ${SEED})`,
  async () => {
    broker = await TestBroker.start({ timeout: 0, 'client-query-buffer-limit': '1mb' })
    const random = createRandom(SEED)
    const pick = <T>(list: readonly T[]): T => list[random(list.length)]!
    const commands = [...broker.server.registry.all()].filter((command) => !FORBIDDEN.has(command.name))
    const randomBytes = (length: number): string => {
      let text = ''
      for (let i = 0; i < length; i++) text += String.fromCharCode(random(256))
      return text
    }
    const request = (): string => {
      const command = pick(commands)
      const words = [command.name]
      let { arity } = command.definition
      if (command.subcommands !== null) {
        const sub = pick([...command.subcommands.values()])
        words.push(sub.name)
        arity = sub.definition.arity
      }
      // Nothing that makes all the others wait for long.
      if (words[1]?.includes('pause')) return ''
      // Mostly as many arguments as it takes, the first one a key.
      const count = random(10) === 0 ? random(7) : Math.abs(arity) - words.length + (arity < 0 ? random(4) : 0)
      for (let n = 0; n < count; n++) {
        if (n === 0 && random(5) > 0) words.push(pick(KEYS))
        else words.push(pick(random(4) === 0 ? WORDS : VALUES))
      }
      return encodeCommand(words)
    }
    const broken = (): string => {
      const bytes = [...request()]
      for (let n = 1 + random(3); n > 0; n--) {
        const at = random(bytes.length + 1)
        const kind = random(3)
        if (kind === 0) bytes.splice(at, 1 + random(4))
        else if (kind === 1) bytes.splice(at, 0, String.fromCharCode(random(256)))
        else bytes[at] = pick(['\r', '\n', '\0', '*', '$', '9', '-', '"'])
      }
      return bytes.join('')
    }
    const open: RawConnection[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const raw = await RawConnection.connect(broker.port)
      open.push(raw)
      for (let n = 1 + random(20); n > 0; n--) {
        const kind = random(20)
        if (kind < 18) raw.send(request())
        else if (kind < 19) raw.send(broken())
        else raw.send(randomBytes(random(300)))
      }
      while (open.length > 20) {
        const ending = open.splice(random(open.length), 1)[0]!
        const way = random(4)
        if (way === 0) ending.sendLast(pick(['', 'PING\r\n', '*1\r\n$4']))
        else if (way === 1) ending.reset()
        else ending.close()
      }
      if (round % 50 === 49) {
        const client = await broker.connect()
        expect(await client.call('PING')).toEqual({ status: 'PONG' })
      }
    }
    for (const raw of open) raw.close()
    // What they have sent last may still be run until the server has seen each of them end.
    await until('the noise has ended', () => broker.server.clientCount <= 1 + ROUNDS / 50)
    // The noise has not drowned the requests.
    expect(broker.server.stats.commandsProcessed).toBeGreaterThan(ROUNDS * 3)
    const client = await broker.connect()
    expect(await client.call('PING')).toEqual({ status: 'PONG' })
    const { keyspace } = broker.server
    expect(broker.log.warnings.filter((line) => line.includes('defect'))).toEqual([])
    expect(keyspace.account()).toEqual({ bytes: keyspace.arena.liveBytes, blocks: keyspace.arena.liveBlocks })
    await client.call('FLUSHALL')
    expect(keyspace.account()).toEqual({ bytes: keyspace.arena.liveBytes, blocks: keyspace.arena.liveBlocks })
    // A snapshot that the noise began keeps what it has yet to write.
    await until('no snapshot is being written', () => keyspace.walk === null)
    expect(keyspace.arena.liveBlocks).toBe(0)
  },
  20_000 + ROUNDS * 100,
)
