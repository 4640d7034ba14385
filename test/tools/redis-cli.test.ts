/** redis-cli and redis-benchmark, as installed, against a server process. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { encodeCommand, type RespClient } from '../support/resp-client.ts'
import { ServerProcess } from '../support/server-process.ts'
import { hasTool, RunningTool, runTool } from './tool.ts'

const LIMIT_MS = 15_000
const hasCli = hasTool('redis-cli', ['--version'])
const hasBenchmark = hasTool('redis-benchmark', ['--version'])

let server: ServerProcess
let client: RespClient

beforeAll(async () => {
  server = await ServerProcess.millrace(['--appendonly', 'no'])
  client = await server.connect()
})

afterAll(async () => {
  client.close()
  await server.dispose()
})

beforeEach(() => client.call('FLUSHALL'))

async function cli(args: readonly string[], stdin: string | null = null): Promise<string> {
  const { code, output } = await runTool('redis-cli', ['-p', String(server.port), ...args], LIMIT_MS, stdin)
  expect(code, output).toBe(0)
  return output
}

describe.skipIf(!hasCli)('redis-cli', () => {
  test('runs commands, in RESP2 and RESP3', async () => {
    expect(await cli(['SET', 'k', 'v'])).toBe('OK\n')
    expect(await cli(['GET', 'k'])).toBe('v\n')
    expect(await cli(['HSET', 'h', 'f', '1', 'g', '2'])).toBe('2\n')
    expect(await cli(['--no-raw', '-3', 'HGETALL', 'h'])).toBe('1# "f" => "1"\n2# "g" => "2"\n')
    expect(await cli(['--no-raw', '-2', 'HGETALL', 'h'])).toBe('1) "f"\n2) "1"\n3) "g"\n4) "2"\n')
    expect(await cli(['-n', '3', 'SET', 'other', '1'])).toBe('OK\n')
    expect(await cli(['-n', '3', 'DBSIZE'])).toBe('1\n')
    expect(await cli([], 'MULTI\nINCR n\nINCR n\nEXEC\n')).toBe('OK\nQUEUED\nQUEUED\n1\n2\n')
    expect(await cli(['-x', 'SET', 'stdin'], 'from stdin')).toBe('OK\n')
    expect(await cli(['GET', 'stdin'])).toBe('from stdin\n')
    expect(await cli(['EVAL', 'return {KEYS[1],ARGV[1]}', '1', 'a', 'b'])).toBe('a\nb\n')
    expect(await cli(['-r', '3', '-i', '0.01', 'INCR', 'n'])).toBe('3\n4\n5\n')
  })

  test('--scan finds every key, and those of a pattern and a type', async () => {
    const names = Array.from({ length: 500 }, (_, i) => `key:${i}`)
    await client.call('MSET', ...names.flatMap((name) => [name, 'v']))
    await client.call('RPUSH', 'list:1', 'a')
    expect((await cli(['--scan'])).trim().split('\n').sort()).toEqual([...names, 'list:1'].sort())
    const some = names.filter((name) => /^key:1/.test(name)).sort()
    expect((await cli(['--scan', '--pattern', 'key:1*'])).trim().split('\n').sort()).toEqual(some)
  })

  test('--bigkeys and --memkeys name the biggest keys', async () => {
    await client.call('SET', 'short', 'x')
    await client.call('SET', 'long', 'x'.repeat(5000))
    await client.call('RPUSH', 'list', ...'abcdefg')
    await client.call('ZADD', 'zset', '1', 'a', '2', 'b')
    await client.call('XADD', 'stream', '1-1', 'f', 'v')
    const big = await cli(['--bigkeys'])
    expect(big).toContain('Biggest string found \'"long"\' has 5000 bytes')
    expect(big).toMatch(/Biggest\s+list found '"list"' has 7 items/)
    expect(big).toMatch(/Biggest\s+zset found '"zset"' has 2 members/)
    expect(big).toMatch(/Biggest stream found '"stream"' has 1 entries/)
    expect(await cli(['--memkeys'])).toContain('Biggest string found \'"long"\'')
  })

  test('--pipe takes a mass of requests in and counts replies and errors', async () => {
    let requests = ''
    for (let i = 0; i < 20_000; i++) requests += encodeCommand(['SET', `p:${i}`, String(i)])
    requests += encodeCommand(['INCR', 'no', 'number'])
    const { output } = await runTool('redis-cli', ['-p', String(server.port), '--pipe'], LIMIT_MS, requests)
    expect(output).toContain('errors: 1, replies: 20001')
    expect(await client.call('DBSIZE')).toBe(20_000)
  })

  test('--latency and --stat get what they ask for', async () => {
    const latency = new RunningTool('redis-cli', ['-p', String(server.port), '--latency', '--raw', '-i', '1'], LIMIT_MS)
    expect((await latency.ended()).output).toMatch(/^\d+ \d+ [\d.]+ \d+/)
    // Line by line: it would keep its output back when it is not a terminal's.
    const stat = new RunningTool(
      'stdbuf',
      ['-oL', 'redis-cli', '-p', String(server.port), '--stat', '-i', '0.1'],
      LIMIT_MS,
    )
    await stat.says('keys')
    await stat.says('(+')
    expect((await stat.end()).output).toMatch(/\n\s*\d+\s+[\d.]+[KMGB]\s+\d+\s+0\s+\d+ \(\+/)
  })

  test('SUBSCRIBE, PSUBSCRIBE and MONITOR show what happens', async () => {
    const subscriber = new RunningTool('redis-cli', ['-p', String(server.port), 'SUBSCRIBE', 'news'], LIMIT_MS)
    const pattern = new RunningTool('redis-cli', ['-3', '-p', String(server.port), 'PSUBSCRIBE', 'n*'], LIMIT_MS)
    const monitor = new RunningTool('redis-cli', ['-p', String(server.port), 'MONITOR'], LIMIT_MS)
    await subscriber.says('subscribe\nnews\n1')
    await pattern.says('psubscribe')
    await monitor.says('OK')
    expect(await client.call('PUBLISH', 'news', 'hello')).toBe(2)
    await subscriber.says('message\nnews\nhello')
    await pattern.says('hello')
    await monitor.says('"PUBLISH" "news" "hello"')
    for (const tool of [subscriber, pattern, monitor]) await tool.end()
  })

  test('a blocking pop waits for an element', async () => {
    const pop = new RunningTool('redis-cli', ['-p', String(server.port), 'BLPOP', 'queue', '10'], LIMIT_MS)
    while (!String(await client.call('INFO', 'clients')).includes('blocked_clients:1')) await client.call('PING')
    await client.call('RPUSH', 'queue', 'job')
    expect(await pop.ended()).toEqual({ code: 0, output: 'queue\njob\n' })
  })
})

describe.skipIf(!hasBenchmark)('redis-benchmark', () => {
  test.each([
    ['one by one', []],
    ['16 at a time', ['-P', '16']],
    ['random keys and larger values', ['-P', '8', '-r', '1000', '-d', '500']],
  ])(
    'runs its default tests to the end, %s',
    async (_name, options) => {
      const { code, output } = await runTool(
        'redis-benchmark',
        ['-p', String(server.port), '-n', '2000', '-q', ...options],
        60_000,
      )
      expect(code, output).toBe(0)
      expect(output).not.toMatch(/error|WARN/i)
      const names = [...output.matchAll(/([A-Z_]+[^\r\n:]*): [\d.]+ requests per second/g)].map((match) => match[1])
      expect(names).toEqual(
        expect.arrayContaining([
          'PING_INLINE',
          'SET',
          'GET',
          'INCR',
          'LPUSH',
          'RPUSH',
          'LPOP',
          'RPOP',
          'SADD',
          'HSET',
          'SPOP',
          'ZADD',
          'ZPOPMIN',
        ]),
      )
      expect(names.at(-1)).toMatch(/^(MSET|XADD)/)
      expect(await client.call('PING')).toEqual({ status: 'PONG' })
    },
    70_000,
  )
})
