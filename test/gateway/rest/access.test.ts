/** Who may do what through the REST door: nothing that the user's ACL forbids, on no route. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

afterAll(() => gateway.close())

beforeEach(async () => {
  await gateway.call('FLUSHALL')
  gateway.user('default', ['reset', 'on', 'nopass', '+@all', '~*', '&*'])
  gateway.user('ann', [
    'reset',
    'on',
    '>secret',
    '+@read',
    '+set',
    '+eval',
    '+subscribe',
    '+blpop',
    '+multi',
    '+exec',
    '~app:*',
    '&app:*',
  ])
})

async function ask(path: string, options: Parameters<TestGateway['fetch']>[1]): Promise<[number, unknown]> {
  const response = await gateway.fetch(path, options)
  return [response.status, await response.json()]
}

const NO_KEY = 'NOPERM this user has no permissions to access one of the keys used as arguments'

function noCommand(name: string): string {
  return `NOPERM this user has no permissions to run the '${name}' command`
}

describe('Credentials', () => {
  test('are a bearer token, a user’s password, the default user’s password, or the parameter _token', async () => {
    gateway.user('default', ['resetpass', '>root'])
    const token = gateway.tokenOf('ann')
    const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`
    const good = [
      gateway.fetch('/get/app:x', { token }),
      gateway.fetch('/get/app:x', { headers: { authorization: basic } }),
      gateway.fetch('/get/app:x', { token: 'root' }),
      gateway.fetch(`/get/app:x?_token=${token}`),
      gateway.fetch(`/get/app:x?_token=root`),
      gateway.fetch(`/pipeline?_token=${token}`, { json: [['get', 'app:x']] }),
      gateway.fetch(`/?_token=${token}`, { json: ['get', 'app:x'] }),
    ]
    for (const response of await Promise.all(good)) expect(response.status).toBe(200)
  })

  test('that are missing or wrong are 401 with an error in JSON, on each route', async () => {
    gateway.user('default', ['resetpass', '>root'])
    for (const token of ['', 'wrong', `mr_${'0'.repeat(16)}_${'a'.repeat(43)}`]) {
      const requests: [string, Parameters<TestGateway['fetch']>[1]][] = [
        ['/', { json: ['ping'] }],
        ['/ping', {}],
        ['/pipeline', { json: [['ping']] }],
        ['/multi-exec', { json: [['ping']] }],
        ['/subscribe/news', { method: 'POST' }],
        ['/monitor', { method: 'POST' }],
        ['/get/a', { method: 'DELETE' }],
      ]
      for (const [path, options] of requests) {
        expect(await ask(path, { ...options, ...(token === '' ? {} : { token }) })).toEqual([
          401,
          { error: expect.stringMatching(token === '' ? /^Unauthorized/ : /^WRONGPASS/) },
        ])
      }
    }
  })

  test('of a user that was deleted are good for nothing', async () => {
    const token = gateway.tokenOf('ann')
    gateway.engine.users.delete('ann')
    expect((await ask('/ping', { token }))[0]).toBe(401)
    expect((await ask('/pipeline', { token, json: [['ping']] }))[0]).toBe(401)
  })
})

describe('A restricted user', () => {
  test('cannot run what it may not, in any form of request', async () => {
    const token = gateway.tokenOf('ann')
    expect(await ask('/', { token, json: ['set', 'app:a', 1] })).toEqual([200, { result: 'OK' }])
    expect(await ask('/', { token, json: ['del', 'app:a'] })).toEqual([400, { error: noCommand('del') }])
    expect(await ask('/del/app:a', { token })).toEqual([400, { error: noCommand('del') }])
    expect(await ask('/get/other', { token })).toEqual([400, { error: NO_KEY }])
    expect(await ask('/set/other', { token, method: 'POST', body: 'x' })).toEqual([400, { error: NO_KEY }])
    expect(await ask('/blpop/other/0', { token })).toEqual([400, { error: NO_KEY }])
    const batch = [
      ['get', 'app:a'],
      ['del', 'app:a'],
      ['set', 'other', 1],
      ['blpop', 'other', 0],
    ]
    const refused = [{ error: noCommand('del') }, { error: NO_KEY }, { error: NO_KEY }]
    expect(await ask('/pipeline', { token, json: batch })).toEqual([200, [{ result: '1' }, ...refused]])
    expect(await ask('/pipeline', { token, json: batch.slice(0, 3) })).toEqual([
      200,
      [{ result: '1' }, ...refused.slice(0, 2)],
    ])
    expect(await ask('/multi-exec', { token, json: batch })).toEqual([400, { error: noCommand('del') }])
    const script = "return redis.pcall('set', 'other', '1')"
    expect(await ask('/', { token, json: ['eval', script, 0] })).toEqual([
      400,
      { error: expect.stringMatching(/The user executing the script can't access/) },
    ])
    expect(await gateway.call('EXISTS', 'other')).toBe(0)
    expect(await gateway.call('EXISTS', 'app:a')).toBe(1)
  })

  test('cannot run a transaction when it may not run MULTI and EXEC, and leaves nothing of it behind', async () => {
    const token = gateway.tokenOf('ann')
    for (const [rule, name] of [
      ['-exec', 'exec'],
      ['-multi', 'multi'],
    ] as const) {
      gateway.user('ann', [rule])
      expect(await ask('/multi-exec', { token, json: [['set', 'app:a', 1]] })).toEqual([
        400,
        { error: expect.stringContaining(noCommand(name)) },
      ])
      expect(await ask('/exists/app:a', { token })).toEqual([200, { result: 0 }])
    }
  })

  test('cannot subscribe to other channels, nor to patterns that are not its own, nor see what others do', async () => {
    const token = gateway.tokenOf('ann')
    const noChannel = 'NOPERM this user has no permissions to access one of the channels used as arguments'
    expect(await ask('/subscribe/news', { token, method: 'POST' })).toEqual([400, { error: noChannel }])
    expect(await ask('/subscribe/app:x/news', { token })).toEqual([400, { error: noChannel }])
    expect(await ask('/psubscribe/app:*', { token })).toEqual([400, { error: noCommand('psubscribe') }])
    expect(await ask('/monitor', { token })).toEqual([400, { error: noCommand('monitor') }])
    gateway.user('ann', ['+psubscribe', '+monitor'])
    expect(await ask('/psubscribe/*', { token })).toEqual([400, { error: noChannel }])
    expect(await ask('/psubscribe/app:?', { token })).toEqual([400, { error: noChannel }])
    expect(await ask('/publish/app:x/hello', { token })).toEqual([400, { error: noCommand('publish') }])
  })
})

describe('A token for reading', () => {
  test('reads, and nothing else', async () => {
    gateway.user('bob', ['on', '+@all', '~*', '&*'])
    const token = gateway.tokenOf('bob', 'read-only')
    await gateway.call('SET', 'a', '1')
    const refused = (name: string) => ({
      error: expect.stringMatching(new RegExp(`^NOPERM .*'${name}'`)),
    })
    expect(await ask('/get/a', { token })).toEqual([200, { result: '1' }])
    for (const path of [
      '/set/a/2',
      '/scan/0',
      '/keys/*',
      '/publish/news/x',
      '/eval/return+1/0',
      '/monitor',
      '/flushall',
    ]) {
      expect(await ask(path, { token })).toEqual([400, refused(path.split('/')[1]!)])
    }
    const batch = [
      ['get', 'a'],
      ['evalsha', 'x', 0],
      ['incr', 'a'],
    ]
    expect(await ask('/pipeline', { token, json: batch })).toEqual([
      200,
      [{ result: '1' }, refused('evalsha'), refused('incr')],
    ])
    expect(await ask('/multi-exec', { token, json: batch })).toEqual([400, refused('evalsha')])
    expect(await gateway.call('GET', 'a')).toBe('1')
  })
})
