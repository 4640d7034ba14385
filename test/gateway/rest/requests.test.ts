/** Requests as bytes on the wire: all forms of URL and body, and what is wrong with others. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Decode } from '../../../src/gateway/engine.ts'
import { TestGateway } from '../../support/gateway.ts'
import { RawConnection } from '../../support/raw-connection.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start({ 'http-body-limit': 64 * 1024 })
})

afterAll(() => gateway.close())

beforeEach(async () => {
  await gateway.call('FLUSHALL')
})

/** Status and JSON body of a request. */
async function ask(method: string, path: string, body: string | Buffer | null = null): Promise<[number, unknown]> {
  const response = await gateway.fetch(path, {
    method,
    body: typeof body === 'string' ? body : body && new Uint8Array(body),
  })
  expect(response.headers.get('content-type')).toMatch(/^application\/(problem\+)?json/)
  return [response.status, await response.json()]
}

/** Asks with a request line that no HTTP library would send. Resolves to the status and the body. */
async function askRaw(requestLine: string, headers = ''): Promise<[number, string]> {
  const connection = await RawConnection.connect(gateway.port)
  connection.send(`${requestLine}\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`)
  await connection.ended()
  connection.close()
  const [head = '', body = ''] = connection.text.split('\r\n\r\n')
  return [Number(head.split(' ')[1]), body]
}

describe('A command in a body', () => {
  test.each(['POST', 'PUT'])('is run by %s /', async (method) => {
    expect(await ask(method, '/', '["SET","a","b"]')).toEqual([200, { result: 'OK' }])
    expect(await ask(method, '/', '["get","a"]')).toEqual([200, { result: 'b' }])
  })

  test('may have numbers and booleans as arguments, which become text', async () => {
    const numbers: [string, string][] = [
      ['1.5', '1.5'],
      ['-0.25', '-0.25'],
      ['10', '10'],
      ['-0', '0'],
      ['1e3', '1000'],
      ['1.50', '1.5'],
      ['9007199254740993', '9007199254740993'],
      ['-12345678901234567890', '-12345678901234567890'],
      ['1e21', '1000000000000000000000'],
      ['-1.25e22', '-12500000000000000000000'],
      ['1.5e-7', '0.00000015'],
      ['-2e-7', '-0.0000002'],
      ['12345678901234567890.0', '12345678901234567000'],
      ['true', 'true'],
      ['false', 'false'],
    ]
    for (const [json, text] of numbers) {
      expect(await ask('POST', '/', `["echo",${json}]`)).toEqual([200, { result: text }])
    }
    // Each number gets its own text, whatever stands around it.
    const mixed = '[["mset","5\\"6",1,"b",18446744073709551615],["mget","5\\"6","b"],["echo", 1e22 ]]'
    expect(await ask('POST', '/pipeline', mixed)).toEqual([
      200,
      [{ result: 'OK' }, { result: ['1', '18446744073709551615'] }, { result: '10000000000000000000000' }],
    ])
  })

  test.each([
    ['', 'the body is missing'],
    ['{', 'the body is not JSON'],
    ['["get","a"', 'the body is not JSON'],
    ['"get"', 'a command must be an array'],
    ['{"a":1}', 'a command must be an array'],
    ['null', 'a command must be an array'],
    ['[]', 'a command is empty'],
    ['["get",null]', 'an argument is null'],
    ['["get",["a"]]', 'an argument is an array'],
    ['["get",{"a":1}]', 'an argument is an object'],
    ['["get",1e999]', 'a number is out of range'],
  ])('%j is refused', async (body, reason) => {
    expect(await ask('POST', '/', body)).toEqual([400, { error: `ERR failed to parse the request: ${reason}` }])
  })

  test('is refused when it is not UTF-8', async () => {
    const body = Buffer.from('["set","a","\xff"]', 'latin1')
    expect(await ask('POST', '/', body)).toEqual([
      400,
      { error: 'ERR failed to parse the request: the body is not UTF-8' },
    ])
    expect(await gateway.call('EXISTS', 'a')).toBe(0)
  })

  test('may have any content type, and none', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'a/b; c=d']) {
      const response = await gateway.fetch('/', { method: 'POST', body: '["ping"]', headers: { 'content-type': type } })
      expect(await response.json()).toEqual({ result: 'PONG' })
    }
    const bare = await gateway.fetch('/', { method: 'POST', body: new Uint8Array(Buffer.from('["ping"]')) })
    expect(await bare.json()).toEqual({ result: 'PONG' })
  })

  test('is refused over the limit of bodies', async () => {
    expect(await ask('POST', '/', JSON.stringify(['set', 'a', 'x'.repeat(64 * 1024)]))).toEqual([
      413,
      { error: 'ERR Request body is too large' },
    ])
    expect(await ask('POST', '/set/a', 'x'.repeat(64 * 1024 + 1))).toEqual([
      413,
      { error: 'ERR Request body is too large' },
    ])
  })

  test('is refused unread when its brackets nest too deep or it holds objects', async () => {
    const deep = '['.repeat(30_000)
    expect(await ask('POST', '/', deep)).toEqual([
      400,
      { error: 'ERR failed to parse the request: an argument is an array' },
    ])
    expect(await ask('POST', '/pipeline', deep)).toEqual([
      400,
      { error: 'ERR failed to parse the request: an argument is an array' },
    ])
    expect(await ask('POST', '/', `["x",${'{"a":'.repeat(6000)}`)).toEqual([
      400,
      { error: 'ERR failed to parse the request: an argument is an object' },
    ])
    // What looks like brackets in a string is not.
    const text = `\\"[[[{{{\\\\${'x'.repeat(20_000)}`
    expect(await ask('POST', '/', `["strlen","${text}"]`)).toEqual([200, { result: 0 }])
    expect(await ask('POST', '/', `["x","${'y'.repeat(20_000)}`)).toEqual([
      400,
      { error: 'ERR failed to parse the request: the body is not JSON' },
    ])
  })
})

