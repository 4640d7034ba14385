/** Queues over HTTP, with the BullMQ worker that any program would run. */
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { QueueBench } from './queue-bench.ts'

let bench: QueueBench

beforeAll(async () => {
  bench = await QueueBench.start()
})

afterEach(() => bench.clear())

afterAll(() => bench.close())

describe('a job that was added over HTTP', () => {
  test('is processed by a worker, and its result is waited for', async () => {
    const id = await bench.add('mail', { name: 'welcome', data: { to: 'ä@example.org' } })
    const waiting = [1, 2, 3].map(() => bench.ask(`/mail/jobs/${id}/result?blockMs=20000`))
    bench.worker('mail', async (job) => ({ sent: job.data.to }))
    for (const answer of await Promise.all(waiting)) {
      expect(answer).toEqual({
        status: 200,
        body: { id, isFinished: true, state: 'completed', result: { sent: 'ä@example.org' }, failedReason: null },
      })
    }
    expect((await bench.ask(`/mail/jobs/${id}`)).body).toMatchObject({
      id,
      name: 'welcome',
      state: 'completed',
      data: { to: 'ä@example.org' },
      result: { sent: 'ä@example.org' },
      attemptsMade: 1,
      failedReason: null,
    })
  })

  test('is tried again with its backoff, and fails with its last reason', async () => {
    const opts = { attempts: 3, backoff: { type: 'fixed', delay: 10 } }
    const id = await bench.add('mail', { name: 'flaky', opts })
    bench.worker('mail', async (job) => {
      throw new Error(`attempt ${job.attemptsMade + 1}`)
    })
    expect(await bench.result('mail', id)).toEqual({
      id,
      isFinished: true,
      state: 'failed',
      result: null,
      failedReason: 'attempt 3',
    })
    const { body } = await bench.ask(`/mail/jobs/${id}`)
    expect(body).toMatchObject({ attemptsMade: 3, opts: { attempts: 3 } })
    expect(body.stacktrace).toHaveLength(3)
  })

  test('is removed on completion as its options say; its result is there for who waits, and for who comes later', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { removeOnComplete: true } })
    const result = bench.result('mail', id)
    bench.worker('mail', async () => 'done')
    expect((await result).result).toBe('done')
    expect((await bench.ask(`/mail/jobs/${id}`)).status).toBe(404)
    expect((await bench.ask(`/mail/jobs/${id}/result`)).body).toMatchObject({ state: 'completed', result: 'done' })
  })

  test('keeps all options', async () => {
    const opts = {
      attempts: 4,
      backoff: { type: 'exponential', delay: 100, jitter: 0.5 },
      delay: 60_000,
      jobId: 'my-job',
      keepLogs: 2,
      lifo: true,
      priority: 7,
      removeOnComplete: { age: 60, count: 10 },
      removeOnFail: 5,
      sizeLimit: 1000,
      stackTraceLimit: 1,
      timestamp: 1_700_000_000_000,
      deduplication: { id: 'once', ttl: 5000 },
      telemetry: { metadata: 'trace', omitContext: true },
    }
    expect(await bench.add('mail', { name: 'n', data: { a: 1 }, opts })).toBe('my-job')
    const job = await bench.queue('mail').getJob('my-job')
    expect(job?.opts).toEqual(opts)
    expect(job?.timestamp).toBe(1_700_000_000_000)
    // A second one is a duplicate.
    expect(await bench.add('mail', { name: 'n', opts: { deduplication: { id: 'once' } } })).toBe('my-job')
  })
})

test('many jobs are added in one request, each with its own outcome', async () => {
  const { status, body } = await bench.ask('/mail/bulk', {
    json: {
      jobs: [
        { name: 'a', opts: { jobId: 'first' } },
        { name: 'b', opts: { parent: { id: 'nobody', queue: 'mail' } } },
        { name: 'c', data: [1] },
      ],
    },
  })
  expect(status).toBe(201)
  expect(body.jobs).toEqual([
    { id: 'first', name: 'a', error: null },
    { id: null, name: 'b', error: 'There is no such parent' },
    { id: expect.any(String), name: 'c', error: null },
  ])
  expect((await bench.ask('/mail')).body.counts).toMatchObject({ waiting: 2 })
})

