import { rmSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { Files } from '../../src/files/files.ts'
import { Decode, type ReplyValue } from '../../src/resp/value-sink.ts'
import { Broker } from '../../src/server/broker.ts'
import { InProcess, RAW_RESP, refuseNothing } from '../../src/server/in-process.ts'
import { TestBroker, TestClock, TestLog } from '../support/broker.ts'
import { temporaryDirectory } from '../support/server-process.ts'

let broker: TestBroker | null = null

afterEach(async () => {
  await broker?.stop()
  broker = null
})

function call(door: InProcess, ...args: readonly (string | number)[]): Promise<ReplyValue> {
  return door.call(args, Decode.Text)
}

test('more calls than may wait are rejected, and those that wait are run', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server, { waitingMax: 2 })
  const [first, second, third] = await Promise.allSettled([
    call(door, 'INCR', 'n'),
    call(door, 'INCR', 'n'),
    call(door, 'INCR', 'n'),
  ])
  expect([first, second]).toEqual([
    { status: 'fulfilled', value: 1 },
    { status: 'fulfilled', value: 2 },
  ])
  expect(third).toMatchObject({ status: 'rejected', reason: { message: 'Cannot call: 2 calls wait already' } })
  expect(await call(door, 'INCR', 'n')).toBe(3)
})

test('a batch that has no room is rejected as a whole: no half of a transaction is begun', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server, { waitingMax: 2 })
  const transaction = [['MULTI'], ['INCR', 'n'], ['EXEC']]
  await expect(door.batch(transaction, Decode.Text, refuseNothing)).rejects.toThrow('Cannot call: 2 calls wait already')
  expect(await call(door, 'INCR', 'n')).toBe(1)
})

test('sessions of blocking calls are used again, and only some are kept', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  const waiting = Array.from({ length: 40 }, () => call(door, 'BLPOP', 'l', 0))
  await call(door, 'RPUSH', 'l', ...Array.from({ length: 40 }, (_, i) => i))
  expect(await Promise.all(waiting)).toEqual(Array.from({ length: 40 }, (_, i) => ['l', String(i)]))
  // The session of plain calls, and 16 idle ones.
  expect(broker.server.clientCount).toBe(17)
  const next = call(door, 'BLPOP', 'l', 0)
  await call(door, 'RPUSH', 'l', 'x')
  await next
  expect(broker.server.clientCount).toBe(17)
})

test('calls behind WAIT are executed when it is over, and each gets its own reply', async () => {
  const clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  const door = new InProcess(broker.server)
  await call(door, 'SET', 'k', 'v')
  const wait = call(door, 'WAIT', 1, 5)
  const raw = door.batch([['GET', 'k']], RAW_RESP, refuseNothing)
  const behind = call(door, 'APPEND', 'k', 'w')
  while (broker.server.blockedCount === 0) await new Promise((resolve) => setImmediate(resolve))
  // They have been tried by then.
  await new Promise((resolve) => setImmediate(resolve))
  clock.pass(5)
  expect(await Promise.all([wait, raw, behind])).toEqual([0, [Buffer.from('$1\r\nv\r\n')], 2])
})

