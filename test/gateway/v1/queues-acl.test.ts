/** What the ACL says about queues: every route asks before BullMQ, which may do everything, does it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { QueueBench } from './queue-bench.ts'

interface Route {
  readonly path: string
  readonly json?: object
  /** Status with all rights. */
  readonly status: number
}

/** All routes, on a queue `mail` with a waiting job `w`, a delayed one `d`, and a scheduler `s`. */
const READING: Readonly<Record<string, Route>> = {
  getQueue: { path: 'GET /mail', status: 200 },
  getQueueLimits: { path: 'GET /mail/limits', status: 200 },
  getQueueMetrics: { path: 'GET /mail/metrics', status: 200 },
  listJobs: { path: 'GET /mail/jobs', status: 200 },
  getJob: { path: 'GET /mail/jobs/w', status: 200 },
  getJobProgress: { path: 'GET /mail/jobs/w/progress', status: 200 },
  getJobResult: { path: 'GET /mail/jobs/w/result?blockMs=1', status: 200 },
  getJobLogs: { path: 'GET /mail/jobs/w/logs', status: 200 },
  listSchedulers: { path: 'GET /mail/schedulers', status: 200 },
  getScheduler: { path: 'GET /mail/schedulers/s', status: 200 },
  getFlow: { path: 'GET /mail/jobs/w/flow', status: 200 },
  getChildren: { path: 'GET /mail/jobs/w/children', status: 200 },
}

/** Those that follow jobs wherever their data lead. */
const CHANGING_ALL: Readonly<Record<string, Route>> = {
  drainQueue: { path: 'POST /mail/drain', status: 204 },
  cleanQueue: { path: 'POST /mail/clean', json: { state: 'waiting' }, status: 200 },
  retryJobs: { path: 'POST /mail/retry', status: 204 },
  obliterateQueue: { path: 'DELETE /mail', status: 204 },
}

const lockToken = 'token'
const CHANGING: Readonly<Record<string, Route>> = {
  addJob: { path: 'POST /mail/jobs', json: { name: 'n' }, status: 201 },
  addJobs: { path: 'POST /mail/bulk', json: { jobs: [{ name: 'n' }] }, status: 201 },
  addFlow: { path: 'POST /mail/flows', json: { name: 'n', children: [{ queue: 'mail', name: 'c' }] }, status: 201 },
  pauseQueue: { path: 'POST /mail/pause', status: 204 },
  resumeQueue: { path: 'POST /mail/resume', status: 204 },
  promoteJobs: { path: 'POST /mail/promote', status: 204 },
  setQueueLimits: { path: 'PATCH /mail/limits', json: { concurrency: 5 }, status: 200 },
  retryJob: { path: 'POST /mail/jobs/w/retry', status: 409 },
  promoteJob: { path: 'POST /mail/jobs/d/promote', status: 204 },
  removeJob: { path: 'DELETE /mail/jobs/w', status: 204 },
  changeJobDelay: { path: 'PUT /mail/jobs/d/delay', json: { delay: 5000 }, status: 204 },
  changeJobPriority: { path: 'PUT /mail/jobs/w/priority', json: { priority: 2 }, status: 204 },
  updateJobData: { path: 'PUT /mail/jobs/w/data', json: { data: 1 }, status: 204 },
  setJobProgress: { path: 'PUT /mail/jobs/w/progress', json: { progress: 1 }, status: 204 },
  addJobLog: { path: 'POST /mail/jobs/w/logs', json: { line: 'l' }, status: 201 },
  clearJobLogs: { path: 'DELETE /mail/jobs/w/logs', status: 204 },
  putScheduler: { path: 'PUT /mail/schedulers/t', json: { every: 60_000 }, status: 200 },
  removeScheduler: { path: 'DELETE /mail/schedulers/s', status: 204 },
  fetchJob: { path: 'POST /mail/fetch', json: {}, status: 200 },
  completeJob: { path: 'POST /mail/jobs/w/complete', json: { lockToken }, status: 409 },
  failJob: { path: 'POST /mail/jobs/w/fail', json: { lockToken, reason: 'r' }, status: 409 },
  extendJobLock: { path: 'POST /mail/jobs/w/extend-lock', json: { lockToken }, status: 409 },
  releaseJob: { path: 'POST /mail/jobs/w/release', json: { lockToken }, status: 409 },
}