describe('waiting for a result', () => {
  test('ends with the state of the job when the time is over', async () => {
    const id = await bench.add('mail', { name: 'n' })
    expect(await bench.ask(`/mail/jobs/${id}/result?blockMs=30`)).toEqual({
      status: 200,
      body: { id, isFinished: false, state: 'waiting', result: null, failedReason: null },
    })
    expect((await bench.ask(`/mail/jobs/${id}/result`)).body.isFinished).toBe(false)
  })

  test('ends with 404 when the job is removed, or was never there', async () => {
    const id = await bench.add('mail', { name: 'n' })
    const result = bench.ask(`/mail/jobs/${id}/result?blockMs=20000`)
    expect((await bench.ask(`/mail/jobs/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await result).status).toBe(404)
    expect((await bench.ask('/mail/jobs/none/result?blockMs=20000')).status).toBe(404)
  })

  test('ends when the gateway drains, as fetching does', async () => {
    const own = await QueueBench.start()
    onTestFinished(() => own.gateway.engine.close().then(() => own.gateway.broker.stop()))
    const id = await own.add('mail', { name: 'n' })
    const result = own.ask(`/mail/jobs/${id}/result?blockMs=60000`)
    const fetched = own.ask('/other/fetch', { json: { blockMs: 60_000 } })
    await own.blocked('xread')
    await own.blocked('bzpopmin')
    await own.gateway.gateway.close()
    expect((await result).body.isFinished).toBe(false)
    expect((await fetched).status).toBe(204)
  })

  test('sees a result that no event tells of', { timeout: 15_000 }, async () => {
    const own = await QueueBench.start()
    onTestFinished(() => own.close())
    const id = await own.add('mail', { name: 'n' })
    const result = own.result('mail', id)
    await own.blocked('xread')
    // As if somebody had deleted the events.
    await own.gateway.call('HSET', `bull:mail:${id}`, 'returnvalue', '"quietly"')
    await own.gateway.call('ZADD', 'bull:mail:completed', '1', id)
    expect((await result).result).toBe('quietly')
  })
})

describe('jobs are listed', () => {
  test('by state, in pages and in both orders', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await bench.add('mail', { name })
    await bench.add('mail', { name: 'later', opts: { delay: 60_000 } })
    await bench.add('mail', { name: 'urgent', opts: { priority: 1 } })
    const names = async (query: string): Promise<unknown> => {
      const { body } = await bench.ask(`/mail/jobs?${query}`)
      return (body.jobs as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`)
    }
    expect(await names('limit=2')).toEqual(['a waiting', 'b waiting'])
    expect(await names('limit=2&offset=2')).toEqual(['c waiting', 'd waiting'])
    expect(await names('limit=2&order=desc')).toEqual(['d waiting', 'c waiting'])
    expect(await names('state=delayed&state=prioritized')).toEqual(['later delayed', 'urgent prioritized'])
    expect(await names('state=failed')).toEqual([])
    expect((await bench.ask('/mail/jobs?state=waiting&state=delayed')).body.counts).toEqual({ waiting: 4, delayed: 1 })
    expect((await bench.ask('/mail/jobs?state=finished')).status).toBe(400)
    expect((await bench.ask('/mail/jobs?limit=1001')).status).toBe(400)
  })

  test('counts are those of all states', async () => {
    await bench.add('mail', { name: 'a' })
    expect((await bench.ask('/mail')).body).toEqual({
      queue: 'mail',
      isPaused: false,
      counts: {
        waiting: 1,
        active: 0,
        completed: 0,
        failed: 0,
        delayed: 0,
        prioritized: 0,
        'waiting-children': 0,
      },
    })
  })
})

describe('a job', () => {
  test('that failed is retried', async () => {
    let isWell = false
    bench.worker('mail', async () => {
      if (!isWell) throw new Error('ill')
      return 'well'
    })
    const id = await bench.add('mail', { name: 'n' })
    expect((await bench.result('mail', id)).failedReason).toBe('ill')
    isWell = true
    expect((await bench.ask(`/mail/jobs/${id}/retry`, { json: { resetAttempts: true } })).status).toBe(204)
    expect((await bench.result('mail', id)).result).toBe('well')
    const again = await bench.ask(`/mail/jobs/${id}/retry`, { method: 'POST' })
    expect(again.status).toBe(409)
    expect(again.body.detail).toBe(`Job ${id} is not in the failed state`)
  })

  test('that is delayed is put off, promoted, and removed', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { delay: 60_000 } })
    expect((await bench.ask(`/mail/jobs/${id}/delay`, { method: 'PUT', json: { delay: 90_000 } })).status).toBe(204)
    expect((await bench.ask(`/mail/jobs/${id}`)).body.delay).toBe(90_000)
    expect((await bench.ask(`/mail/jobs/${id}/promote`, { method: 'POST' })).status).toBe(204)
    expect(await bench.state('mail', id)).toBe('waiting')
    expect((await bench.ask(`/mail/jobs/${id}/delay`, { method: 'PUT', json: { delay: 1 } })).status).toBe(409)
    expect((await bench.ask(`/mail/jobs/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await bench.ask(`/mail/jobs/${id}`, { method: 'DELETE' })).status).toBe(404)
  })

  test('has its priority, data and progress changed', async () => {
    const id = await bench.add('mail', { name: 'n', data: { a: 1 } })
    const put = (what: string, json: object) => bench.ask(`/mail/jobs/${id}/${what}`, { method: 'PUT', json })
    expect((await put('priority', { priority: 3 })).status).toBe(204)
    expect((await put('data', { data: { b: [2] } })).status).toBe(204)
    expect((await put('progress', { progress: { percent: 40 } })).status).toBe(204)
    expect((await bench.ask(`/mail/jobs/${id}`)).body).toMatchObject({
      state: 'prioritized',
      priority: 3,
      data: { b: [2] },
      progress: { percent: 40 },
    })
    expect((await bench.ask(`/mail/jobs/${id}/progress`)).body).toEqual({ progress: { percent: 40 } })
    expect((await put('priority', { priority: 2_097_152 })).status).toBe(400)
    expect((await put('data', {})).status).toBe(400)
  })

  test('has a log, which is cut and cleared', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { keepLogs: 3 } })
    for (const line of ['a', 'b', 'c', 'd']) {
      expect((await bench.ask(`/mail/jobs/${id}/logs`, { json: { line } })).status).toBe(201)
    }
    const logs = async (query = '') => (await bench.ask(`/mail/jobs/${id}/logs${query}`)).body
    expect(await logs()).toEqual({ logs: ['b', 'c', 'd'], count: 3 })
    expect(await logs('?offset=1&limit=1')).toEqual({ logs: ['c'], count: 3 })
    expect(await logs('?order=desc&limit=2')).toEqual({ logs: ['d', 'c'], count: 3 })
    expect((await bench.ask(`/mail/jobs/${id}/logs?keep=1`, { method: 'DELETE' })).status).toBe(204)
    expect(await logs()).toEqual({ logs: ['d'], count: 1 })
    expect((await bench.ask(`/mail/jobs/${id}/logs`, { method: 'DELETE' })).status).toBe(204)
    expect(await logs()).toEqual({ logs: [], count: 0 })
    expect((await bench.ask('/mail/jobs/none/logs')).status).toBe(404)
  })
})

describe('a queue', () => {
  test('is paused and resumed, over HTTP and for workers', async () => {
    expect((await bench.ask('/mail/pause', { method: 'POST' })).status).toBe(204)
    const worker = bench.worker('mail', async () => 'ok')
    await worker.waitUntilReady()
    const id = await bench.add('mail', { name: 'n' })
    expect((await bench.ask('/mail')).body.isPaused).toBe(true)
    expect((await bench.ask(`/mail/jobs/${id}/result?blockMs=50`)).body.isFinished).toBe(false)
    expect((await bench.ask('/mail/resume', { method: 'POST' })).status).toBe(204)
    expect((await bench.result('mail', id)).result).toBe('ok')
  })

  test('is drained, of delayed jobs too when asked to', async () => {
    await bench.add('mail', { name: 'a' })
    await bench.add('mail', { name: 'b', opts: { delay: 60_000 } })
    expect((await bench.ask('/mail/drain', { method: 'POST' })).status).toBe(204)
    expect((await bench.ask('/mail')).body.counts).toMatchObject({ waiting: 0, delayed: 1 })
    expect((await bench.ask('/mail/drain', { json: { delayed: true } })).status).toBe(204)
    expect((await bench.ask('/mail')).body.counts).toMatchObject({ delayed: 0 })
  })

  test('is cleaned of jobs of a state, up to a limit', async () => {
    for (const jobId of ['a', 'b', 'c']) await bench.add('mail', { name: 'n', opts: { jobId } })
    const clean = (json: object) => bench.ask('/mail/clean', { json })
    expect((await clean({ state: 'waiting', graceMs: 60_000 })).body).toEqual({ removed: [] })
    expect((await clean({ state: 'waiting', limit: 2 })).body.removed).toHaveLength(2)
    expect((await clean({ state: 'waiting' })).body.removed).toHaveLength(1)
    expect((await clean({ state: 'waiting-children' })).status).toBe(400)
  })

  test('retries and promotes all its jobs', async () => {
    const worker = bench.worker('mail', async (job) => {
      if (job.attemptsMade === 0) throw new Error('first')
      return 'second'
    })
    const ids = await Promise.all([1, 2, 3].map(() => bench.add('mail', { name: 'n' })))
    for (const id of ids) await bench.result('mail', id)
    expect((await bench.ask('/mail/retry', { method: 'POST' })).status).toBe(204)
    for (const id of ids) expect((await bench.result('mail', id)).result).toBe('second')
    await worker.close()
    await bench.add('mail', { name: 'n', opts: { delay: 60_000 } })
    expect((await bench.ask('/mail/promote', { method: 'POST' })).status).toBe(204)
    expect((await bench.ask('/mail')).body.counts).toMatchObject({ waiting: 1, delayed: 0 })
  })

  test('is obliterated with its active jobs by force only, and goes on when it is not', async () => {
    await bench.add('mail', { name: 'n' })
    await bench.ask('/mail/fetch', { json: {} })
    const refused = await bench.ask('/mail', { method: 'DELETE' })
    expect(refused.status).toBe(409)
    expect(refused.body.detail).toBe('Cannot obliterate queue with active jobs')
    expect((await bench.ask('/mail')).body.isPaused).toBe(false)
    expect((await bench.ask('/mail?force=true', { method: 'DELETE' })).status).toBe(204)
    expect(await bench.gateway.call('KEYS', 'bull:mail:*')).toEqual([])
  })

  test('has limits for all workers together', async () => {
    const none = { concurrency: null, rateLimit: null, isMaxed: false, limitedMs: 0 }
    expect((await bench.ask('/mail/limits')).body).toEqual(none)
    const patch = (json: object) => bench.ask('/mail/limits', { method: 'PATCH', json })
    const set = await patch({ concurrency: 1, rateLimit: { max: 5, durationMs: 1000 } })
    expect(set.body).toEqual({ ...none, concurrency: 1, rateLimit: { max: 5, durationMs: 1000 } })
    await bench.add('mail', { name: 'a' })
    await bench.add('mail', { name: 'b' })
    expect((await bench.ask('/mail/fetch', { json: {} })).status).toBe(200)
    expect((await bench.ask('/mail/fetch', { json: {} })).status).toBe(204)
    expect((await bench.ask('/mail/limits')).body.isMaxed).toBe(true)
    expect((await patch({ concurrency: null, rateLimit: null })).body).toEqual(none)
    expect((await patch({ concurrency: 0 })).status).toBe(400)
  })

  test('tells its workers and what they have done', async () => {
    const worker = bench.worker('mail', async () => 'ok', { name: 'w1', metrics: { maxDataPoints: 10 } })
    await worker.waitUntilReady()
    const { body } = await bench.ask('/mail/workers')
    expect(body.workers).toEqual([
      {
        id: expect.any(String),
        name: 'w1',
        address: expect.stringContaining('127.0.0.1'),
        ageSeconds: expect.any(Number),
        idleSeconds: expect.any(Number),
      },
    ])
    const id = await bench.add('mail', { name: 'n' })
    await bench.result('mail', id)
    expect((await bench.ask('/mail/metrics')).body.total).toBe(1)
    expect((await bench.ask('/mail/metrics?state=failed')).body).toEqual({ total: 0, perMinute: [] })
  })

  test('is in the list once it has a job, and nothing but queues is', async () => {
    expect((await bench.ask('')).body).toEqual({ queues: [], isTruncated: false })
    await bench.add('mail', { name: 'n' })
    await bench.add('a*b', { name: 'n' })
    await bench.queue('theirs').add('n', {})
    await bench.gateway.call('SET', 'bull:x:y:meta', '1')
    await bench.ask('/other/jobs?prefix=apps:one', { json: { name: 'n' } })
    expect((await bench.ask('')).body.queues).toEqual(['a*b', 'mail', 'theirs'])
    expect((await bench.ask('?prefix=apps:one')).body.queues).toEqual(['other'])
    // Reading does not make a queue.
    await bench.ask('/unknown')
    expect((await bench.ask('')).body.queues).toHaveLength(3)
  })
})

describe('schedulers', () => {
  const put = (id: string, json: object) => bench.ask(`/mail/schedulers/${id}`, { method: 'PUT', json })

  test('make a job again and again', async () => {
    const processed: unknown[] = []
    const worker = bench.worker('mail', async (job) => processed.push(job.data))
    const { status, body } = await put('tick', {
      every: 30,
      limit: 3,
      name: 'tick',
      data: { n: 1 },
      opts: { attempts: 2 },
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ name: 'tick', schedulerId: 'tick', data: { n: 1 } })
    while (processed.length < 3) await once(worker, 'completed')
    expect(processed).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }])
  })

  test('are made of cron patterns, listed, replaced and removed', async () => {
    expect((await put('nightly', { pattern: '0 3 * * *', tz: 'Europe/Berlin', data: { a: 1 } })).status).toBe(200)
    expect((await put('hourly', { every: 3_600_000 })).status).toBe(200)
    const { body } = await bench.ask('/mail/schedulers')
    expect(body.count).toBe(2)
    expect((body.schedulers as { id: string }[]).map(({ id }) => id).sort()).toEqual(['hourly', 'nightly'])
    expect((await put('nightly', { pattern: '0 4 * * *' })).status).toBe(200)
    expect((await bench.ask('/mail/schedulers/nightly')).body).toMatchObject({
      id: 'nightly',
      name: 'nightly',
      pattern: '0 4 * * *',
      every: null,
      tz: null,
      next: expect.any(Number),
    })
    expect((await bench.ask('/mail/schedulers/nightly', { method: 'DELETE' })).status).toBe(204)
    expect((await bench.ask('/mail/schedulers/nightly', { method: 'DELETE' })).status).toBe(404)
    expect((await bench.ask('/mail/schedulers/nightly')).status).toBe(404)
  })

  test.each([
    ['neither interval nor pattern', {}],
    ['both', { every: 1000, pattern: '* * * * *' }],
    ['a pattern that is none', { pattern: 'now and then' }],
    ['a time zone that is none', { pattern: '* * * * *', tz: 'Mars/Olympus' }],
    ['an end that is over', { every: 1000, endDate: 1000 }],
    ['a delay, which is the scheduler\u2019s affair', { every: 1000, opts: { delay: 5 } }],
    ['an interval of nothing', { every: 0 }],
  ])('are refused with %s', async (_what, json) => {
    expect((await put('s', json)).status).toBe(400)
    expect((await bench.ask('/mail/schedulers')).body.count).toBe(0)
  })
})

describe('flows', () => {
  test('run a parent after its children, over several queues', async () => {
    bench.worker('parts', async (job) => `${job.data.part} ready`)
    const seen: unknown[] = []
    bench.worker('whole', async (job) => {
      seen.push(Object.values(await job.getChildrenValues()).sort())
      return 'whole'
    })
    const { status, body } = await bench.ask('/whole/flows', {
      json: {
        name: 'assemble',
        children: [
          { queue: 'parts', name: 'part', data: { part: 'left' } },
          {
            queue: 'parts',
            name: 'part',
            data: { part: 'right' },
            children: [{ queue: 'parts', name: 'part', data: { part: 'screw' } }],
          },
        ],
      },
    })
    expect(status).toBe(201)
    const jobs = body.jobs as { id: string; queue: string }[]
    expect(jobs.map(({ queue }) => queue)).toEqual(['whole', 'parts', 'parts', 'parts'])
    const id = jobs[0]!.id
    expect((await bench.result('whole', id)).result).toBe('whole')
    expect(seen).toEqual([['left ready', 'right ready']])
    expect((await bench.ask(`/whole/jobs/${id}/children`)).body).toEqual({
      results: { [`bull:parts:${jobs[1]!.id}`]: 'left ready', [`bull:parts:${jobs[2]!.id}`]: 'right ready' },
      ignored: {},
      failed: [],
      open: [],
      isTruncated: false,
    })
    const { body: tree } = await bench.ask(`/whole/jobs/${id}/flow`)
    expect(tree).toMatchObject({
      isTruncated: false,
      root: { id, queue: 'whole', state: 'completed', children: [{ queue: 'parts' }, { queue: 'parts' }] },
    })
    expect(JSON.stringify(tree)).toContain('screw')
    expect((await bench.ask(`/whole/jobs/${id}/flow?limit=2`)).body.isTruncated).toBe(true)
    expect((await bench.ask(`/whole/jobs/${id}/flow?depth=2`)).body.isTruncated).toBe(true)
    expect((await bench.ask('/whole/jobs/none/flow')).status).toBe(404)
  })

  test('grow by jobs that name a parent', async () => {
    const { body } = await bench.ask('/whole/flows', { json: { name: 'p', children: [{ queue: 'parts', name: 'c' }] } })
    const id = (body.jobs as { id: string }[])[0]!.id
    await bench.add('more', { name: 'late', opts: { parent: { id, queue: 'whole' } } })
    expect((await bench.ask(`/whole/jobs/${id}/children`)).body.open).toHaveLength(2)
  })

  const nested = (depth: number): object => {
    let node: object = { queue: 'q', name: 'n' }
    for (let i = 1; i < depth; i++) node = { queue: 'q', name: 'n', children: [node] }
    return node
  }

  test.each([
    ['a child without a queue', { name: 'n', children: [{ name: 'c' }] }],
    [
      'a grandchild with unknown members',
      { name: 'n', children: [{ queue: 'q', name: 'c', children: [{ queue: 'q', name: 'g', x: 1 }] }] },
    ],
    [
      'a child that names a parent',
      { name: 'n', children: [{ queue: 'q', name: 'c', opts: { parent: { id: '1', queue: 'q' } } }] },
    ],
    ['a child that is null', { name: 'n', children: [{ queue: 'q', name: 'c', children: [null] }] }],
    [
      'deduplication of a parent',
      { name: 'n', opts: { deduplication: { id: 'x' } }, children: [{ queue: 'q', name: 'c' }] },
    ],
    ['too many levels', { name: 'n', children: [nested(20)] }],
    ['levels without end', { name: 'n', children: [nested(3000)] }],
    [
      'too many jobs',
      {
        name: 'n',
        children: [1, 2].map(() => ({ queue: 'q', name: 'c', children: Array(600).fill({ queue: 'q', name: 'g' }) })),
      },
    ],
  ])('are refused with %s', async (_what, json) => {
    const { status, body } = await bench.ask('/whole/flows', { json })
    expect({ status, body }).toMatchObject({ status: 400 })
    expect(await bench.gateway.call('KEYS', '*')).toEqual([])
  })

  test('of all levels that are allowed are added', async () => {
    expect((await bench.ask('/whole/flows', { json: { name: 'n', children: [nested(19)] } })).status).toBe(201)
  })
})

describe('bad input is refused, and nothing is added', () => {
  test.each([
    ['no name', {}],
    ['unknown members', { name: 'n', when: 1 }],
    ['unknown options', { name: 'n', opts: { repeat: { every: 1 } } }],
    ['an integer as ID', { name: 'n', opts: { jobId: '7' } }],
    ['an ID with a colon', { name: 'n', opts: { jobId: 'a:b' } }],
    ['an ID that is a key of the queue', { name: 'n', opts: { jobId: 'meta' } }],
    ['a delay of the past', { name: 'n', opts: { delay: -1 } }],
    ['a delay as text', { name: 'n', opts: { delay: '5' } }],
    ['a priority that is not whole', { name: 'n', opts: { priority: 1.5 } }],
    ['a backoff that nobody knows', { name: 'n', opts: { backoff: { type: 'mine' } } }],
    [
      'rules that exclude each other',
      { name: 'n', opts: { failParentOnFailure: true, ignoreDependencyOnFailure: true } },
    ],
    [
      'a parent and deduplication',
      { name: 'n', opts: { parent: { id: 'p', queue: 'q' }, deduplication: { id: 'd' } } },
    ],
  ])('%s', async (_what, json) => {
    expect((await bench.ask('/mail/jobs', { json })).status).toBe(400)
    expect(await bench.gateway.call('KEYS', '*')).toEqual([])
  })

  test('data that are larger than the limit of the job, or nested too deep', async () => {
    const big = await bench.ask('/mail/jobs', { json: { name: 'n', data: 'x'.repeat(100), opts: { sizeLimit: 50 } } })
    expect(big.status).toBe(413)
    const deep = `{"name":"n","data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const headers = { 'content-type': 'application/json' }
    expect((await bench.ask('/mail/jobs', { method: 'POST', headers, body: deep })).status).toBe(400)
    expect(await bench.gateway.call('KEYS', '*')).toEqual([])
  })

  test('names that BullMQ does not allow, and keys that are no jobs', async () => {
    expect((await bench.ask('/a:b')).status).toBe(400)
    expect((await bench.ask('/a%00b')).status).toBe(400)
    expect((await bench.ask(`/${'a'.repeat(257)}`)).status).toBe(400)
    expect((await bench.ask('/mail?prefix=a:')).status).toBe(400)
    expect((await bench.ask('/mail?x=1')).status).toBe(400)
    await bench.add('mail', { name: 'n' })
    for (const id of ['meta', 'wait', 'events', '1:logs', 'repeat:x']) {
      expect((await bench.ask(`/mail/jobs/${id}`)).status).toBe(404)
      expect((await bench.ask(`/mail/jobs/${id}`, { method: 'DELETE' })).status).toBe(404)
      expect((await bench.ask(`/mail/jobs/${id}/data`, { method: 'PUT', json: { data: 1 } })).status).toBe(404)
    }
    expect((await bench.ask('/mail')).body.counts).toMatchObject({ waiting: 1 })
  })

  test('data of others that are no jobs, or of the wrong type', async () => {
    await bench.gateway.call('HSET', 'bull:mail:broken', 'name', 'n', 'data', '{')
    expect((await bench.ask('/mail/jobs/broken')).status).toBe(409)
    await bench.gateway.call('SET', 'bull:mail:text', 'x')
    expect(await bench.ask('/mail/jobs/text')).toMatchObject({ status: 409, body: { code: 'WRONGTYPE' } })
    await bench.gateway.call('SET', 'bull:mail:wait', 'x')
    expect((await bench.ask('/mail/jobs', { json: { name: 'n' } })).status).toBe(409)
  })
})