describe('A command in a URL', () => {
  test.each(['GET', 'POST', 'PUT'])('is run by %s', async (method) => {
    expect(await ask(method, '/set/a/b')).toEqual([200, { result: 'OK' }])
    expect(await ask(method, '/GET/a')).toEqual([200, { result: 'b' }])
  })

  test('is run by HEAD, without a body', async () => {
    const [status, body] = await askRaw('HEAD /set/a/b HTTP/1.1')
    expect([status, body]).toEqual([200, ''])
    expect(await gateway.call('GET', 'a')).toBe('b')
    expect(await askRaw('HEAD /incr/a HTTP/1.1')).toEqual([400, ''])
  })

  test('has a body as its next argument, of any bytes', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128, 47])
    expect(await ask('POST', '/set/a', bytes)).toEqual([200, { result: 'OK' }])
    expect(await ask('PUT', '/strlen/a')).toEqual([200, { result: 6 }])
    expect(await gateway.engine.call(gateway.engine.system, ['GET', 'a'], { decode: Decode.Bytes })).toEqual(bytes)
    expect(await ask('POST', '/set/a', '["json"]')).toEqual([200, { result: 'OK' }])
    expect(await gateway.call('GET', 'a')).toBe('["json"]')
  })

  test('has the parameters of the query behind the body, in order', async () => {
    expect(await ask('POST', '/set/a?EX=100', 'v')).toEqual([200, { result: 'OK' }])
    expect(await ask('GET', '/ttl/a')).toEqual([200, { result: 100 }])
    expect(await ask('POST', '/set/a?NX', 'w')).toEqual([200, { result: null }])
    expect(await ask('POST', '/set/a?XX&GET&PX=5000', 'w')).toEqual([200, { result: 'v' }])
    expect(await ask('GET', '/rpush/list/0?one=two+three&&four=%26%3D&_token=x&=five')).toEqual([200, { result: 7 }])
    expect(await gateway.call('LRANGE', 'list', 0, -1)).toEqual(['0', 'one', 'two three', 'four', '&=', '', 'five'])
  })

  test('has its segments percent-decoded one by one', async () => {
    const name = 'a/b c?d#e%+ü😀'
    expect(await ask('GET', `/set/${encodeURIComponent(name)}/x`)).toEqual([200, { result: 'OK' }])
    expect(await gateway.call('KEYS', '*')).toEqual([name])
    expect(await ask('GET', '/set/nul%00/y')).toEqual([200, { result: 'OK' }])
    expect(await gateway.call('GET', 'nul\0')).toBe('y')
    expect(await ask('GET', '/set/a+b/z')).toEqual([200, { result: 'OK' }])
    expect(await gateway.call('GET', 'a+b')).toBe('z')
    expect(await ask('GET', '/append/a?%ff%00')).toEqual([200, { result: 2 }])
    expect(await gateway.engine.call(gateway.engine.system, ['GET', 'a'], { decode: Decode.Bytes })).toEqual(
      Buffer.from([255, 0]),
    )
  })

  test('has empty arguments where segments are empty', async () => {
    expect(await ask('GET', '/set/a/')).toEqual([200, { result: 'OK' }])
    expect(await gateway.call('GET', 'a')).toBe('')
    expect(await ask('GET', '/rpush/list//x')).toEqual([200, { result: 2 }])
    expect(await ask('GET', '//get/a')).toEqual([400, { error: 'ERR the command is missing' }])
    expect(await ask('GET', '//')).toEqual([400, { error: 'ERR the command is missing' }])
  })

  test.each([
    ['/get/%'],
    ['/get/%zz'],
    ['/get/%f'],
    ['/get/%ff'],
    ['/get/a?%zz'],
    ['/get/a?x=%'],
    ['/..'],
    ['/../../etc/passwd'],
    ['/%2e%2e/%2e%2e/etc/passwd'],
    ['/%00'],
    ['/get/\xff'],
  ])('GET %s is refused', async (path) => {
    const [status, body] = await askRaw(`GET ${path} HTTP/1.1`)
    expect(status).toBe(400)
    expect(JSON.parse(body)).toBeTypeOf('object')
  })

  test('may be long', async () => {
    expect(await ask('GET', `/strlen/${'a'.repeat(12_000)}`)).toEqual([200, { result: 0 }])
  })

  test('GET / is not the REST door’s', async () => {
    expect((await ask('GET', '/'))[0]).toBe(404)
    expect((await ask('GET', '/?a=b'))[0]).toBe(404)
    expect(await askRaw('HEAD / HTTP/1.1')).toEqual([404, ''])
  })
})

