/** Working over HTTP, beside BullMQ programs that know nothing of it. */
import { QueueEvents } from 'bullmq'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { QueueBench } from './queue-bench.ts'

let bench: QueueBench

beforeAll(async () => {
  bench = await QueueBench.start()
})

afterEach(() => bench.clear())

afterAll(() => bench.close())

interface Taken {
  readonly lockToken: string
  readonly lockedUntil: number
  readonly job: Readonly<Record<string, unknown>> & { readonly id: string }
}

async function fetchJob(options: object = {}): Promise<Taken> {
  const { status, body } = await bench.ask('/mail/fetch', { json: options })
  expect({ status, body }).toMatchObject({ status: 200 })
  return body as unknown as Taken
}

async function statusOf(what: string, { job, lockToken }: Taken, more: object = {}): Promise<number> {
  const { status } = await bench.ask(`/mail/jobs/${job.id}/${what}`, { json: { lockToken, ...more } })
  return status
}

/** As if the time of a lock had passed, and that after which stalled jobs are looked for, twice. */
async function loseLock(id: string): Promise<void> {
  await bench.gateway.call('DEL', `bull:mail:${id}:lock`, 'bull:mail:stalled-check')
  expect((await bench.ask('/mail/fetch', { json: {} })).status).toBe(204)
  await bench.gateway.call('DEL', 'bull:mail:stalled-check')
}

describe('a job that is fetched', () => {
  test('is completed with a result, which its producer waits for', async () => {
    const queue = bench.queue('mail')
    const events = new QueueEvents('mail', { connection: bench.connection })
    await events.waitUntilReady()
    const job = await queue.add('welcome', { to: 'ada' })
    const result = job.waitUntilFinished(events)
    const taken = await fetchJob({ workerName: 'lambda' })
    expect(taken.job).toMatchObject({
      id: job.id,
      name: 'welcome',
      data: { to: 'ada' },
      state: 'active',
      attemptsStarted: 1,
    })
    expect(taken.lockedUntil).toBeGreaterThan(Date.now())
    expect((await bench.ask(`/mail/jobs/${job.id}`)).body).toMatchObject({ state: 'active', processedBy: 'lambda' })
    expect(await statusOf('complete', taken, { result: { ok: [1] } })).toBe(204)
    expect(await result).toEqual({ ok: [1] })
    // It is not ours any more.
    expect(await statusOf('complete', taken)).toBe(409)
    await events.close()
  })

  test('is tried again when it fails, until its attempts are over', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { attempts: 2 } })
    expect(await statusOf('fail', await fetchJob(), { reason: 'one', stack: 'at lambda' })).toBe(204)
    expect(await bench.state('mail', id)).toBe('waiting')
    expect(await statusOf('fail', await fetchJob(), { reason: 'two' })).toBe(204)
    expect((await bench.ask(`/mail/jobs/${id}`)).body).toMatchObject({
      state: 'failed',
      failedReason: 'two',
      stacktrace: ['at lambda', 'Error: two'],
      attemptsMade: 2,
    })
  })

  test('is not tried again when its failure is final', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { attempts: 5 } })
    expect(await statusOf('fail', await fetchJob(), { reason: 'no', isFinal: true })).toBe(204)
    expect(await bench.state('mail', id)).toBe('failed')
  })

  test('is delayed by its backoff', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { attempts: 2, backoff: 200 } })
    expect(await statusOf('fail', await fetchJob(), { reason: 'one' })).toBe(204)
    expect(await bench.state('mail', id)).toBe('delayed')
    // And comes back to who waits for it.
    expect((await fetchJob({ blockMs: 10_000 })).job.id).toBe(id)
  })

  test('cannot be finished by who does not hold its lock', async () => {
    await bench.add('mail', { name: 'n' })
    const taken = await fetchJob()
    const stranger = { ...taken, lockToken: 'mine' }
    for (const what of ['complete', 'extend-lock', 'release']) expect(await statusOf(what, stranger)).toBe(409)
    expect(await statusOf('fail', stranger, { reason: 'r' })).toBe(409)
    expect(await bench.state('mail', taken.job.id)).toBe('active')
    expect((await bench.ask(`/mail/jobs/${taken.job.id}`, { method: 'DELETE' })).status).toBe(409)
  })

  test('has its lock for the time that was asked, and extended', async () => {
    await bench.add('mail', { name: 'n' })
    const taken = await fetchJob({ lockMs: 100_000 })
    const ttl = async () => Number(await bench.gateway.call('PTTL', `bull:mail:${taken.job.id}:lock`))
    expect(await ttl()).toBeGreaterThan(90_000)
    expect(await statusOf('extend-lock', taken, { lockMs: 500_000 })).toBe(200)
    expect(await ttl()).toBeGreaterThan(490_000)
  })

  test('waits again, or is delayed, when it is given back', async () => {
    await bench.add('mail', { name: 'n' })
    expect(await statusOf('release', await fetchJob())).toBe(204)
    const again = await fetchJob()
    expect(await statusOf('release', again, { delayMs: 60_000 })).toBe(204)
    expect((await bench.ask(`/mail/jobs/${again.job.id}`)).body).toMatchObject({ state: 'delayed', attemptsMade: 0 })
  })

  test('is given to somebody else when its lock is over', async () => {
    await bench.add('mail', { name: 'n' })
    const lost = await fetchJob()
    await loseLock(lost.job.id)
    const again = await fetchJob()
    expect(again.job).toMatchObject({ id: lost.job.id, stalledCounter: 1 })
    expect(await statusOf('complete', lost)).toBe(409)
    // Once more is once too often: it fails.
    await loseLock(lost.job.id)
    expect((await bench.ask('/mail/fetch', { json: {} })).status).toBe(204)
    expect((await bench.ask(`/mail/jobs/${lost.job.id}`)).body).toMatchObject({
      state: 'failed',
      failedReason: 'job stalled more than allowable limit',
    })
  })

  test('of a scheduler makes the next one', async () => {
    await bench.ask('/mail/schedulers/tick', { method: 'PUT', json: { every: 50, data: { n: 1 } } })
    for (let i = 0; i < 3; i++) {
      const taken = await fetchJob({ blockMs: 10_000 })
      expect(taken.job).toMatchObject({ name: 'tick', data: { n: 1 }, schedulerId: 'tick' })
      expect(await statusOf('complete', taken)).toBe(204)
    }
  })

  test('completes its parent, which finds its result', async () => {
    const { body } = await bench.ask('/mail/flows', { json: { name: 'p', children: [{ queue: 'mail', name: 'c' }] } })
    const [parent, child] = body.jobs as { id: string }[]
    const taken = await fetchJob()
    expect(taken.job.id).toBe(child!.id)
    expect((await bench.ask('/mail/fetch', { json: {} })).status).toBe(204)
    expect(await statusOf('complete', taken, { result: 42 })).toBe(204)
    const next = await fetchJob()
    expect(next.job.id).toBe(parent!.id)
    const children = await bench.ask(`/mail/jobs/${parent!.id}/children`)
    expect(children.body.results).toEqual({ [`bull:mail:${child!.id}`]: 42 })
    expect(await statusOf('complete', next)).toBe(204)
  })
})