test('a blocked call holds no session of its own when it is unblocked with an error', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  const blocked = call(door, 'BLPOP', 'l', 0)
  const id = /id=(\d+) [^\n]*cmd=blpop/.exec(String(await call(door, 'CLIENT', 'LIST')))?.[1] ?? ''
  expect(await call(door, 'CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(1)
  await expect(blocked).rejects.toThrow('UNBLOCKED client unblocked via CLIENT UNBLOCK')
  expect(broker.server.clientCount).toBe(2)
})

test('with appendfsync always a call resolves when its change is synced, not before; a served one likewise', async () => {
  const dir = temporaryDirectory()
  const config = configFromOptions({ port: 0, save: '', dir, appendonly: 'yes', appendfsync: 'always' })
  const syncs: (() => void)[] = []
  const files = new (class extends Files {
    override syncContentLater(_fd: number, done: (error: Error | null) => void): void {
      syncs.push(() => done(null))
    }
  })()
  const durable = new Broker({ config, log: new TestLog(), files })
  await durable.start()
  const door = new InProcess(durable.server)
  const settled: string[] = []
  const blocked = call(door, 'BLPOP', 'l', 0).then(() => settled.push('blocked'))
  const write = call(door, 'RPUSH', 'l', 'x').then(() => settled.push('write'))
  while (syncs.length === 0) await new Promise((resolve) => setImmediate(resolve))
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(settled).toEqual([])
  for (const sync of syncs.splice(0)) sync()
  await Promise.all([blocked, write])
  expect(settled.sort()).toEqual(['blocked', 'write'])
  await durable.close()
  rmSync(dir, { recursive: true })
})

test('a call resolves before the turn ends when nothing was written, a write with a log when the turn ends', async () => {
  const dir = temporaryDirectory()
  const config = configFromOptions({ port: 0, save: '', dir, appendonly: 'yes', appendfsync: 'no' })
  const logged = new Broker({ config, log: new TestLog() })
  await logged.start()
  const door = new InProcess(logged.server)
  await call(door, 'SET', 'k', 'v')
  let hasTurnEnded = false
  const turn = (): void => {
    hasTurnEnded = false
    setImmediate(() => {
      hasTurnEnded = true
    })
  }
  await new Promise((resolve) => setImmediate(resolve))
  // Only short turns answer early, and a busy machine makes any turn long.
  let isEarly = false
  for (let attempt = 0; !isEarly && attempt < 1000; attempt++) {
    turn()
    expect(await Promise.all([call(door, 'GET', 'k'), call(door, 'STRLEN', 'k')])).toEqual(['v', 1])
    isEarly = !hasTurnEnded
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(isEarly).toBe(true)
  turn()
  await Promise.all([call(door, 'GET', 'k'), call(door, 'SET', 'k', 'w')])
  expect(hasTurnEnded).toBe(true)
  await logged.close()
  rmSync(dir, { recursive: true })
})

test('a caller that awaits each of its calls leaves others their turn', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  let hasTurnEnded = false
  setImmediate(() => {
    hasTurnEnded = true
  })
  let calls = 0
  while (!hasTurnEnded && calls < 1_000_000) {
    await call(door, 'INCR', 'n')
    calls++
  }
  expect(hasTurnEnded).toBe(true)
  expect(await call(door, 'GET', 'n')).toBe(String(calls))
})

test('replies come in the order of the calls, also when some of them have to wait for the end of the turn', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  const settled: string[] = []
  const noted = (name: string, ...args: string[]): Promise<unknown> =>
    call(door, ...args).then(() => settled.push(name))
  const blocked = noted('blocked', 'BLPOP', 'l', '0')
  await call(door, 'PING')
  await Promise.all([blocked, noted('push', 'RPUSH', 'l', 'x'), noted('get', 'GET', 'k')])
  expect(settled).toEqual(['push', 'blocked', 'get'])
})

test('text of every length comes back as it was', async () => {
  broker = await TestBroker.start()
  const door = new InProcess(broker.server)
  for (const char of ['x', 'é', '€', '😀']) {
    for (let length = 0; length <= 40; length++) {
      for (const text of [char.repeat(length), `${'x'.repeat(length)}${char}`, `${char}${'x'.repeat(length)}`]) {
        expect(await call(door, 'ECHO', text)).toBe(text)
      }
    }
  }
  // Half of a pair is no character: as UTF-8 it is the replacement character.
  expect(await call(door, 'ECHO', 'a\ud83d')).toBe('a\ufffd')
})