describe('A batch', () => {
  test('answers in order, errors in their places', async () => {
    const body = '[["set","a","x"],["incr","a"],["nonsense"],["get"],["mget","a","b"]]'
    const expected = [
      { result: 'OK' },
      { error: 'ERR value is not an integer or out of range' },
      { error: "ERR unknown command 'nonsense', with args beginning with: " },
      { error: "ERR wrong number of arguments for 'get' command" },
      { result: ['x', null] },
    ]
    expect(await ask('POST', '/pipeline', body)).toEqual([200, expected])
    // More commands than are run at once.
    const long = JSON.stringify([...JSON.parse(body), ...Array(2500).fill(['incr', 'n'])])
    const [status, replies] = await ask('POST', '/pipeline', long)
    expect(status).toBe(200)
    expect((replies as unknown[]).slice(0, 5)).toEqual(expected)
    expect((replies as unknown[]).slice(5)).toEqual(Array.from({ length: 2500 }, (_, i) => ({ result: i + 1 })))
  })

  test('may be empty', async () => {
    expect(await ask('POST', '/pipeline', '[]')).toEqual([200, []])
    expect(await ask('POST', '/multi-exec', '[]')).toEqual([200, []])
  })

  test.each(['/pipeline', '/multi-exec'])('is refused as a whole when it cannot be read: %s', async (path) => {
    const reasons: [string, string][] = [
      ['', 'the body is missing'],
      ['nonsense', 'the body is not JSON'],
      ['{}', 'the body must be an array of commands'],
      ['["get","a"]', 'a command must be an array'],
      ['[["set","a","1"],[]]', 'a command is empty'],
      ['[["set","a","1"],["get",null]]', 'an argument is null'],
      ['[["set","a","1"],["get",[1]]]', 'an argument is an array'],
      [JSON.stringify(Array(10_001).fill([1])), 'more than 10000 commands'],
    ]
    for (const [body, reason] of reasons) {
      expect(await ask('POST', path, body)).toEqual([400, { error: `ERR failed to parse the request: ${reason}` }])
    }
    expect(await gateway.call('EXISTS', 'a')).toBe(0)
  })

  test('as a transaction answers as EXEC does, errors of running commands in their places', async () => {
    expect(await ask('POST', '/multi-exec', '[["set","a","x"],["incr","a"],["get","a"]]')).toEqual([
      200,
      [{ result: 'OK' }, { error: 'ERR value is not an integer or out of range' }, { result: 'x' }],
    ])
  })

  test('as a transaction is not run at all when a command is refused', async () => {
    expect(await ask('POST', '/multi-exec', '[["set","a","x"],["nonsense"]]')).toEqual([
      400,
      { error: "ERR unknown command 'nonsense', with args beginning with: " },
    ])
    expect(await ask('POST', '/multi-exec', '[["set","a","x"],["watch","b"]]')).toEqual([
      400,
      { error: "ERR Command is not available over HTTP: 'WATCH' acts on a connection" },
    ])
    expect(await gateway.call('EXISTS', 'a')).toBe(0)
  })
})