describe('who waits for a job', () => {
  test('has it as soon as it is added', async () => {
    const taken = fetchJob({ blockMs: 20_000 })
    await bench.blocked('bzpopmin')
    const { id } = await bench.queue('mail').add('n', {})
    expect((await taken).job.id).toBe(id)
  })

  test('has a delayed job when it is due', async () => {
    const id = await bench.add('mail', { name: 'n', opts: { delay: 150 } })
    const from = performance.now()
    expect((await fetchJob({ blockMs: 20_000 })).job.id).toBe(id)
    // Far less than a look at the queue now and then would take.
    expect(performance.now() - from).toBeLessThan(4000)
  })

  test('gets 204 when there was none in time', async () => {
    expect((await bench.ask('/mail/fetch', { method: 'POST' })).status).toBe(204)
    expect((await bench.ask('/mail/fetch', { json: { blockMs: 30 } })).status).toBe(204)
    await bench.add('mail', { name: 'n', opts: { delay: 60_000 } })
    expect((await bench.ask('/mail/fetch', { json: { blockMs: 30 } })).status).toBe(204)
    // The next one still learns when the delayed job is due.
    expect(await bench.gateway.call('ZCARD', 'bull:mail:marker')).toBe(1)
  })

  test('and hangs up takes no job away', async () => {
    const controller = new AbortController()
    const gone = bench.ask('/mail/fetch', { json: { blockMs: 60_000 }, signal: controller.signal })
    await bench.blocked('bzpopmin')
    controller.abort()
    await expect(gone).rejects.toThrow()
    await bench.unblocked('bzpopmin')
    const id = await bench.add('mail', { name: 'n' })
    expect(await bench.state('mail', id)).toBe('waiting')
    expect((await fetchJob()).job.id).toBe(id)
  })

  test('shares the jobs with BullMQ workers, each of which is processed once', async () => {
    const processed: string[] = []
    bench.worker('mail', async (job) => processed.push(String(job.id)))
    const jobs = Array.from({ length: 40 }, (_, i) => ({ name: 'n', data: i }))
    const { body } = await bench.ask('/mail/bulk', { json: { jobs } })
    const ids = (body.jobs as { id: string }[]).map(({ id }) => id)
    const work = async (): Promise<void> => {
      for (;;) {
        const { status, body: taken } = await bench.ask('/mail/fetch', { json: {} })
        if (status === 204) return
        processed.push((taken as unknown as Taken).job.id)
        expect(await statusOf('complete', taken as unknown as Taken)).toBe(204)
      }
    }
    await Promise.all([work(), work(), work()])
    for (const id of ids) expect((await bench.result('mail', id)).state).toBe('completed')
    expect(processed.sort()).toEqual([...ids].sort())
  })

  test.each([
    ['a wait that is too long', { blockMs: 60_001 }],
    ['a lock that is too short', { lockMs: 999 }],
    ['unknown members', { count: 3 }],
  ])('is refused with %s', async (_what, json) => {
    expect((await bench.ask('/mail/fetch', { json })).status).toBe(400)
  })
})
