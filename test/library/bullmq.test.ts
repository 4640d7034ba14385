/** BullMQ on a broker in the same process, without ioredis. */
import { once } from 'node:events'
import { FlowProducer, type IRedisClient, Queue, QueueEvents, Worker } from 'bullmq'
import { afterEach, describe, expect, test } from 'vitest'
import { bullmqConnection, createBroker, type LocalBroker } from '../../src/index.ts'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(): Promise<LocalBroker> {
  const broker = await createBroker()
  cleanups.push(() => broker.close())
  return broker
}

/** Closed after the test. */
function opened<Closable extends { close(): Promise<unknown> }>(closable: Closable): Closable {
  cleanups.push(() => closable.close())
  return closable
}

/** Resolves when a promise that cannot be awaited otherwise has become so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve))
}

function endOf(client: IRedisClient): Promise<void> {
  return new Promise((resolve) => client.once('end', () => resolve()))
}

function clients(broker: LocalBroker): Promise<string> {
  return broker.call('CLIENT', 'LIST') as Promise<string>
}

describe('a queue and a worker', () => {
  test('share a connection, and duplicate what they need', async () => {
    const broker = await start()
    const connection = bullmqConnection(broker)
    const queue = opened(new Queue('q', { connection }))
    const events = opened(new QueueEvents('q', { connection }))
    await events.waitUntilReady()
    const worker = opened(
      new Worker<{ n: number }>(
        'q',
        async (job) => {
          await job.log(`attempt ${job.attemptsMade}`)
          await job.updateProgress(50)
          if (job.name === 'flaky' && job.attemptsMade === 0) throw new Error('é')
          return { doubled: job.data.n * 2 }
        },
        { connection, name: 'tester' },
      ),
    )
    await worker.waitUntilReady()
    expect((await queue.getWorkers()).map(({ rawname }) => rawname)).toEqual(['bull:cQ==:w:tester'])
    const one = await queue.add('plain', { n: 21 })
    expect(await one.waitUntilFinished(events)).toEqual({ doubled: 42 })
    const flaky = await queue.add('flaky', { n: 1 }, { attempts: 2 })
    expect(await flaky.waitUntilFinished(events)).toEqual({ doubled: 2 })
    const late = await queue.add('late', { n: 2 }, { delay: 20, priority: 3 })
    expect(await late.waitUntilFinished(events)).toEqual({ doubled: 4 })
    const bulk = await queue.addBulk([1, 2, 3].map((n) => ({ name: 'bulk', data: { n } })))
    expect(await Promise.all(bulk.map((job) => job.waitUntilFinished(events)))).toHaveLength(3)
    expect(await queue.getJobCounts('completed', 'failed', 'wait')).toEqual({ completed: 6, failed: 0, wait: 0 })
    expect((await queue.getJobLogs(flaky.id!))?.logs).toEqual(['attempt 0', 'attempt 1'])
    expect((await queue.getJob(flaky.id!))?.stacktrace?.[0]).toContain('Error: é')
    expect(await queue.getMetrics('completed')).toMatchObject({ count: 0 })
    await queue.obliterate({ force: true })
    expect(await broker.call('KEYS', 'bull:q:*')).toEqual([])
  })

  test('run flows and schedules, and pause', async () => {
    const broker = await start()
    const connection = bullmqConnection(broker)
    const queue = opened(new Queue('q', { connection }))
    const events = opened(new QueueEvents('q', { connection }))
    const flows = opened(new FlowProducer({ connection }))
    await events.waitUntilReady()
    opened(
      new Worker(
        'q',
        async (job) => (job.name === 'child' ? job.data.n : Object.values(await job.getChildrenValues())),
        {
          connection,
        },
      ),
    )
    const children = [1, 2].map((n) => ({ name: 'child', queueName: 'q', data: { n } }))
    const { job } = await flows.add({ name: 'parent', queueName: 'q', data: {}, children })
    expect(((await job.waitUntilFinished(events)) as number[]).sort()).toEqual([1, 2])
    expect(Object.keys((await job.getDependencies()).processed ?? {})).toHaveLength(2)
    await queue.pause()
    expect(await queue.isPaused()).toBe(true)
    const scheduled = await queue.upsertJobScheduler('every', { every: 10_000 }, { name: 'scheduled', data: {} })
    expect(await queue.getJobSchedulers()).toMatchObject([{ key: 'every', every: 10_000 }])
    await queue.resume()
    await scheduled.waitUntilFinished(events)
    expect(await queue.removeJobScheduler('every')).toBe(true)
  })

  test('go on when the scripts and the sessions are gone', async () => {
    const broker = await start()
    const connection = bullmqConnection(broker)
    const queue = opened(new Queue('q', { connection }))
    const flows = opened(new FlowProducer({ connection }))
    const done = new Set<string>()
    const worker = opened(new Worker('q', async (job) => done.add(job.name), { connection }))
    await queue.add('first', {})
    await until(async () => done.has('first') && (await clients(broker)).includes('cmd=bzpopmin'))
    await broker.call('SCRIPT', 'FLUSH')
    await queue.addBulk([{ name: 'bulk', data: {} }])
    await broker.call('SCRIPT', 'FLUSH')
    // The script that adds the parent is new, that of the child is known: both are in one transaction.
    await queue.add('known', {})
    await flows.add({ name: 'flow', queueName: 'q', data: {}, children: [{ name: 'child', queueName: 'q' }] })
    await until(async () => done.size === 5 && (await clients(broker)).includes('cmd=bzpopmin'))
    await broker.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await queue.add('last', {})
    await once(worker, 'completed')
    expect([...done]).toEqual(['first', 'bulk', 'known', 'child', 'flow', 'last'])
  })
})

describe('a connection', () => {
  test('gives replies as ioredis does', async () => {
    const client = bullmqConnection(await start())
    const fields = Object.fromEntries([
      ['__proto__', 'p'],
      ['n', '1'],
    ])
    expect(await client.hset('h', fields)).toBe(2)
    expect(await client.hgetall('h')).toEqual(fields)
    expect(await client.hmget('h', 'n', 'x')).toEqual(['1', null])
    expect(await client.hgetall('missing')).toEqual({})
    expect(await client.set('k', 5, { PX: 10_000 })).toBe('OK')
    expect(await client.get('k')).toBe('5')
    const id = await client.xadd('s', '*', { f: 'v', g: 2 }, { MAXLEN: 10 })
    expect(await client.xread([{ key: 's', id: '0' }], { COUNT: 5 })).toEqual([['s', [[id, ['f', 'v', 'g', '2']]]]])
    expect(await client.xread([{ key: 's', id: '$' }], { BLOCK: 1 })).toBe(null)
    expect(await client.xtrim('s', 'MAXLEN', 0, { approximate: false })).toBe(1)
    client.defineCommand('put:1', {
      numberOfKeys: 1,
      lua: `return {redis.call('ZADD', KEYS[1], 1.5, 'é'), ARGV[1], #ARGV, redis.call('TYPE', KEYS[1])}`,
    })
    expect(await client.runCommand('put:1', ['z', Buffer.from('bytes'), null, undefined, 7])).toEqual([
      1,
      'bytes',
      4,
      'zset',
    ])
    expect(await client.zrange('z', 0, -1, { WITHSCORES: true })).toEqual(['é', '1.5'])
    expect(await client.zscore('z', 'é')).toBe('1.5')
    expect(await client.bzpopmin('z', 0)).toEqual(['z', 'é', '1.5'])
    expect(await client.bzpopmin('z', 0.001)).toBe(null)
    expect(() => client.runCommand('none', [])).toThrow('Cannot run none: it is not defined')
    await expect(client.hget('k', 'f')).rejects.toThrow('WRONGTYPE')
    const keys = []
    for await (const some of client.scanStream({ match: '?', count: 1 })) keys.push(...some)
    expect(keys.sort()).toEqual(['h', 'k', 's'])
  })

  test('runs a script that was forgotten while its call had to wait', async () => {
    const broker = await start()
    const client = bullmqConnection(broker)
    client.defineCommand('count', { numberOfKeys: 1, lua: `return redis.call('INCR', KEYS[1])` })
    expect(await client.runCommand('count', ['n'])).toBe(1)
    await broker.call('CLIENT', 'PAUSE', 100_000, 'WRITE')
    const waiting = client.runCommand('count', ['n'])
    await broker.call('SCRIPT', 'FLUSH')
    await broker.call('CLIENT', 'UNPAUSE')
    expect(await waiting).toBe(2)
  })

  test('runs pipelines and transactions, errors in their places', async () => {
    const client = bullmqConnection(await start())
    client.defineCommand('fail', { numberOfKeys: 0, lua: `return redis.error_reply('MY failure')` })
    for (const batch of [client.pipeline(), client.multi()]) {
      const results = await batch.hset('h', { a: 1 }).hgetall('h').llen('h').runCommand('fail', []).del('h').exec()
      expect(results?.map(([error, value]) => error?.message ?? value)).toEqual([
        1,
        { a: '1' },
        'WRONGTYPE Operation against a key holding the wrong kind of value',
        'MY failure',
        1,
      ])
    }
    expect(await client.pipeline().exec()).toEqual([])
    await expect(client.multi().hset('h', {}).exec()).rejects.toThrow('EXECABORT')
  })

  test('ends by disconnect, which rejects what waits, and begins anew', async () => {
    const client = bullmqConnection(await start())
    const ended = endOf(client)
    const waiting = expect(client.bzpopmin('z', 0)).rejects.toThrow('Connection is closed.')
    await client.info()
    client.disconnect()
    await Promise.all([ended, waiting])
    expect(client.status).toBe('end')
    await expect(client.get('k')).rejects.toThrow('Connection is closed.')
    await client.connect()
    expect(client.status).toBe('ready')
    expect(await client.get('k')).toBe(null)
    expect(await client.quit()).toBe('OK')
    expect(client.status).toBe('end')
  })

  test('ends with the broker, its workers too', async () => {
    const broker = await start()
    const client = bullmqConnection(broker)
    const worker = opened(new Worker('q', async () => 1, { connection: client, autorun: false }))
    worker.on('error', () => {})
    const running = worker.run()
    await until(async () => (await clients(broker)).includes('cmd=bzpopmin'))
    const ended = endOf(client)
    await broker.close()
    await ended
    expect(() => bullmqConnection(broker)).toThrow('The broker is closed')
    await expect(client.connect()).rejects.toThrow('Connection is closed.')
    await worker.close()
    await running
  })
})
