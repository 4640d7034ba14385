/**
 * Rules and permissions beside the reference server: the same rules are taken or refused, and users with the same rules
 * may make the same calls. Texts that name the user are those of 7.2, so of a denied call only the kind is compared.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasReference, ReferenceServer } from '../bytes/reference-server.ts'
import { Random } from '../differential/random.ts'
import { TestBroker } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

/** Calls of all families, with keys that rules below name. */
const CALLS: readonly string[] = [
  'get read',
  'set write 1',
  'set both 1 get',
  'getset both 1',
  'getdel both',
  'getex both persist',
  'append write x',
  'mset write 1 other 2',
  'mget read other',
  'incr both',
  'strlen none',
  'exists none',
  'type none',
  'del write other',
  'unlink write',
  'copy read write',
  'rename both write',
  'expire write 1',
  'ttl none',
  'touch none',
  'object encoding read',
  'lpush write x',
  'rpop both',
  'lmove both write left right',
  'blmove both write left right 0',
  'blpop both other 0',
  'lmpop 2 both write left',
  'lrange read 0 -1',
  'llen none',
  'sadd write x',
  'smembers read',
  'sdiffstore write read both',
  'sinter read both',
  'smove both write x',
  'sismember read x',
  'scard none',
  'zadd write 1 x',
  'zrangestore write read 0 -1',
  'zunionstore write 2 read both',
  'zunion 2 read both',
  'zmpop 1 both min',
  'hset write f v',
  'hget read f',
  'hgetall read',
  'hexists none f',
  'xadd write * f v',
  'xread streams read other 0 0',
  'xreadgroup group g c streams both >',
  'xgroup create write g $',
  'xinfo stream read',
  'xack write g 1-1',
  'sort read',
  'sort read store write',
  'sort read by w_* get k_*',
  'sort_ro read',
  'eval x 2 read write',
  'eval_ro x 1 read',
  'evalsha x 1 both',
  'publish ch1 m',
  'spublish ch2 m',
  'subscribe ch1 other',
  'psubscribe ch*',
  'ssubscribe ch1',
  'unsubscribe other',
  'config get port',
  'config set port 1',
  'client list',
  'client id',
  'acl whoami',
  'acl users',
  'info',
  'ping',
  'multi',
  'exec',
  'auth a b',
  'hello',
  'select 0',
  'select 1',
  'scan 0',
  'keys read',
  'dbsize',
  'flushall',
  'swapdb 0 1',
  'debug sleep 0',
  'script load x',
  'slowlog get',
  'memory usage read',
  'monitor',
  'command count',
]

const CATEGORIES = [
  ...['keyspace', 'read', 'write', 'set', 'sortedset', 'list', 'hash', 'string', 'stream', 'pubsub', 'admin'],
  ...['fast', 'slow', 'blocking', 'dangerous', 'connection', 'transaction', 'scripting'],
]

const RULES: readonly string[] = [
  ...['on', 'off', 'nopass', 'resetpass', 'reset', 'allkeys', 'resetkeys', 'allchannels', 'resetchannels'],
  ...['allcommands', 'nocommands', '+@all', '-@all', 'clearselectors', 'sanitize-payload', 'skip-sanitize-payload'],
  ...['>secret', '<secret', '#abc', `#${'a'.repeat(64)}`, `!${'a'.repeat(64)}`, `!${'b'.repeat(64)}`, '<wrong', ''],
  ...['~read', '~both', '~*', '%R~read', '%W~write', '%RW~both', '%rw~x*', '%RR~x', '%X~x', '~a b', '%R~w_*'],
  ...['&ch1', '&ch*', '&*', '& a', '+get', '-get', '+GET', '+config|get', '-config|set', '+config', '-config'],
  ...[
    '+select|0',
    '+select|1',
    '-select|0',
    '+select',
    '+config|get|port',
    '+nosuch',
    '+@nosuch',
    '-@nosuch',
    '+sort|',
  ],
  ...['(+get ~read)', '(+set %W~write)', '(nosuch)', '(-@all +@write ~write)'],
  ...['+@read', '-@read', '+@write', '-@write', '+@dangerous', '-@dangerous', '+@Keyspace', 'nonsense', '@all', '+'],
]

