/** LATENCY and INFO latencystats on the wire. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'

const OK = { status: 'OK' }

let clock: TestClock
let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({ 'latency-monitor-threshold': 5 }, clock)
  a = await broker.connect()
})

afterEach(() => broker.stop())

/** What has been timed, by name, from a reply of RESP2. */
async function timed(...words: string[]): Promise<Map<string, Reply[]>> {
  const reply = (await a.call('LATENCY', 'HISTOGRAM', ...words)) as Reply[]
  const names = new Map<string, Reply[]>()
  for (let i = 0; i < reply.length; i += 2) names.set(String(reply[i]), reply[i + 1] as Reply[])
  return names
}

test('LATENCY HISTOGRAM counts the calls of each command', async () => {
  await a.call('CONFIG', 'RESETSTAT')
  await a.pipeline([
    ['SET', 'a', '1'],
    ['SET', 'b', '1'],
    ['GET', 'a'],
    ['CLIENT', 'ID'],
    ['CLIENT', 'GETNAME'],
  ])
  expect([...(await timed()).keys()].sort()).toEqual(['client|getname', 'client|id', 'config|resetstat', 'get', 'set'])
  expect((await timed('SET')).get('set')).toEqual(['calls', 2, 'histogram_usec', expect.any(Array)])
  expect([...(await timed('client', 'nosuch', 'zadd')).keys()].sort()).toEqual(['client|getname', 'client|id'])
  expect([...(await timed('Client|Id')).keys()]).toEqual(['client|id'])
  await a.call('CONFIG', 'RESETSTAT')
  expect([...(await timed()).keys()]).toEqual(['config|resetstat'])
})

test('with latency-tracking no, nothing is counted', async () => {
  await a.pipeline([
    ['CONFIG', 'SET', 'latency-tracking', 'no'],
    ['CONFIG', 'RESETSTAT'],
    ['SET', 'a', '1'],
  ])
  expect(await timed()).toEqual(new Map())
  expect(await a.call('INFO', 'latencystats')).toBe('# Latencystats\r\n')
})

test('a blocked command is counted once, when it is done', async () => {
  const b = await broker.connect()
  const popped = b.call('BLPOP', 'list', '0')
  while (!String(await a.call('INFO', 'clients')).includes('blocked_clients:1')) await a.call('PING')
  expect((await timed('blpop')).size).toBe(0)
  await a.call('RPUSH', 'list', 'x')
  await popped
  expect((await timed('blpop')).get('blpop')?.slice(0, 2)).toEqual(['calls', 1])
})

test('INFO latencystats shows the percentiles that are wanted', async () => {
  await a.pipeline([
    ['CONFIG', 'RESETSTAT'],
    ['SET', 'a', '1'],
    ['CONFIG', 'GET', 'port'],
  ])
  expect(await a.call('INFO', 'latencystats')).toMatch(
    /^latency_percentiles_usec_set:p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}\r$/m,
  )
  expect(await a.call('INFO', 'all')).toMatch(/^latency_percentiles_usec_config\|get:p50=/m)
  expect(await a.call('INFO')).not.toContain('latency_percentiles')
  expect(await a.call('CONFIG', 'SET', 'latency-tracking-info-percentiles', '0 12.5 100')).toEqual(OK)
  expect(await a.call('INFO', 'latencystats')).toMatch(/^latency_percentiles_usec_set:p0=[\d.]+,p12\.5=[\d.]+,p100=/m)
})

