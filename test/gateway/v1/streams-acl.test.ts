/** Every route of streams, groups and topics does what the user may, and nothing else. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'
import type { RequestOptions } from '../../support/gateway-under-test.ts'

interface Route {
  readonly operation: string
  readonly method: string
  /** Under the stream or channel, which stands for NAME. */
  readonly path: string
  readonly json?: unknown
  /** What the user must be allowed to do. */
  readonly rules: readonly string[]
}

const ENTRY = { fields: { a: '1' } }
const GROUPS = '/v1/streams/NAME/groups'

const ROUTES: readonly Route[] = [
  { operation: 'appendEntries', method: 'POST', path: '/v1/streams/NAME/entries', json: ENTRY, rules: ['+xadd'] },
  {
    operation: 'appendEntries',
    method: 'POST',
    path: '/v1/streams/NAME/entries',
    json: { entries: [ENTRY, ENTRY] },
    rules: ['+xadd'],
  },
  { operation: 'listEntries', method: 'GET', path: '/v1/streams/NAME/entries', rules: ['+xrange'] },
  { operation: 'listEntries', method: 'GET', path: '/v1/streams/NAME/entries?order=desc', rules: ['+xrevrange'] },
  { operation: 'getEntry', method: 'GET', path: '/v1/streams/NAME/entries/1-0', rules: ['+xrange'] },
  { operation: 'readEntries', method: 'GET', path: '/v1/streams/NAME/read?after=0', rules: ['+xread'] },
  { operation: 'readEntries', method: 'GET', path: '/v1/streams/NAME/read', rules: ['+xread', '+xrevrange'] },
  { operation: 'readEntries', method: 'GET', path: '/v1/streams/NAME/read?after=0&blockMs=5', rules: ['+xread'] },
  {
    operation: 'deleteEntries',
    method: 'POST',
    path: '/v1/streams/NAME/entries/delete',
    json: { ids: ['9-0'] },
    rules: ['+xdel'],
  },
  { operation: 'deleteEntry', method: 'DELETE', path: '/v1/streams/NAME/entries/9-0', rules: ['+xdel'] },
  { operation: 'getStream', method: 'GET', path: '/v1/streams/NAME', rules: ['+xinfo|stream'] },
  { operation: 'getStreamLength', method: 'GET', path: '/v1/streams/NAME/length', rules: ['+xlen'] },
  { operation: 'deleteStream', method: 'DELETE', path: '/v1/streams/NAME', rules: ['+del'] },
  { operation: 'trimStream', method: 'POST', path: '/v1/streams/NAME/trim', json: { maxLen: 9 }, rules: ['+xtrim'] },
  { operation: 'listGroups', method: 'GET', path: GROUPS, rules: ['+xinfo|groups'] },
  { operation: 'getGroup', method: 'GET', path: `${GROUPS}/g`, rules: ['+xinfo|groups'] },
  { operation: 'createGroup', method: 'POST', path: GROUPS, json: { name: 'new' }, rules: ['+xgroup|create'] },
  {
    operation: 'setGroupPosition',
    method: 'PUT',
    path: `${GROUPS}/g/position`,
    json: { id: '0' },
    rules: ['+xgroup|setid'],
  },
  { operation: 'deleteGroup', method: 'DELETE', path: `${GROUPS}/g`, rules: ['+xgroup|destroy'] },
  { operation: 'listConsumers', method: 'GET', path: `${GROUPS}/g/consumers`, rules: ['+xinfo|consumers'] },
  {
    operation: 'createConsumer',
    method: 'POST',
    path: `${GROUPS}/g/consumers`,
    json: { name: 'c' },
    rules: ['+xgroup|createconsumer'],
  },
  {
    operation: 'deleteConsumer',
    method: 'DELETE',
    path: `${GROUPS}/g/consumers/c`,
    rules: ['+xgroup|delconsumer'],
  },
  { operation: 'readGroup', method: 'POST', path: `${GROUPS}/g/read`, json: { consumer: 'c' }, rules: ['+xreadgroup'] },
  {
    operation: 'readGroup',
    method: 'POST',
    path: `${GROUPS}/g/read`,
    json: { consumer: 'c', pendingAfter: '0' },
    rules: ['+xreadgroup'],
  },
  {
    operation: 'readGroup',
    method: 'POST',
    path: `${GROUPS}/g/read`,
    json: { consumer: 'c', claimIdleMs: 5 },
    rules: ['+xautoclaim', '+xreadgroup'],
  },
  {
    operation: 'acknowledgeEntries',
    method: 'POST',
    path: `${GROUPS}/g/ack`,
    json: { ids: ['1-0'] },
    rules: ['+xack'],
  },
  {
    operation: 'giveBackEntries',
    method: 'POST',
    path: `${GROUPS}/g/nack`,
    json: { consumer: 'c', ids: ['1-0'] },
    rules: ['+xpending', '+xclaim'],
  },
  {
    operation: 'claimEntries',
    method: 'POST',
    path: `${GROUPS}/g/claim`,
    json: { consumer: 'c', ids: ['1-0'] },
    rules: ['+xclaim'],
  },
  {
    operation: 'autoclaimEntries',
    method: 'POST',
    path: `${GROUPS}/g/autoclaim`,
    json: { consumer: 'c', minIdleMs: 0 },
    rules: ['+xautoclaim'],
  },
  { operation: 'summarizePending', method: 'GET', path: `${GROUPS}/g/pending`, rules: ['+xpending'] },
  { operation: 'listPending', method: 'GET', path: `${GROUPS}/g/pending/entries`, rules: ['+xpending'] },
  { operation: 'publish', method: 'POST', path: '/v1/topics/NAME/messages', json: { data: 'x' }, rules: ['+publish'] },
  {
    operation: 'publish',
    method: 'POST',
    path: '/v1/topics/NAME/messages',
    json: { messages: [{ data: 'x' }] },
    rules: ['+publish'],
  },
  { operation: 'getTopic', method: 'GET', path: '/v1/topics/NAME', rules: ['+pubsub|numsub'] },
  { operation: 'listTopics', method: 'GET', path: '/v1/topics?channel=NAME', rules: ['+pubsub|numsub'] },
]

