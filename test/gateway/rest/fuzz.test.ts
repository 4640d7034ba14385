/** Whatever comes, the answer is JSON with a result or an error, and the gateway goes on. */
import { request } from 'node:http'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
  // Commands that wait, end the server, or stream are not what is tested here.
  gateway.user('default', ['+@all', '-@blocking', '-@dangerous', '-subscribe', '-psubscribe', '-client', '-eval'])
})

afterAll(async () => {
  expect(gateway.log.warnings).toEqual([])
  await gateway.close()
})

/** Status and body of a request whose path is sent as it is. */
function ask(method: string, path: string, body: Buffer | null): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const sent = request({ port: gateway.port, host: '127.0.0.1', method, path }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve([response.statusCode ?? 0, text]))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body ?? undefined)
  })
}

async function expectAnswer(method: string, path: string, body: Buffer | null): Promise<void> {
  const [status, text] = await ask(method, path, body)
  expect([200, 400, 404, 405]).toContain(status)
  const answer: unknown = JSON.parse(text)
  if (status === 404) return
  for (const outcome of Array.isArray(answer) ? answer : [answer]) {
    expect(Object.keys(outcome)).toContain(status === 200 && 'result' in outcome ? 'result' : 'error')
  }
}

const name = fc.constantFrom(
  'get',
  'SET',
  'mget',
  'incr',
  'lpush',
  'lrange',
  'hset',
  'zadd',
  'xadd',
  'scan',
  'echo',
  'x',
)
const segment = fc.oneof(
  name,
  fc.string({ maxLength: 8 }).map(encodeURIComponent),
  fc.constantFrom('', '.', '..', '%', '%0', '%zz', '%00', '%ff', '%2F', '%e2%82', '*', ':id', '//', '~', '%25%25'),
)
const query = fc.oneof(
  fc.constant(''),
  fc.string({ maxLength: 10 }).map((text) => `?${encodeURI(text).replaceAll('#', '')}`),
  fc.constantFrom('?', '?&&', '?=', '?EX=10', '?_token', '?_token=x&NX', '?%', '?a=%ff', '?a=%zz', '??', '?+'),
)
const path = fc.tuple(fc.array(segment, { maxLength: 5 }), query).map(([parts, after]) => `/${parts.join('/')}${after}`)
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND')

const word = fc.oneof(name, fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constantFrom(null, [], {}, ['a']))
const command = fc.oneof(fc.array(word, { maxLength: 6 }), fc.jsonValue())
const json = fc.oneof(
  command.map((value) => JSON.stringify(value)),
  fc.array(command, { maxLength: 25 }).map((value) => JSON.stringify(value)),
  fc.string(),
)
const body = fc.oneof(
  json.map((text) => Buffer.from(text)),
  fc.tuple(json, fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
    const bytes = Buffer.from(text)
    if (bytes.length > 0) bytes[at % bytes.length] = byte
    return bytes
  }),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
)

describe('Any request is answered with JSON', () => {
  test('whatever its URL and method', async () => {
    await fc.assert(
      fc.asyncProperty(method, path, fc.option(body), async (verb, url, content) => {
        await expectAnswer(verb, url, verb === 'POST' || verb === 'PUT' ? content : null)
      }),
      { numRuns: 400 },
    )
  })

  test('whatever its body', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('/', '/pipeline', '/multi-exec', '/set/key'), body, async (url, content) => {
        await expectAnswer('POST', url, content)
      }),
      { numRuns: 400 },
    )
  })
})