/** Those that need more than keys. */
const SPECIAL = ['listQueues', 'listWorkers']

const READ_ALL = Object.entries(READING)
const CHANGE_ALL = Object.entries({ ...CHANGING, ...CHANGING_ALL })

let bench: QueueBench

beforeAll(async () => {
  bench = await QueueBench.start()
  bench.gateway.user('stranger', ['on', '+@all', '&*', '~bull:other:*', '~cache:*'])
  bench.gateway.user('reader', ['on', '+@all', '&*', '%R~bull:mail:*'])
  bench.gateway.user('owner', ['on', '+@all', '&*', '~bull:mail:*'])
  bench.gateway.user('tenant', ['on', '+@all', '&*', '~bull:*'])
  bench.gateway.user('clerk', ['on', '+@read', '&*', '~bull:*'])
  bench.gateway.user('writer', ['on', '+@write', '&*', '~bull:*'])
  bench.gateway.user('boss', ['on', '+@all', '&*', '~*'])
})

afterAll(() => bench.close())

beforeEach(async () => {
  await bench.add('mail', { name: 'n', opts: { jobId: 'w' } })
  await bench.add('mail', { name: 'n', opts: { jobId: 'd', delay: 60_000 } })
  const scheduler = await bench.ask('/mail/schedulers/s', { method: 'PUT', json: { every: 60_000 } })
  expect(scheduler.status).toBe(200)
})

afterEach(() => bench.clear())

async function statusOf({ path, json }: Route, user: string, mode: 'full' | 'read-only' = 'full'): Promise<number> {
  const [method, url] = path.split(' ') as [string, string]
  const token = bench.gateway.tokenOf(user, mode)
  return (await bench.ask(url, { method, token, ...(json === undefined ? {} : { json }) })).status
}

function content(): Promise<unknown> {
  return bench.gateway.call('DEBUG', 'DIGEST')
}

test('every route of queues stands in these tables', async () => {
  const response = await bench.gateway.fetch('/v1/openapi.json')
  const { paths } = (await response.json()) as {
    paths: Record<string, Record<string, { operationId: string; tags?: string[] }>>
  }
  const operations = Object.values(paths).flatMap((path) => Object.values(path))
  const ofQueues = operations.filter(({ tags = [] }) => tags.includes('Queues')).map(({ operationId }) => operationId)
  expect(ofQueues.sort()).toEqual(
    [...READ_ALL, ...CHANGE_ALL]
      .map(([name]) => name)
      .concat(SPECIAL)
      .sort(),
  )
})

describe('a user with all rights', () => {
  test.each([...READ_ALL, ...CHANGE_ALL])('may %s', async (_name, route) => {
    expect(await statusOf(route, 'boss')).toBe(route.status)
  })
})

describe('a user with other keys', () => {
  test.each([...READ_ALL, ...CHANGE_ALL])('may not %s', async (_name, route) => {
    const before = await content()
    expect(await statusOf(route, 'stranger')).toBe(403)
    expect(await content()).toEqual(before)
  })
})

describe.each([
  ['a token for reading', 'boss', 'read-only'],
  ['a user who may only read the keys', 'reader', 'full'],
  ['a user who may only run commands that read', 'clerk', 'full'],
] as const)('%s', (_what, user, mode) => {
  test.each(READ_ALL)('may %s', async (_name, route) => {
    expect(await statusOf(route, user, mode)).toBe(200)
  })

  test.each(CHANGE_ALL)('may not %s', async (_name, route) => {
    const before = await content()
    expect(await statusOf(route, user, mode)).toBe(403)
    expect(await content()).toEqual(before)
  })
})

describe('a user who may only run commands that write', () => {
  test.each(READ_ALL)('may not %s', async (_name, route) => {
    expect(await statusOf(route, 'writer')).toBe(403)
  })
})