describe('Errors', () => {
  test('of a single command are 400, whatever kind they are', async () => {
    await gateway.call('RPUSH', 'list', 'x')
    const errors: [string, string][] = [
      ['/get', "ERR wrong number of arguments for 'get' command"],
      ['/get/list', 'WRONGTYPE Operation against a key holding the wrong kind of value'],
      ['/nonsense/a', "ERR unknown command 'nonsense', with args beginning with: 'a' "],
      ['/evalsha/abc/0', 'NOSCRIPT No matching script. Please use EVAL.'],
      ['/select/1', "ERR Command is not available over HTTP: 'SELECT' acts on a connection"],
      ['/multi', "ERR Command is not available over HTTP: 'MULTI' acts on a connection"],
      ['/client/setname/x', "ERR Command is not available over HTTP: 'CLIENT SETNAME' acts on a connection"],
    ]
    for (const [path, error] of errors) expect(await ask('GET', path)).toEqual([400, { error }])
  })

  test('methods that are not served are 405, with those that are', async () => {
    const cases: [string, string, string][] = [
      ['DELETE', '/get/a', 'GET, HEAD, POST, PUT'],
      ['PATCH', '/', 'GET, HEAD, POST, PUT'],
      ['PROPFIND', '/get/a', 'GET, HEAD, POST, PUT'],
      ['GET', '/pipeline', 'POST, PUT'],
      ['GET', '/multi-exec', 'POST, PUT'],
    ]
    for (const [method, path, allow] of cases) {
      const response = await gateway.fetch(path, { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe(allow)
      expect(await response.json()).toEqual({ error: `ERR method not allowed: use ${allow}` })
    }
    expect((await askRaw('HEAD /subscribe/news HTTP/1.1'))[0]).toBe(405)
    expect((await askRaw('HEAD /pipeline HTTP/1.1'))[0]).toBe(405)
  })

  test('an engine that is closed is 503', async () => {
    const other = await TestGateway.start()
    await other.engine.close()
    const answers = [
      await other.fetch('/get/a'),
      await other.fetch('/pipeline', { json: [['get', 'a']] }),
      await other.fetch('/pipeline', { json: Array(20).fill(['get', 'a']) }),
      await other.fetch('/multi-exec', { json: [['get', 'a']] }),
      await other.fetch('/monitor', { method: 'POST' }),
    ]
    for (const answer of answers) {
      expect(answer.status).toBe(503)
      expect(await answer.json()).toEqual({ error: expect.stringMatching(/^ERR /) })
    }
    await other.close()
  })
})