/** Routes that no key or channel of the user limits, as the command. */
const UNLIMITED: ReadonlySet<string> = new Set(['getTopic', 'listTopics'])
/** What a token for reading may do. */
const READ_ONLY_COMMANDS = ['+xrange', '+xrevrange', '+xread', '+xinfo', '+xlen', '+xpending', '+pubsub']

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

beforeEach(async () => {
  await gateway.call('FLUSHALL')
  for (const stream of ['mine', 'other']) {
    await gateway.call('XADD', stream, '1-0', 'a', '1')
    await gateway.call('XGROUP', 'CREATE', stream, 'g', '0')
  }
})

afterAll(() => gateway.close())

async function statusOf(route: Route, name: string, token: string | null): Promise<number> {
  const options: RequestOptions = {
    method: route.method,
    ...(route.json === undefined ? {} : { json: route.json }),
    ...(token === null ? {} : { token }),
  }
  const response = await gateway.fetch(route.path.replace('NAME', name), options)
  await response.arrayBuffer()
  return response.status
}

/** The number of changes that were made. */
async function changes(): Promise<string> {
  const info = String(await gateway.call('XINFO', 'STREAM', 'other', 'FULL'))
  return `${info} ${String(await gateway.call('EXISTS', 'other'))}`
}

let userCount = 0

/** A token of a new user with these rules. */
function tokenFor(...rules: readonly string[]): string {
  userCount++
  gateway.user(`user${userCount}`, ['on', 'resetchannels', ...rules])
  return gateway.tokenOf(`user${userCount}`)
}

describe.each(ROUTES)('$operation ($method $path)', (route) => {
  test('is done for a user who may run its commands on the key', async () => {
    const status = await statusOf(route, 'mine', tokenFor('-@all', ...route.rules, '~mine', '&mine'))
    expect(status).toBeGreaterThanOrEqual(200)
    expect(status).toBeLessThan(300)
  })

  test('is refused to a user who may not run one of them', async () => {
    const before = await changes()
    for (const rule of route.rules) {
      const rest = route.rules.filter((other) => other !== rule)
      expect(await statusOf(route, 'other', tokenFor('-@all', ...rest, '~*', '&*')), rule).toBe(403)
    }
    expect(await changes()).toBe(before)
  })

  test.skipIf(UNLIMITED.has(route.operation))('is refused for a key or channel that is not the user’s', async () => {
    const before = await changes()
    expect(await statusOf(route, 'other', tokenFor('+@all', '~mine', '&mine'))).toBe(403)
    expect(await changes()).toBe(before)
  })

  test('is done for a read-only token exactly when it only reads', async () => {
    gateway.user('reader', ['on', 'allcommands', 'allkeys', 'allchannels'])
    const isReading = route.rules.every((rule) => READ_ONLY_COMMANDS.includes(rule.split('|')[0] ?? ''))
    const status = await statusOf(route, 'mine', gateway.tokenOf('reader', 'read-only'))
    if (isReading) expect(status).toBe(200)
    else expect(status).toBe(403)
  })

  test('needs credentials when the default user has a password', async () => {
    gateway.user('default', ['resetpass', '>secret'])
    try {
      expect(await statusOf(route, 'mine', null)).toBe(401)
      expect(await statusOf(route, 'mine', 'wrong')).toBe(401)
    } finally {
      gateway.user('default', ['nopass'])
    }
  })
})

test('every operation on streams, groups and topics is among these', async () => {
  const document = (await (await gateway.fetch('/v1/openapi.json')).json()) as {
    paths: Record<string, Record<string, { operationId: string; tags: string[] }>>
  }
  const documented = Object.values(document.paths)
    .flatMap((path) => Object.values(path))
    .filter(({ tags }) => ['Streams', 'Consumer groups', 'Topics'].includes(tags[0] ?? ''))
    .map(({ operationId }) => operationId)
  expect([...documented].sort()).toEqual([...new Set(ROUTES.map(({ operation }) => operation))].sort())
})