describe('a user with the keys of one queue', () => {
  test.each([...READ_ALL, ...Object.entries(CHANGING)])('may %s', async (_name, route) => {
    expect(await statusOf(route, 'owner')).toBe(route.status)
  })

  test.each(Object.entries(CHANGING_ALL))('may not %s, which follows flows into others', async (_name, route) => {
    expect(await statusOf(route, 'owner')).toBe(403)
    expect(await statusOf(route, 'tenant')).toBe(403)
  })

  test.each([
    ['another queue', 'bull:other:p', '{"id":"p","queueKey":"bull:other"}', 403],
    ['keys that are no queue', 'secret', '', 409],
    ['two parents', 'bull:mail:w', '{"id":"p","queueKey":"secret"}', 409],
    ['a parent that is no JSON', 'bull:mail:w', '{', 409],
    ['a parent that is null', 'bull:mail:w', 'null', 409],
    ['a parent without a key', '', '{"id":"p","queueKey":"secret"}', 409],
  ])('cannot reach %s by a job that it has forged', async (_what, parentKey, parent, status) => {
    const token = bench.gateway.tokenOf('owner')
    const taken = await bench.ask('/mail/fetch', { json: {}, token })
    const { id } = taken.body.job as { id: string }
    await bench.gateway.call('HSET', `bull:mail:${id}`, 'parentKey', parentKey, 'parent', parent)
    const before = await content()
    const json = { lockToken: taken.body.lockToken }
    expect((await bench.ask(`/mail/jobs/${id}/complete`, { json, token })).status).toBe(status)
    expect((await bench.ask(`/mail/jobs/${id}/fail`, { json: { ...json, reason: 'r' }, token })).status).toBe(status)
    expect((await bench.ask(`/mail/jobs/${id}`, { method: 'DELETE', token })).status).toBe(status)
    expect((await bench.ask(`/mail/jobs/${id}/retry`, { method: 'POST', token })).status).toBe(status)
    expect(await content()).toEqual(before)
    // It stalls too often and would fail: that is not this user's to do either.
    await bench.gateway.call('DEL', `bull:mail:${id}:lock`)
    await bench.gateway.call('HSET', `bull:mail:${id}`, 'defa', 'stalled')
    await bench.gateway.call('LREM', 'bull:mail:active', '0', id)
    await bench.gateway.call('RPUSH', 'bull:mail:wait', id)
    expect((await bench.ask('/mail/fetch', { json: {}, token })).status).toBe(status)
    expect(await bench.gateway.call('ZSCORE', 'bull:mail:failed', id)).toBe(null)
  })

  test('sees that queue in the list', async () => {
    await bench.add('other', { name: 'n' })
    const names = async (user: string) => (await bench.ask('', { token: bench.gateway.tokenOf(user) })).body.queues
    expect(await names('owner')).toEqual(['mail'])
    expect(await names('stranger')).toEqual(['other'])
    expect(await names('boss')).toEqual(['mail', 'other'])
    expect((await bench.ask('', { token: bench.gateway.tokenOf('writer') })).status).toBe(403)
  })

  test('reaches no other queue by a flow or a parent', async () => {
    const token = bench.gateway.tokenOf('owner')
    const before = await content()
    const refused: [string, object][] = [
      [
        '/mail/flows',
        { name: 'n', children: [{ queue: 'mail', name: 'c', children: [{ queue: 'other', name: 'g' }] }] },
      ],
      ['/mail/flows', { name: 'n', opts: { parent: { id: 'x', queue: 'other' } } }],
      ['/mail/jobs', { name: 'n', opts: { parent: { id: 'x', queue: 'other' } } }],
      ['/mail/bulk', { jobs: [{ name: 'a' }, { name: 'n', opts: { parent: { id: 'x', queue: 'other' } } }] }],
    ]
    for (const [path, json] of refused) expect((await bench.ask(path, { json, token })).status).toBe(403)
    expect(await content()).toEqual(before)
  })

  test('cannot reach other keys by the job that follows a duplicate', async () => {
    const token = bench.gateway.tokenOf('owner')
    const taken = await bench.ask('/mail/fetch', { json: {}, token })
    const { id } = taken.body.job as { id: string }
    const forged = ['name', 'n', 'data', '{}', 'opts', '{}', 'pk', 'secret', 'pdk', 'secret']
    await bench.gateway.call('HSET', 'bull:mail:dn:once', ...forged)
    await bench.gateway.call('HSET', `bull:mail:${id}`, 'deid', 'once')
    const json = { lockToken: taken.body.lockToken }
    expect((await bench.ask(`/mail/jobs/${id}/complete`, { json, token })).status).toBe(409)
    const job = { name: 'n', opts: { deduplication: { id: 'once' } } }
    expect((await bench.ask('/mail/jobs', { json: job, token })).status).toBe(409)
    expect((await bench.ask('/mail/bulk', { json: { jobs: [job] }, token })).status).toBe(409)
    const flow = { name: 'n', children: [{ queue: 'mail', ...job }] }
    expect((await bench.ask('/mail/flows', { json: flow, token })).status).toBe(409)
    expect(await bench.gateway.call('EXISTS', 'secret')).toBe(0)
  })

  test('cannot read or finish what belongs to a flow of others', async () => {
    const token = bench.gateway.tokenOf('owner')
    const { body } = await bench.ask('/other/flows', { json: { name: 'p', children: [{ queue: 'mail', name: 'c' }] } })
    const [parent, child] = body.jobs as { id: string }[]
    // The queue has jobs that wait besides.
    for (let i = 0; i < 2; i++) await bench.ask('/mail/fetch', { json: {} })
    const taken = await bench.ask('/mail/fetch', { json: {}, token })
    expect((taken.body.job as { id: string }).id).toBe(child!.id)
    const json = { lockToken: taken.body.lockToken }
    expect((await bench.ask(`/mail/jobs/${child!.id}/complete`, { json, token })).status).toBe(403)
    expect((await bench.ask(`/mail/jobs/${child!.id}/fail`, { json: { ...json, reason: 'r' }, token })).status).toBe(
      403,
    )
    expect((await bench.ask(`/mail/jobs/${child!.id}`, { method: 'DELETE', token })).status).toBe(403)
    expect(await bench.state('other', parent!.id)).toBe('waiting-children')
    expect((await bench.ask(`/mail/jobs/${child!.id}/complete`, { json })).status).toBe(204)
  })

  test('cannot remove a job with children elsewhere, or see them', async () => {
    const token = bench.gateway.tokenOf('owner')
    const { body } = await bench.ask('/mail/flows', { json: { name: 'p', children: [{ queue: 'other', name: 'c' }] } })
    const [parent, child] = body.jobs as { id: string }[]
    expect((await bench.ask(`/mail/jobs/${parent!.id}`, { method: 'DELETE', token })).status).toBe(403)
    expect((await bench.ask(`/mail/jobs/${parent!.id}/flow`, { token })).status).toBe(403)
    expect(await bench.state('other', child!.id)).toBe('waiting')
    expect((await bench.ask(`/mail/jobs/${parent!.id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await bench.ask(`/other/jobs/${child!.id}`)).status).toBe(404)
  })

  test('cannot name another prefix', async () => {
    const token = bench.gateway.tokenOf('owner')
    expect((await bench.ask('/mail?prefix=apps', { token })).status).toBe(403)
    expect((await bench.ask('/mail?prefix=bull:mail', { token })).status).toBe(200)
  })
})

test('the list of workers needs the permission for CLIENT LIST', async () => {
  expect((await bench.ask('/mail/workers', { token: bench.gateway.tokenOf('boss') })).status).toBe(200)
  for (const user of ['stranger', 'clerk', 'writer']) {
    expect((await bench.ask('/mail/workers', { token: bench.gateway.tokenOf(user) })).status).toBe(403)
  }
  expect((await bench.ask('/mail/workers', { token: bench.gateway.tokenOf('boss', 'read-only') })).status).toBe(403)
})