/** Whether a promise is settled already, without giving it time. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

describe('a call that nothing is before', () => {
  test('is executed at once, and its promise is settled', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    await call(door, 'PING')
    await new Promise((resolve) => setImmediate(resolve))
    const set = call(door, 'SET', 'k', 'v')
    expect(broker.server.keyspace.databases[0]!.size).toBe(1)
    expect(await isSettled(set)).toBe(true)
    const refused = call(door, 'LPUSH', 'k', 'x')
    expect(await isSettled(refused.catch(() => {}))).toBe(false)
    await expect(refused).rejects.toThrow('WRONGTYPE')
    expect(await call(door, 'get', 'k')).toBe('v')
  })

  test('waits behind those that wait', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    await call(door, 'PING')
    const order: string[] = []
    const queued = door.batch([['APPEND', 'k', 'a']], Decode.Text, refuseNothing).then(() => order.push('batch'))
    const behind = call(door, 'APPEND', 'k', 'b').then(() => order.push('call'))
    await Promise.all([queued, behind])
    expect(order).toEqual(['batch', 'call'])
    expect(await call(door, 'GET', 'k')).toBe('ab')
  })

  test('is counted, and logged when it is slow', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    for (let i = 0; i < 100; i++) await call(door, 'INCR', 'n')
    expect(await call(door, 'INFO', 'commandstats')).toMatch(/cmdstat_incr:calls=100,usec=[1-9]/)
    await call(door, 'CONFIG', 'SET', 'slowlog-log-slower-than', '0')
    await call(door, 'SLOWLOG', 'RESET')
    for (let i = 0; i < 20; i++) await call(door, 'GET', 'n')
    expect(await call(door, 'SLOWLOG', 'LEN')).toBeGreaterThanOrEqual(20)
  })

  test('sees time go by', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    await call(door, 'SET', 'k', 'v', 'PX', 3)
    while ((await call(door, 'EXISTS', 'k')) === 1);
    expect(await call(door, 'DBSIZE')).toBe(0)
  })

  test('finds no key whose time has gone by since the call before, though the loop did not come by', async () => {
    const clock = new TestClock()
    broker = await TestBroker.start({}, clock)
    const door = new InProcess(broker.server)
    const found: ReplyValue[] = []
    for (let i = 0; i < 40; i++) {
      await call(door, 'SET', 'k', 'v', 'PX', 10)
      clock.pass(10)
      found.push(await call(door, 'GET', 'k'))
    }
    expect(found).toEqual(new Array(40).fill(null))
  })

  test('has another session when its own was killed', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    const id = await call(door, 'CLIENT', 'ID')
    const other = new InProcess(broker.server)
    await call(other, 'PING')
    await call(door, 'PING')
    expect(await call(other, 'CLIENT', 'KILL', 'ID', String(id))).toBe(1)
    expect(await call(door, 'CLIENT', 'ID')).not.toBe(id)
  })

  test('may serve a blocked one, which is answered behind it', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    await call(door, 'PING')
    const order: string[] = []
    const blocked = call(door, 'BLPOP', 'l', '0').then((reply) => order.push(String(reply)))
    while (!String(await call(door, 'CLIENT', 'LIST')).includes('cmd=blpop'));
    const push = call(door, 'RPUSH', 'l', 'x').then((reply) => order.push(String(reply)))
    const length = call(door, 'LLEN', 'l').then((reply) => order.push(`length ${reply}`))
    await Promise.all([blocked, push, length])
    expect(order).toEqual(['1', 'l,x', 'length 0'])
  })

  test('queues in a transaction, and runs with it', async () => {
    broker = await TestBroker.start()
    const door = new InProcess(broker.server)
    const replies = ['MULTI', 'INCR n', 'BLPOP l 0', 'EXEC'].map((words) => call(door, ...words.split(' ')))
    expect(await Promise.all(replies)).toEqual(['OK', 'QUEUED', 'QUEUED', [1, null]])
    const again = ['MULTI', 'INCR n', 'GET n', 'EXEC'].map((words) => call(door, ...words.split(' ')))
    expect(await Promise.all(again)).toEqual(['OK', 'QUEUED', 'QUEUED', [2, '2']])
  })
})
