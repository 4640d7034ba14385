/**
 * Random calls of all commands by a user who may run every command and use no key: none is changed, and no command that
 * has keys answers with anything but an error.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nextCommands } from '../differential/generator.ts'
import { Random } from '../differential/random.ts'
import { TestBroker } from '../support/broker.ts'
import type { Reply, RespClient } from '../support/resp-client.ts'

const SEED = Number(process.env.MILLRACE_SEED ?? 7)
const CALLS = Number(process.env.MILLRACE_ROUNDS ?? 6000)
/** Calls that are about all keys, or about none that is named: a user without keys may make them, as in Redis. */
const WITHOUT_KEYS =
  /^(flushall|flushdb|swapdb|select|keys|scan|randomkey|dbsize|debug|config|client|info|memory|object|xinfo|xgroup|multi|exec|discard|unwatch|reset|quit|monitor|subscribe|psubscribe|ssubscribe|command|hello|auth|ping|echo|time|lastsave|slowlog|script|pubsub|publish|spublish|unsubscribe|punsubscribe|sunsubscribe|acl|shutdown)$/i

let broker: TestBroker
let admin: RespClient
let ann: RespClient

beforeAll(async () => {
  broker = await TestBroker.start()
  admin = await broker.connect()
  ann = await broker.connect()
  await admin.call(
    'ACL',
    'SETUSER',
    'ann',
    'on',
    'nopass',
    '+@all',
    '-flushall',
    '-flushdb',
    '-swapdb',
    '-debug',
    '-multi',
  )
  await ann.call('AUTH', 'ann', '')
})

afterAll(() => broker.stop())

/** A script that names no key may run; what it calls is checked by itself. */
function namesNoKey([name, , keyCount]: readonly string[]): boolean {
  return WITHOUT_KEYS.test(name!) || (/^eval/i.test(name!) && keyCount === '0')
}

function isError(reply: Reply): boolean {
  return typeof reply === 'object' && reply !== null && 'error' in reply
}

test('a user without keys reads and changes none', async () => {
  const random = new Random(SEED)
  const fill: string[][] = []
  while (fill.length < 2000) fill.push(...nextCommands(random))
  await admin.pipeline(fill.filter(([name]) => !/^(multi|exec|select|swapdb|flush.*|move)$/i.test(name!)))
  const before = await admin.call('DEBUG', 'DIGEST')
  expect(await admin.call('DBSIZE')).toBeGreaterThan(5)
  const answered: string[] = []
  let refused = 0
  for (let done = 0; done < CALLS; ) {
    const commands = nextCommands(random).filter(
      ([name]) => !/^(select|reset|hello|auth|quit|client|wait)$/i.test(name!),
    )
    done += 1
    const replies = await ann.pipeline(commands)
    commands.forEach((command, i) => {
      if (isError(replies[i]!)) refused++
      else if (!namesNoKey(command)) answered.push(`${command.join(' ')} → ${JSON.stringify(replies[i])}`)
    })
  }
  expect(refused).toBeGreaterThan(CALLS / 2)
  expect(answered).toEqual([])
  expect(await admin.call('DEBUG', 'DIGEST')).toEqual(before)
})
