/** The dashboard of queues: who may see and change what, and that it works in a real browser. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { QueueBench } from '../v1/queue-bench.ts'

const CHROMIUM = '/usr/bin/chromium'

let bench: QueueBench

beforeAll(async () => {
  bench = await QueueBench.start()
  bench.requirePassword('secret')
  bench.gateway.user('boss', ['on', '>boss', '+@all', '&*', '~*'])
  bench.gateway.user('reader', ['on', '>reader', '+@read', '~bull:*'])
  bench.gateway.user('tenant', ['on', '>tenant', '+@all', '~bull:*'])
  bench.gateway.user('stranger', ['on', '>stranger', '+@all', '~bull:mail:*'])
})

afterEach(() => bench.clear())

afterAll(() => bench.close())

interface Question {
  readonly user?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: object
}

function board(path: string, { user, method = 'GET', headers = {}, json }: Question = {}): Promise<Response> {
  const login = user === undefined ? {} : { authorization: `Basic ${btoa(`${user}:${user}`)}` }
  const options = json === undefined ? {} : { json }
  return bench.gateway.fetch(`/queues${path}`, { method, headers: { ...login, ...headers }, ...options })
}

const OWN = { 'sec-fetch-site': 'same-origin' }

async function names(user: string): Promise<unknown> {
  const { queues } = (await (await board('/api/queues', { user })).json()) as { queues: { name: string }[] }
  return queues.map(({ name }) => name)
}

describe('the board', () => {
  test('asks browsers to log in', async () => {
    for (const path of ['', '/', '/api/queues', '/static/images/logo.svg', '/queue/mail']) {
      const response = await board(path)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm=/)
    }
  })

  test('is for users who may read all queues', async () => {
    expect((await board('', { user: 'stranger' })).status).toBe(403)
    expect((await board('/api/queues', { user: 'stranger' })).status).toBe(403)
    for (const user of ['boss', 'reader']) {
      const page = await board('', { user })
      expect(page.status).toBe(200)
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(await page.text()).toContain('<base href="/queues/"')
      expect((await board('/static/images/logo.svg', { user })).status).toBe(200)
      expect((await board('/queue/mail', { user })).status).toBe(200)
    }
  })

  test('tells of the server only whom the ACL allows to ask it', async () => {
    await bench.add('mail', { name: 'n' })
    expect((await board('/api/redis/stats', { user: 'boss' })).status).toBe(200)
    expect((await board('/api/redis/stats', { user: 'reader' })).status).toBe(403)
    expect((await board('/api/queues/mail/workers', { user: 'reader' })).status).toBe(403)
  })

  test('refuses parameters that cannot be decoded', async () => {
    await bench.add('mail', { name: 'n' })
    await names('boss')
    expect((await board('/api/queues?activeQueue=%25', { user: 'boss' })).status).toBe(400)
    expect(bench.gateway.log.warnings).toEqual([])
  })

  test('serves no files but its own', async () => {
    const response = await board('/static/%2e%2e/index.ejs', { user: 'boss' })
    expect([400, 403, 404]).toContain(response.status)
    expect((await board('/static/..%2f..%2fpackage.json', { user: 'boss' })).status).toBeGreaterThanOrEqual(400)
  })
})

describe('changes on the board', () => {
  test('are made by users who may change all queues', async () => {
    await bench.add('mail', { name: 'n', opts: { jobId: 'j', delay: 60_000 } })
    expect(await names('boss')).toContain('mail')
    const promote = { method: 'PUT', headers: OWN }
    expect((await board('/api/queues/mail/j/promote', { ...promote, user: 'reader' })).status).toBe(403)
    expect((await board('/api/queues/mail/pause', { ...promote, user: 'reader' })).status).toBe(403)
    expect((await board('/api/queues/pause', { ...promote, user: 'stranger' })).status).toBe(403)
    // Jobs name other jobs, by any key: who may not write those must not have the board do it.
    const job = { name: 'n', data: {}, options: { parent: { id: 'x', queue: 'secret' } } }
    const add = { method: 'POST', headers: OWN, user: 'tenant', json: job }
    expect((await board('/api/queues/mail/add', add)).status).toBe(403)
    expect((await board('/api/queues/mail/j/flow', { user: 'tenant' })).status).toBe(403)
    expect((await board('/api/queues/mail/j', { user: 'tenant' })).status).toBe(200)
    expect((await board('/api/queues/mail/j/promote', promote)).status).toBe(401)
    expect(await bench.state('mail', 'j')).toBe('delayed')
    expect((await board('/api/queues/mail/j/promote', { ...promote, user: 'boss' })).status).toBe(204)
    expect(await bench.state('mail', 'j')).toBe('waiting')
  })

  test('are not offered to who may not make them', async () => {
    await bench.add('mail', { name: 'n' })
    const flags = async (user: string): Promise<unknown> => {
      const { queues } = (await (await board('/api/queues', { user })).json()) as { queues: Record<string, unknown>[] }
      return queues.map(({ readOnlyMode, allowRetries }) => ({ readOnlyMode, allowRetries }))[0]
    }
    expect(await flags('boss')).toEqual({ readOnlyMode: false, allowRetries: true })
    expect(await flags('reader')).toEqual({ readOnlyMode: true, allowRetries: false })
  })

  test.each([
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a page of the same site on another port', { 'sec-fetch-site': 'same-site' }],
    ['a page of another origin, by an old browser', { origin: 'http://evil.example' }],
    ['a page without an origin', { origin: 'null' }],
    ['nobody knows who', {}],
  ])('are refused when asked for by %s', async (_who, headers) => {
    await bench.add('mail', { name: 'n' })
    const response = await board('/api/queues/mail/pause', { user: 'boss', method: 'PUT', headers })
    expect(response.status).toBe(403)
    expect((await bench.ask('/mail')).body.isPaused).toBe(false)
  })

  test('are accepted from the own origin, by an old browser', async () => {
    await bench.add('mail', { name: 'n' })
    const headers = { origin: bench.gateway.url }
    expect((await board('/api/queues/mail/pause', { user: 'boss', method: 'PUT', headers })).status).toBe(200)
    expect((await bench.ask('/mail')).body.isPaused).toBe(true)
  })

  test('that BullMQ refuses say why', async () => {
    await bench.add('mail', { name: 'n', opts: { jobId: 'j' } })
    await bench.ask('/mail/fetch', { json: {} })
    const response = await board('/api/queues/mail/j/clean', { user: 'boss', method: 'PUT', headers: OWN })
    expect(response.status).toBe(409)
    expect(await response.json()).toMatchObject({ error: { key: 'ERRORS.JOB_IS_ACTIVE' } })
  })
})

describe.skipIf(!existsSync(CHROMIUM))('in Chromium', () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
  }, 30_000)

  afterAll(() => browser.close())

  async function open(user: string, path: string): Promise<{ page: Page; foreign: string[] }> {
    const context = await browser.newContext({ httpCredentials: { username: user, password: user } })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(15_000)
    const foreign: string[] = []
    page.on('requestfinished', (request) => {
      if (!request.url().startsWith(bench.gateway.url) && !request.url().startsWith('data:'))
        foreign.push(request.url())
    })
    await page.goto(`${bench.gateway.url}/queues${path}`)
    return { page, foreign }
  }

  test('a failed job is shown with its reason, and a click retries it', { timeout: 60_000 }, async () => {
    let isWell = false
    bench.worker('mail', async () => {
      if (!isWell) throw new Error('the mail server does not answer')
      return 'sent'
    })
    const id = await bench.add('mail', { name: 'welcome' })
    expect((await bench.result('mail', id)).state).toBe('failed')
    const { page, foreign } = await open('boss', '/queue/mail?status=failed')
    await page.getByText('the mail server does not answer').first().waitFor()
    isWell = true
    // The buttons of a job have signs and no names; the first behind the job's name is this.
    await page.locator('//*[text()="welcome"]/following::button[1]').click()
    await page.getByText('Are you sure that you want to retry this job?').waitFor()
    await page.getByRole('button', { name: 'Confirm' }).click()
    await page.getByText('the mail server does not answer').first().waitFor({ state: 'detached' })
    expect(await bench.result('mail', id)).toMatchObject({ state: 'completed', result: 'sent' })

    // A queue that is new shows up on the page that is open.
    await bench.add('fresh', { name: 'n' })
    await page.getByRole('link', { name: 'fresh' }).first().waitFor()
    expect(foreign).toEqual([])
  })

  test('who may only read sees jobs, and no buttons to change them', { timeout: 60_000 }, async () => {
    const id = await bench.add('mail', { name: 'welcome' })
    const { lockToken } = (await bench.ask('/mail/fetch', { json: {} })).body
    await bench.ask(`/mail/jobs/${id}/fail`, { json: { lockToken, reason: 'no answer' } })
    const { page } = await open('reader', '/queue/mail?status=failed')
    await page.getByText('no answer').first().waitFor()
    expect(await page.getByText('Retry all').count()).toBe(0)
    const { page: other } = await open('boss', '/queue/mail?status=failed')
    await other.getByText('Retry all').first().waitFor()
  })
})
