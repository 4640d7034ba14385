/** Tracking beside redis-server: after each of many random commands both servers have told the same keys to the same clients. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nextCommands } from '../differential/generator.ts'
import { Random } from '../differential/random.ts'
import { TestBroker } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess } from '../support/server-process.ts'

const COUNT = Number(process.env.MILLRACE_DIFF ?? 2500)
const SEED = Number(process.env.MILLRACE_SEED ?? (process.env.CI === undefined ? Date.now() % 1_000_000_007 : 20_261))
const DIFFERENCES_MAX = 10

if (!hasRedisServer) console.warn('Skipped: differential tests need redis-server in PATH')

/** The same clients on one of the servers. */
class Clients {
  readonly caller: RespClient
  /** Those that are told: the caller, one that reads now and then, those of BCAST mode, and one that others redirect to. */
  private readonly told: RespClient[]
  private readonly reader: RespClient

  private constructor(caller: RespClient, reader: RespClient, others: RespClient[]) {
    this.caller = caller
    this.reader = reader
    this.told = [caller, reader, ...others]
  }

  static async open(connect: () => Promise<RespClient>): Promise<Clients> {
    const modes = [[], ['NOLOOP'], ['BCAST'], ['BCAST', 'PREFIX', 's:', 'PREFIX', 'z:1', 'PREFIX', 'h']]
    const clients: RespClient[] = []
    for (const mode of modes) {
      const client = await connect()
      clients.push(client)
      await client.call('HELLO', '3')
      await client.call('CLIENT', 'TRACKING', 'ON', ...mode)
    }
    const [caller, reader, ...others] = clients
    await caller!.call('FLUSHALL')
    return new Clients(caller!, reader!, others)
  }

  /** Runs commands; returns what each client was told by them, in the order of the keys. */
  async run(commands: string[][], read: string): Promise<string[]> {
    await this.reader.call('GET', read)
    await this.caller.pipeline(commands)
    const told: string[] = []
    for (const client of this.told) {
      await client.call('PING')
      told.push(JSON.stringify(client.pushes.splice(0).flatMap(keysOf).sort()))
    }
    return told
  }
}

/** Keys of a message; `null` for all of them. */
function keysOf([kind, keys]: Reply[]): string[] {
  expect(kind).toBe('invalidate')
  return Array.isArray(keys) ? keys.map(String) : ['(null)']
}

describe.skipIf(!hasRedisServer)(`beside redis-server, seed ${SEED}`, () => {
  let ours: TestBroker
  let theirs: ServerProcess

  beforeAll(async () => {
    ours = await TestBroker.start()
    theirs = await ServerProcess.redis()
  })

  afterAll(async () => {
    await ours?.stop()
    await theirs?.dispose()
  })

  test(
    `${COUNT} random commands are told alike`,
    async () => {
      const [a, b] = [await Clients.open(() => ours.connect()), await Clients.open(() => theirs.connect())]
      const random = new Random(SEED)
      const differences: unknown[] = []
      let count = 0
      let keys = 0
      while (count < COUNT && differences.length < DIFFERENCES_MAX) {
        const commands = nextCommands(random)
        // Which keys of a script are remembered is the matter of other tests.
        if (commands.some(([name]) => /^eval/i.test(name!))) continue
        const read = `${random.pick(['s', 'l', 'h', 'e', 'z', 'x'])}:${random.below(3)}`
        const [left, right] = await Promise.all([a.run(commands, read), b.run(commands, read)])
        if (left.join() !== right.join()) differences.push({ commands, ours: left, theirs: right })
        count += commands.length
        keys += left.filter((told) => told !== '[]').length
      }
      expect(differences).toEqual([])
      expect(keys).toBeGreaterThan(COUNT / 10)
      const { keyspace } = ours.server
      expect(keyspace.account()).toEqual({ bytes: keyspace.arena.liveBytes, blocks: keyspace.arena.liveBlocks })
    },
    COUNT * 10 + 30_000,
  )
})
