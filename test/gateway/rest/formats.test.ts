/** In which form replies are sent: JSON as text or as base64, RESP2. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ANSWER_SIZE_MAX } from '../../../src/gateway/rest/reply-json.ts'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
})

afterAll(() => gateway.close())

beforeEach(async () => {
  await gateway.call('FLUSHALL')
  await gateway.call('SET', 'text', 'grüße')
  await gateway.call('SET', 'bytes', Buffer.from([0, 255]))
  await gateway.call('RPUSH', 'list', 'a', 'b')
})

const NESTED = 'return {"OK", {"a", 1, {}, false, {redis.error_reply("MY error"), redis.status_reply("OK")}}, "\\255"}'

/** Status and body text of a request; the body as one char per byte. */
async function ask(path: string, json: unknown, headers: Record<string, string>): Promise<[number, string]> {
  const response = await gateway.fetch(path, { json, headers })
  return [response.status, Buffer.from(await response.arrayBuffer()).toString('latin1')]
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

describe('As text', () => {
  test('strings are UTF-8, bytes that are none become U+FFFD, integers are numbers, maps are flat', async () => {
    await gateway.call('HSET', 'hash', 'f', '1')
    const [status, body] = await ask(
      '/pipeline',
      [
        ['get', 'text'],
        ['get', 'bytes'],
        ['get', 'none'],
        ['strlen', 'text'],
        ['hgetall', 'hash'],
        ['ping'],
        ['zscore', 'z', 'm'],
      ],
      {},
    )
    expect(status).toBe(200)
    expect(JSON.parse(Buffer.from(body, 'latin1').toString())).toEqual([
      { result: 'grüße' },
      { result: '\0\ufffd' },
      { result: null },
      { result: 7 },
      { result: ['f', '1'] },
      { result: 'PONG' },
      { result: null },
    ])
  })

  test('integers beyond 2^53 are numbers with all their digits', async () => {
    expect(await ask('/', ['incrby', 'n', '9223372036854775807'], {})).toEqual([200, '{"result":9223372036854775807}'])
    expect(await ask('/', ['decrby', 'm', '9223372036854775807'], {})).toEqual([200, '{"result":-9223372036854775807}'])
  })

  test('doubles are strings, and so are errors in an array', async () => {
    await gateway.call('ZADD', 'zset', '1.5', 'm')
    expect(await ask('/', ['zscore', 'zset', 'm'], {})).toEqual([200, '{"result":"1.5"}'])
    expect(await ask('/', ['eval', NESTED, 0], {})).toEqual([
      200,
      '{"result":["OK",["a",1,[],null,["MY error","OK"]],"\xef\xbf\xbd"]}',
    ])
  })

  test('a reply may be nested 1,000 levels deep, and as RESP2 as deep as it is', async () => {
    const script = 'local t = {1} for i = 2, ARGV[1] do t = {t} end return t'
    expect(await ask('/', ['eval', script, 0, 1000], {})).toEqual([
      200,
      `{"result":${'['.repeat(1000)}1${']'.repeat(1000)}}`,
    ])
    const tooDeep = [400, '{"error":"ERR the answer is nested deeper than 1000 levels"}']
    const deep = ['eval', script, 0, 5000]
    expect(await ask('/', ['eval', script, 0, 1001], {})).toEqual(tooDeep)
    expect(await ask('/', deep, { 'upstash-encoding': 'base64' })).toEqual(tooDeep)
    expect(await ask('/pipeline', [deep], {})).toEqual(tooDeep)
    expect(await ask('/multi-exec', [deep], {})).toEqual(tooDeep)
    expect(await ask('/', deep, { 'upstash-response-format': 'resp2' })).toEqual([
      200,
      `${'*1\r\n'.repeat(5000)}:1\r\n`,
    ])
  })
})

describe('As base64', () => {
  const headers = { 'upstash-encoding': 'base64' }

  test('all strings are base64 of their bytes, but for the reply OK and errors', async () => {
    const commands = [
      ['set', 'a', 'OK'],
      ['get', 'a'],
      ['get', 'bytes'],
      ['ping'],
      ['type', 'a'],
      ['get', 'none'],
      ['incr', 'text'],
    ]
    const expected = [
      { result: 'OK' },
      { result: base64('OK') },
      { result: 'AP8=' },
      { result: base64('PONG') },
      { result: base64('string') },
      { result: null },
      { error: 'ERR value is not an integer or out of range' },
    ]
    const [status, body] = await ask('/pipeline', commands, headers)
    expect([status, JSON.parse(body)]).toEqual([200, expected])
    // The replies of a transaction are elements of EXEC's array. Clients decode both to the same.
    const [, executed] = await ask('/multi-exec', commands, headers)
    expect(JSON.parse(executed)).toEqual([{ result: base64('OK') }, ...expected.slice(1)])
  })

  test('inside of arrays an OK is encoded like all strings; errors there are text', async () => {
    const [, body] = await ask('/', ['eval', NESTED, 0], headers)
    expect(JSON.parse(body)).toEqual({
      result: [base64('OK'), [base64('a'), 1, [], null, ['MY error', base64('OK')]], '/w=='],
    })
    const [, scan] = await ask('/', ['scan', 0, 'match', 'text'], headers)
    expect(JSON.parse(scan)).toEqual({ result: [base64('0'), [base64('text')]] })
  })

  test('errors are never encoded', async () => {
    expect(await ask('/', ['incr', 'list'], headers)).toEqual([
      400,
      '{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"}',
    ])
  })

  test('is the only encoding there is', async () => {
    expect(await ask('/', ['ping'], { 'upstash-encoding': 'hex' })).toEqual([
      400,
      '{"error":"ERR Upstash-Encoding must be base64"}',
    ])
  })
})

describe('As RESP2', () => {
  const headers = { 'upstash-response-format': 'resp2' }

  test('the body is the reply, bytes as they are', async () => {
    const response = await gateway.fetch('/', { json: ['set', 'a', 1], headers })
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(await response.text()).toBe('+OK\r\n')
    expect(await ask('/', ['get', 'bytes'], headers)).toEqual([200, '$2\r\n\0\xff\r\n'])
    expect(await ask('/', ['mget', 'a', 'none'], headers)).toEqual([200, '*2\r\n$1\r\n1\r\n$-1\r\n'])
    expect(await ask('/lrange/list/0/-1', '', headers)).toEqual([400, expect.stringContaining('-ERR wrong number')])
  })

  test('an error is a reply with status 400', async () => {
    expect(await ask('/', ['incr', 'list'], headers)).toEqual([
      400,
      '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n',
    ])
    expect(await ask('/', ['watch', 'a'], headers)).toEqual([
      400,
      "-ERR Command is not available over HTTP: 'WATCH' acts on a connection\r\n",
    ])
  })

  test('the replies of a batch follow each other', async () => {
    const commands = [
      ['set', 'a', 1],
      ['incr', 'list'],
      ['select', 1],
      ['get', 'a'],
    ]
    const expected =
      '+OK\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n' +
      "-ERR Command is not available over HTTP: 'SELECT' acts on a connection\r\n$1\r\n1\r\n"
    expect(await ask('/pipeline', commands, headers)).toEqual([200, expected])
    const long = Array.from({ length: 40 }, () => commands).flat()
    expect(await ask('/pipeline', long, headers)).toEqual([200, expected.repeat(40)])
  })

  test('a long poll that finds nothing is a nil array', async () => {
    expect(await ask('/', ['blpop', 'none', 0.01], headers)).toEqual([200, '*-1\r\n'])
  })

  test('transactions are JSON all the same', async () => {
    expect(await ask('/multi-exec', [['get', 'text']], { ...headers, 'upstash-encoding': 'base64' })).toEqual([
      200,
      `[{"result":"${base64('grüße')}"}]`,
    ])
  })

  test('other formats, and base64 with it, are refused', async () => {
    expect(await ask('/', ['ping'], { 'upstash-response-format': 'resp3' })).toEqual([
      400,
      '{"error":"ERR Upstash-Response-Format must be json or resp2"}',
    ])
    expect(await ask('/pipeline', [['ping']], { ...headers, 'upstash-encoding': 'base64' })).toEqual([
      400,
      '{"error":"ERR Upstash-Encoding cannot be combined with resp2"}',
    ])
    expect(await ask('/', ['get', 'text'], { 'upstash-response-format': 'json' })).toEqual([
      200,
      '{"result":"gr\xc3\xbc\xc3\x9fe"}',
    ])
  })
})

describe('An answer over the limit', () => {
  const error = `ERR the answer is larger than ${ANSWER_SIZE_MAX} bytes`

  test('is refused, in each form', async () => {
    await gateway.call('SETRANGE', 'big', ANSWER_SIZE_MAX / 2, 'x')
    await gateway.call('SETRANGE', 'bigger', ANSWER_SIZE_MAX, 'x')
    const twice = [
      ['get', 'big'],
      ['get', 'big'],
    ]
    const base64Headers = { 'upstash-encoding': 'base64' }
    const requests: [string, unknown, Record<string, string>][] = [
      ['/', ['get', 'bigger'], {}],
      ['/', ['mget', 'big', 'big'], base64Headers],
      ['/pipeline', twice, base64Headers],
      ['/pipeline', [...twice, ...Array(20).fill(['ping'])], base64Headers],
      ['/pipeline', twice, { 'upstash-response-format': 'resp2' }],
      ['/multi-exec', twice, base64Headers],
    ]
    for (const [path, json, headers] of requests) {
      expect(await ask(path, json, headers)).toEqual([400, JSON.stringify({ error })])
    }
  })

  test('can be had as RESP2, one command at a time', async () => {
    await gateway.call('SETRANGE', 'bigger', ANSWER_SIZE_MAX, 'x')
    const response = await gateway.fetch('/get/bigger', { headers: { 'upstash-response-format': 'resp2' } })
    expect((await response.arrayBuffer()).byteLength).toBe(ANSWER_SIZE_MAX + '$67108865\r\n'.length + 1 + 2)
  })
})