test('events of the monitor are shown, drawn, explained and forgotten', async () => {
  // On a busy machine any command may take some ms.
  await a.call('CONFIG', 'SET', 'latency-monitor-threshold', '20')
  const first = Math.floor(clock.nowMs / 1000)
  await a.call('DEBUG', 'SLEEP', '0.02')
  clock.pass(65_000)
  await a.call('DEBUG', 'SLEEP', '0.05')
  const history = (await a.call('LATENCY', 'HISTORY', 'command')) as number[][]
  expect(history.map(([time]) => time)).toEqual([first, first + 65])
  const [low, high] = history.map(([, ms]) => ms!) as [number, number]
  expect(low).toBeGreaterThanOrEqual(20)
  expect(high).toBeGreaterThanOrEqual(50)
  expect(await a.call('LATENCY', 'LATEST')).toContainEqual(['command', first + 65, high, Math.max(low, high)])

  const graph = String(await a.call('LATENCY', 'GRAPH', 'command'))
  expect(graph.split('\n').slice(0, 2)).toEqual([
    `command - high ${Math.max(low, high)} ms, low ${Math.min(low, high)} ms (all time high ${Math.max(low, high)} ms)`,
    '-'.repeat(80),
  ])
  if (low < high) expect(graph.split('\n').slice(2)).toEqual([' #', ' |', ' |', '_|', '  ', '10', 'ms', ''])
  expect(await a.call('LATENCY', 'DOCTOR')).toMatch(/^1\. command: 2 latency spikes \(average \d+ms, mean deviation/m)

  expect(await a.call('LATENCY', 'HISTORY', 'nosuch')).toEqual([])
  expect(await a.call('LATENCY', 'RESET', 'nosuch')).toBe(0)
  expect(await a.call('LATENCY', 'RESET', 'Command')).toBe(1)
  expect(await a.call('LATENCY', 'HISTORY', 'command')).toEqual([])
  expect(await a.call('LATENCY', 'GRAPH', 'nosuch')).toEqual({
    error: "ERR No samples available for event 'nosuch'",
  })
  await a.call('CONFIG', 'SET', 'latency-monitor-threshold', '10000')
  await a.call('LATENCY', 'RESET')
  expect(await a.call('LATENCY', 'DOCTOR')).toMatch(/^Nothing has taken 10000 ms or longer/)
  await a.call('CONFIG', 'SET', 'latency-monitor-threshold', '0')
  expect(await a.call('LATENCY', 'DOCTOR')).toMatch(/^The latency monitor is off/)
})

test('keys that expire at a time are an event', async () => {
  await a.call('CONFIG', 'SET', 'latency-monitor-threshold', '1')
  await a.call('EVAL', "for i = 1, 300000 do redis.call('SADD', 'big', 'member:' .. i) end", '0')
  await a.call('PEXPIRE', 'big', '10')
  clock.pass(20)
  while ((await a.call('DBSIZE')) !== 0) clock.pass(1)
  expect(((await a.call('LATENCY', 'LATEST')) as Reply[][]).map(([event]) => event)).toContain('expire-cycle')
})

test('big values that are evicted are an event', async () => {
  await a.call('CONFIG', 'SET', 'latency-monitor-threshold', '1')
  await a.call('EVAL', "for i = 1, 100000 do redis.call('SADD', 'big', 'member:' .. i) end", '0')
  await a.call('CONFIG', 'SET', 'maxmemory', '1', 'maxmemory-policy', 'allkeys-lru')
  while ((await a.call('DBSIZE')) !== 0) clock.pass(1)
  // They are freed in slices: only all of them together take a millisecond for sure.
  const events = ((await a.call('LATENCY', 'LATEST')) as Reply[][]).map(([event]) => event)
  expect(events).toContain('eviction-cycle')
})

/** The lines of INFO stalls once it tells of a command. */
async function stalls(command: string): Promise<Map<string, string>> {
  for (;;) {
    const text = String(await a.call('INFO', 'stalls'))
    const lines = text.split('\r\n').map((line) => line.split(':') as [string, string])
    if (text.includes(`stall_command_${command}:`)) return new Map(lines)
  }
}

test('INFO stalls tells what has held up the loop, by cause and by command', async () => {
  await a.call('DEBUG', 'SLEEP', '0.06')
  const lines = await stalls('debug')
  expect(lines.get('stall_cause_command')).toMatch(/^count=\d+,ms=[\d.]+,max=[\d.]+,le_2=\d+,le_5=.*,le_2000=\d+$/)
  expect(lines.get('stall_command_debug')).toMatch(/^count=1,ms=\d\d+\.\d{3},max=.*,le_50=0,.*le_2000=1$/)
  expect(Number(lines.get('stall_longest_ms'))).toBeGreaterThanOrEqual(60)
  await a.call('EVAL', 'local n = 0 for i = 1, 1e7 do n = n + i % 7 end', '0')
  expect((await stalls('eval')).get('stall_cause_script')).toMatch(/^count=1,/)
  expect(await a.call('INFO')).not.toContain('# Stalls')
  expect(await a.call('INFO', 'all')).toContain('# Stalls\r\nstalls:')
  await a.call('CONFIG', 'RESETSTAT')
  expect(await a.call('INFO', 'stalls')).not.toContain('eval')
})

test('the subcommands refuse what they do not take', async () => {
  const arity = (name: string): Reply => ({ error: `ERR wrong number of arguments for '${name}' command` })
  expect(await a.call('LATENCY')).toEqual(arity('latency'))
  expect(await a.call('LATENCY', 'HELP', 'x')).toEqual(arity('latency|help'))
  expect(await a.call('LATENCY', 'HISTORY')).toEqual(arity('latency|history'))
  expect(await a.call('LATENCY', 'GRAPH', 'a', 'b')).toEqual(arity('latency|graph'))
  expect(await a.call('LATENCY', 'LATEST', 'x')).toEqual(arity('latency|latest'))
  expect(await a.call('LATENCY', 'NOSUCH')).toEqual({ error: "ERR unknown subcommand 'NOSUCH'. Try LATENCY HELP." })
})

test.skipIf(!hasRedisServer)('the graph is drawn as by redis-server', async () => {
  const redis = await ServerProcess.redis()
  try {
    const b = await redis.connect()
    await b.call('CONFIG', 'SET', 'latency-monitor-threshold', '1')
    await b.call('DEBUG', 'SLEEP', '0.03')
    const [[, ms] = [0, 0]] = (await b.call('LATENCY', 'HISTORY', 'command')) as number[][]
    const theirs = String(await b.call('LATENCY', 'GRAPH', 'command'))
    broker.server.latency.note('command', ms! * 1000)
    // How long ago it was is of no account.
    const withoutAge = (graph: string): string => graph.replace(/\d\ns\n$/, '')
    expect(withoutAge(String(await a.call('LATENCY', 'GRAPH', 'command')))).toBe(withoutAge(theirs))
  } finally {
    await redis.dispose()
  }
})