/** A selector in several words. */
const SPREAD_SELECTOR = ['(%R~read', '+@read', '-get)']

const SEED = Number(process.env.MILLRACE_SEED ?? 20_261_121)
const ROUNDS = Number(process.env.MILLRACE_ROUNDS ?? 200)

let broker: TestBroker
let ours: RespClient
let theirs: ReferenceServer

beforeAll(async () => {
  broker = await TestBroker.start()
  ours = await broker.connect()
  if (hasReference) theirs = await ReferenceServer.start()
})

afterAll(async () => {
  await broker.stop()
  if (hasReference) await theirs.stop()
})

function textOf(reply: Reply): string {
  if (reply !== null && typeof reply === 'object' && 'status' in reply) return reply.status
  if (reply !== null && typeof reply === 'object' && 'error' in reply) return reply.error
  return JSON.stringify(reply)
}

/** What a dry run says of a call: OK, or what is denied. */
function kindOf(text: string): string {
  if (/OK/.test(text)) return 'OK'
  const denied = /'([^']*)' (command|key|channel)/.exec(text)
  return denied === null ? text : `${denied[1]} ${denied[2]}`
}

async function permissions(user: string): Promise<{ ours: string[]; theirs: string[] }> {
  const found: { ours: string[]; theirs: string[] } = { ours: [], theirs: [] }
  for (const call of CALLS) {
    const words = ['DRYRUN', user, ...call.split(' ')]
    found.ours.push(`${call}: ${kindOf(textOf(await ours.call('ACL', ...words)))}`)
    found.theirs.push(`${call}: ${kindOf(String(await theirs.command('ACL', ...words)))}`)
  }
  return found
}

describe.skipIf(!hasReference)('ACL beside the reference server', () => {
  test.each(CATEGORIES)('+@%s allows the same commands', async (category) => {
    const rules = ['reset', 'on', `+@${category}`, 'allkeys', 'allchannels']
    await ours.call('ACL', 'SETUSER', 'u', ...rules)
    await theirs.command('ACL', 'SETUSER', 'u', ...rules)
    const found = await permissions('u')
    expect(found.ours).toEqual(found.theirs)
  })

  test.each([
    '%R~read %W~write %RW~both',
    '~read',
    '%W~*',
    '%R~*',
    '(%R~read +@all) (%W~write +@all) (~both +@all)',
  ])('keys %s allow the same calls', async (keys) => {
    const rules = ['reset', 'on', '+@all', '&ch1', '&ch*', ...keys.split(' ')]
    await ours.call('ACL', 'SETUSER', 'u', ...rules)
    await theirs.command('ACL', 'SETUSER', 'u', ...rules)
    const found = await permissions('u')
    expect(found.ours).toEqual(found.theirs)
  })

  test('random rules have the same outcome, and the same rights after them', async () => {
    const random = new Random(SEED)
    for (let round = 0; round < ROUNDS; round++) {
      const name = `user${round % 7}`
      const rules = random.some(1, 5, () => (random.chance(10) ? SPREAD_SELECTOR : [random.pick(RULES)])).flat()
      const replies = {
        ours: textOf(await ours.call('ACL', 'SETUSER', name, ...rules)),
        theirs: String(await theirs.command('ACL', 'SETUSER', name, ...rules)),
      }
      expect(replies.ours, rules.join(' ')).toBe(replies.theirs)
      if (round % 4 !== 0) continue
      const found = await permissions(name)
      expect(found.ours, `${name} after ${rules.join(' ')}`).toEqual(found.theirs)
    }
  })
})
