/** COMMAND, CONFIG, INFO, TIME, DEBUG, MEMORY, MONITOR, SLOWLOG and SHUTDOWN on the wire. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'

const OK = { status: 'OK' }

let clock: TestClock
let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  clock = new TestClock()
  broker = await TestBroker.start({}, clock)
  a = await broker.connect()
})

afterEach(() => broker.stop())

/** The fields of some sections of INFO. */
async function info(...sections: string[]): Promise<Map<string, string>> {
  const fields = new Map<string, string>()
  for (const line of String(await a.call('INFO', ...sections)).split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

// ---- COMMAND

test('COMMAND INFO describes commands from their definitions', async () => {
  await a.call('HELLO', '3')
  const [get, missing, sub] = (await a.call('COMMAND', 'INFO', 'get', 'nosuch', 'CONFIG|GET')) as Reply[][]
  expect(missing).toBe(null)
  expect(sub?.slice(0, 2)).toEqual(['config|get', -3])
  expect(get).toMatchObject([
    'get',
    2,
    { set: [{ status: 'readonly' }, { status: 'fast' }] },
    1,
    1,
    1,
    { set: [{ status: '@read' }, { status: '@string' }, { status: '@fast' }] },
    { set: [] },
    { set: [{ map: expect.arrayContaining([['flags', { set: [{ status: 'RO' }, { status: 'access' }] }]]) }] },
    { set: [] },
  ])
})

test.each([
  [['GET', 'k'], ['k']],
  [
    ['MSET', 'a', '1', 'b', '2'],
    ['a', 'b'],
  ],
  [
    ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'x', 'y', '>', '>'],
    ['x', 'y'],
  ],
  [
    ['EVAL', 'return 1', '2', 'a', 'b', 'c'],
    ['a', 'b'],
  ],
  [
    ['ZUNIONSTORE', 'target', '2', 'a', 'b'],
    ['target', 'a', 'b'],
  ],
  [
    ['BLPOP', 'a', 'b', '0'],
    ['a', 'b'],
  ],
  [
    ['SORT', 'a', 'STORE', 'b'],
    ['a', 'b'],
  ],
  [['MEMORY', 'USAGE', 'k'], ['k']],
  [['LMPOP', '1', 'k', 'LEFT'], ['k']],
  [['EVAL', 'return 1', '0'], []],
])('COMMAND GETKEYS %j finds %j', async (call, keys) => {
  expect(await a.call('COMMAND', 'GETKEYS', ...call)).toEqual(keys)
})

test.each([
  [['NOSUCH'], 'ERR Invalid command specified'],
  [['CONFIG', 'NOSUCH'], 'ERR Invalid command specified'],
  [['PING'], 'ERR The command has no key arguments'],
  [['GET'], 'ERR Invalid number of arguments specified for command'],
  [['ZUNION', '9', 'a'], 'ERR Invalid arguments specified for command'],
])('COMMAND GETKEYS %j is refused', async (call, error) => {
  expect(await a.call('COMMAND', 'GETKEYS', ...call)).toEqual({ error })
})

test('COMMAND GETKEYSANDFLAGS tells what is done with each key', async () => {
  const flags = (...names: string[]): Reply => names.map((status) => ({ status }))
  expect(await a.call('COMMAND', 'GETKEYSANDFLAGS', 'SET', 'k', 'v')).toEqual([['k', flags('OW', 'update')]])
  expect(await a.call('COMMAND', 'GETKEYSANDFLAGS', 'SET', 'k', 'v', 'GET')).toEqual([
    ['k', flags('RW', 'access', 'update')],
  ])
  expect(await a.call('COMMAND', 'GETKEYSANDFLAGS', 'LMOVE', 'a', 'b', 'LEFT', 'LEFT')).toEqual([
    ['a', flags('RW', 'access', 'delete')],
    ['b', flags('RW', 'insert')],
  ])
})

test('COMMAND LIST filters by pattern, category and module', async () => {
  expect(await a.call('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', 'config|re*')).toEqual([
    'config|resetstat',
    'config|rewrite',
  ])
  expect(await a.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'transaction')).toEqual([
    'discard',
    'exec',
    'multi',
    'unwatch',
    'watch',
  ])
  expect(await a.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'nosuch')).toEqual([])
  expect(await a.call('COMMAND', 'LIST', 'FILTERBY', 'MODULE', 'x')).toEqual([])
  expect(await a.call('COMMAND', 'LIST', 'FILTERBY', 'COLOUR', 'x')).toEqual({ error: 'ERR syntax error' })
  expect((await a.call('COMMAND', 'LIST')) as string[]).toContain('client|list')
})

test('COMMAND, COUNT and DOCS cover the same commands', async () => {
  const count = (await a.call('COMMAND', 'COUNT')) as number
  expect((await a.call('COMMAND')) as Reply[]).toHaveLength(count)
  expect((await a.call('COMMAND', 'DOCS')) as Reply[]).toHaveLength(count * 2)
  const [name, docs] = (await a.call('COMMAND', 'DOCS', 'QUIT', 'nosuch')) as [string, Reply[]]
  expect(name).toBe('quit')
  expect(docs).toEqual(expect.arrayContaining(['since', '1.0.0', 'group', 'connection', 'deprecated_since', '7.2.0']))
})

// ---- CONFIG

test('CONFIG SET changes all settings or none, CONFIG GET shows them', async () => {
  expect(await a.call('CONFIG', 'SET', 'slowlog-max-len', '7', 'timeout', '100')).toEqual(OK)
  expect(await a.call('CONFIG', 'GET', 'slowlog-max*', 'timeout')).toEqual(['slowlog-max-len', '7', 'timeout', '100'])
  expect(await a.call('CONFIG', 'SET', 'timeout', '5', 'slowlog-max-len', 'x')).toEqual({
    error:
      "ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument couldn't be parsed into an integer",
  })
  expect(await a.call('CONFIG', 'GET', 'timeout')).toEqual(['timeout', '100'])
  expect(await a.call('CONFIG', 'SET', 'timeout')).toEqual({
    error: "ERR wrong number of arguments for 'config|set' command",
  })
  expect(await a.call('CONFIG', 'SET', 'a', 'b', 'c')).toEqual({ error: 'ERR syntax error' })
  expect(await a.call('CONFIG', 'REWRITE')).toEqual({ error: 'ERR The server is running without a config file' })
})

test('CONFIG RESETSTAT clears the counters', async () => {
  await a.pipeline([['SET', 'k', '1'], ['GET', 'k'], ['GET', 'x'], ['NOSUCH']])
  expect((await info('stats')).get('keyspace_misses')).toBe('1')
  await a.call('CONFIG', 'RESETSTAT')
  const fields = await info('all')
  expect(fields.get('keyspace_hits')).toBe('0')
  expect(fields.get('total_error_replies')).toBe('0')
  expect(fields.has('cmdstat_get')).toBe(false)
  expect(fields.has('errorstat_ERR')).toBe(false)
})

// ---- INFO

test('INFO without arguments has the default sections, in order', async () => {
  const titles = (text: Reply): string[] => [...String(text).matchAll(/^# (\w+)\r$/gm)].map((match) => match[1] ?? '')
  const defaults = [
    'Server',
    'Clients',
    'Memory',
    'Persistence',
    'Stats',
    'Replication',
    'CPU',
    'Modules',
    'Errorstats',
    'Cluster',
    'Keyspace',
  ]
  expect(titles(await a.call('INFO'))).toEqual(defaults)
  expect(titles(await a.call('INFO', 'default'))).toEqual(defaults)
  expect(titles(await a.call('INFO', 'all'))).toEqual([
    ...defaults.slice(0, 5),
    'Stalls',
    ...defaults.slice(5, 7),
    'Commandstats',
    'Errorstats',
    'Latencystats',
    ...defaults.slice(9),
  ])
  expect(titles(await a.call('INFO', 'everything'))).toHaveLength(14)
  expect(titles(await a.call('INFO', 'KEYSPACE', 'cpu'))).toEqual(['CPU', 'Keyspace'])
  expect(await a.call('INFO', 'nosuch')).toBe('')
})

test('INFO tells what is true', async () => {
  const b = await broker.connect()
  const popped = b.call('BLPOP', 'list', '1000')
  while (broker.server.blockedCount === 0) await a.call('PING')
  await a.pipeline([
    ['SET', 'k', 'x'.repeat(1000)],
    ['SET', 'e', '1', 'PX', '5000'],
    ['GET', 'k'],
    ['GET', 'no'],
  ])
  clock.pass(1500)
  const fields = await info('everything')
  expect(Object.fromEntries(fields)).toMatchObject({
    redis_version: '7.2.4',
    server_name: 'millrace',
    redis_mode: 'standalone',
    process_id: String(process.pid),
    uptime_in_seconds: '1',
    connected_clients: '2',
    blocked_clients: '1',
    clients_in_timeout_table: '1',
    total_blocking_keys: '1',
    maxmemory_policy: 'noeviction',
    aof_enabled: '0',
    keyspace_hits: '1',
    keyspace_misses: '1',
    total_connections_received: '2',
    role: 'master',
    connected_slaves: '0',
    cluster_enabled: '0',
    db0: 'keys=2,expires=1,avg_ttl=3500',
  })
  const { arena } = broker.server.keyspace
  const data = arena.liveBytes + broker.server.keyspace.overheadBytes()
  let clients = 0
  for (const session of broker.server.sessions()) clients += session.memoryBytes
  expect(fields.get('mem_clients_normal')).toBe(String(clients))
  expect(Number(fields.get('used_memory'))).toBe(data + clients)
  expect(Number(fields.get('used_memory_rss'))).toBeGreaterThan(1_000_000)
  expect(fields.get('run_id')).toMatch(/^[0-9a-f]{40}$/)
  await a.call('CLIENT', 'UNBLOCK', '2')
  await popped
})

test('commandstats count calls, failures and refusals; a blocked call counts when it ends', async () => {
  const b = await broker.connect()
  const popped = b.call('BLPOP', 'list', '0')
  while (broker.server.blockedCount === 0) await a.call('PING')
  await a.pipeline([['SET', 's', '1'], ['LPUSH', 's', 'x'], ['GET'], ['CLIENT', 'ID']])
  expect((await info('commandstats')).has('cmdstat_blpop')).toBe(false)
  await a.call('LPUSH', 'list', 'x')
  await popped
  const fields = await info('commandstats')
  expect(fields.get('cmdstat_blpop')).toMatch(
    /^calls=1,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=0$/,
  )
  expect(fields.get('cmdstat_lpush')).toMatch(/^calls=2,.*failed_calls=1$/)
  expect(fields.get('cmdstat_get')).toMatch(/^calls=0,usec=0,usec_per_call=0\.00,rejected_calls=1,failed_calls=0$/)
  expect(fields.get('cmdstat_client|id')).toMatch(/^calls=1,/)
  expect((await info('errorstats')).get('errorstat_WRONGTYPE')).toBe('count=1')
})

test('time of short commands is counted, too', async () => {
  await a.pipeline(Array.from({ length: 500 }, () => ['GET', 'k']))
  const [, calls, usec] = /calls=(\d+),usec=(\d+)/.exec((await info('commandstats')).get('cmdstat_get') ?? '') ?? []
  expect(Number(calls)).toBe(500)
  expect(Number(usec)).toBeGreaterThan(0)
  expect(Number(usec)).toBeLessThan(500_000)
})

// ---- TIME, MEMORY

test('TIME and LASTSAVE tell the clock of the server', async () => {
  clock.pass(1234)
  expect(await a.call('TIME')).toEqual(['1700000001', '234000'])
  expect(await a.call('LASTSAVE')).toBe(1_700_000_000)
})

test('MEMORY USAGE counts key, value and index', async () => {
  expect(await a.call('MEMORY', 'USAGE', 'no')).toBe(null)
  await a.pipeline([
    ['SET', 'k', 'x'.repeat(100)],
    ['SET', 'n', '5'],
  ])
  const text = (await a.call('MEMORY', 'USAGE', 'k')) as number
  expect(text - ((await a.call('MEMORY', 'USAGE', 'n', 'SAMPLES', '0')) as number)).toBe(104)
  const commands = Array.from({ length: 2000 }, (_, i) => ['HSET', 'h', `field${i}`, 'v'.repeat(20)])
  await a.pipeline(commands)
  expect(await a.call('MEMORY', 'USAGE', 'h')).toBeGreaterThan(2000 * 30)
  expect(await a.call('MEMORY', 'USAGE', 'k', 'SAMPLES')).toEqual({ error: 'ERR syntax error' })
  expect(await a.call('MEMORY', 'NONE')).toEqual({ error: "ERR unknown subcommand 'NONE'. Try MEMORY HELP." })
})

test('MEMORY STATS tells what INFO tells, DOCTOR has nothing to say of little data, PURGE frees what waits', async () => {
  await a.pipeline([
    ['SET', 'k', 'v'],
    ['SADD', 's', ...Array.from({ length: 1000 }, (_, i) => `member ${i}`)],
    ['UNLINK', 's'],
    ['MEMORY', 'PURGE'],
  ])
  expect(broker.server.keyspace.lazyFree.isPending).toBe(false)
  expect(broker.server.keyspace.lazyFree.freedObjects).toBe(1)
  const stats = (await a.call('MEMORY', 'STATS')) as (string | number | (string | number)[])[]
  const value = (name: string): unknown => stats[stats.indexOf(name) + 1]
  expect(stats).toHaveLength(2 * 28)
  const fields = await info('memory')
  expect(fields.get('used_memory')).toBe(String(value('total.allocated')))
  expect(fields.get('used_memory_overhead')).toBe(String(value('overhead.total')))
  expect(value('keys.count')).toBe(1)
  const { keys, expires } = broker.server.keyspace.databases[0]!
  expect(value('db.0')).toEqual([
    'overhead.hashtable.main',
    keys.overheadBytes(),
    'overhead.hashtable.expires',
    expires.overheadBytes(),
    'overhead.hashtable.slot-to-keys',
    0,
  ])
  expect(await a.call('MEMORY', 'DOCTOR')).toContain('too little to tell anything')
  expect(await a.call('MEMORY', 'MALLOC-STATS')).toBe('Stats not supported for the current allocator')
})

// ---- SLOWLOG

test('SLOWLOG keeps as much of the arguments as it is told', async () => {
  await a.call('CONFIG', 'SET', 'slowlog-entry-max-argc', '3', 'slowlog-entry-max-string-len', '4')
  await a.pipeline([
    ['CONFIG', 'SET', 'slowlog-log-slower-than', '0'],
    ['SLOWLOG', 'RESET'],
    ['MSET', 'long key', '1', 'b', '2'],
  ])
  const [entry] = (await a.call('SLOWLOG', 'GET', '1')) as [number, number, number, string[]][]
  expect(entry?.[3]).toEqual(['MSET', 'long... (4 more bytes)', '... (3 more arguments)'])
})

test('SLOWLOG keeps the newest entries with arguments, address and name', async () => {
  await a.pipeline([
    ['CLIENT', 'SETNAME', 'me'],
    ['CONFIG', 'SET', 'slowlog-log-slower-than', '0', 'slowlog-max-len', '3'],
    ['SLOWLOG', 'RESET'],
    ['SET', 'k', 'y'.repeat(200)],
    ['MSET', ...Array.from({ length: 40 }, (_, i) => String(i))],
    ['PING'],
  ])
  const entries = (await a.call('SLOWLOG', 'GET')) as [number, number, number, string[], string, string][]
  expect(entries).toHaveLength(3)
  const [ping, mset, set] = entries
  expect(ping?.[3]).toEqual(['PING'])
  expect(ping?.[5]).toBe('me')
  expect(ping?.[4]).toMatch(/^127\.0\.0\.1:\d+$/)
  expect(ping?.[1]).toBe(1_700_000_000)
  expect(mset?.[3]).toHaveLength(32)
  expect(mset?.[3].at(-1)).toBe('... (10 more arguments)')
  expect(set?.[3][2]).toBe(`${'y'.repeat(128)}... (72 more bytes)`)
  expect((ping?.[0] ?? 0) - (set?.[0] ?? 0)).toBe(2)
  expect(await a.call('SLOWLOG', 'LEN')).toBe(3)
  expect(await a.call('SLOWLOG', 'GET', '1')).toHaveLength(1)
  expect(await a.call('SLOWLOG', 'GET', '-1')).toHaveLength(3)
  expect(await a.call('SLOWLOG', 'GET', '-2')).toEqual({ error: 'ERR count should be greater than or equal to -1' })
})

test('SLOWLOG and MONITOR show no secrets', async () => {
  await a.call('CONFIG', 'SET', 'slowlog-log-slower-than', '0')
  const b = await broker.connect()
  await b.call('MONITOR')
  await a.pipeline([
    ['CONFIG', 'SET', 'requirepass', 'secret', 'timeout', '0'],
    ['HELLO', '2', 'AUTH', 'default', 'secret', 'SETNAME', 'x'],
    ['AUTH', 'secret'],
    ['AUTH', 'default', 'wrong'],
  ])
  const shown = JSON.stringify(await a.call('SLOWLOG', 'GET', '-1'))
  expect(shown).not.toMatch(/secret|wrong/)
  expect(shown).toContain('["CONFIG","SET","requirepass","(redacted)","timeout","0"]')
  expect(shown).toContain('["HELLO","2","AUTH","(redacted)","(redacted)","SETNAME","x"]')
  expect(JSON.stringify(await b.next())).toContain('\\"HELLO\\" \\"2\\" \\"AUTH\\" \\"(redacted)\\" \\"(redacted)\\"')
  expect(JSON.stringify(await b.next())).toContain('\\"AUTH\\" \\"(redacted)\\"')
})

test('a command that takes long is logged at the default threshold, in a transaction by itself', async () => {
  await a.pipeline([['MULTI'], ['DEBUG', 'SLEEP', '0.02'], ['EXEC']])
  const entries = (await a.call('SLOWLOG', 'GET')) as [number, number, number, string[]][]
  expect(entries.map((entry) => entry[3])).toEqual([['DEBUG', 'SLEEP', '0.02']])
  expect(entries[0]?.[2]).toBeGreaterThanOrEqual(19_000)
  await a.pipeline([
    ['SLOWLOG', 'RESET'],
    ['CONFIG', 'SET', 'slowlog-log-slower-than', '-1'],
    ['DEBUG', 'SLEEP', '0.02'],
  ])
  expect(await a.call('SLOWLOG', 'LEN')).toBe(0)
})

// ---- MONITOR

test('MONITOR shows executed commands with time, database and address', async () => {
  const b = await broker.connect()
  expect(await b.call('MONITOR')).toEqual(OK)
  await a.pipeline([['SELECT', '2'], ['SET', 'k', 'a\r\n"\x01'], ['GET'], ['CONFIG', 'GET', 'port'], ['ECHO', 'end']])
  const line = async (): Promise<string> => ((await b.next()) as { status: string }).status
  expect(await line()).toMatch(/^\d+\.\d{6} \[2 127\.0\.0\.1:\d+\] "SELECT" "2"$/)
  expect(await line()).toMatch(/ "SET" "k" "a\\r\\n\\"\\x01"$/)
  // Neither what was refused nor what is administrative.
  expect(await line()).toMatch(/ "ECHO" "end"$/)
})

test('MONITOR shows a script before its calls and a transaction after them', async () => {
  const b = await broker.connect()
  await b.call('MONITOR')
  await a.call('EVAL', "return redis.call('set', KEYS[1], '1')", '1', 'k')
  await a.pipeline([['MULTI'], ['GET', 'k'], ['EXEC']])
  const shown: string[] = []
  for (let i = 0; i < 5; i++) shown.push(((await b.next()) as { status: string }).status.replace(/^\S+ /, ''))
  expect(shown[0]).toContain('"EVAL"')
  expect(shown[1]).toBe('[0 lua] "set" "k" "1"')
  expect(shown.slice(2).map((text) => /"(\w+)"/.exec(text)?.[1])).toEqual(['MULTI', 'GET', 'EXEC'])
})

test('a monitor that is reset or goes away is fed no more', async () => {
  const b = await broker.connect()
  await b.call('MONITOR')
  expect(broker.server.pipeline.monitors.isEmpty).toBe(false)
  await b.call('RESET')
  expect(broker.server.pipeline.monitors.isEmpty).toBe(true)
  await b.call('MONITOR')
  b.close()
  while (broker.server.clientCount > 1) await a.call('PING')
  expect(broker.server.pipeline.monitors.isEmpty).toBe(true)
  await a.pipeline([['MULTI'], ['MONITOR']])
  expect(await a.call('EXEC')).toEqual([{ error: "ERR MONITOR isn't allowed for DENY BLOCKING client" }])
})

test('INFO cpu has the time of the main thread, which is part of that of the process', async () => {
  const cpu = await info('cpu')
  const [thread, whole] = [cpu.get('used_cpu_user_main_thread'), cpu.get('used_cpu_user')].map(Number)
  expect(thread).toBeGreaterThan(0)
  expect(thread).toBeLessThanOrEqual(whole ?? 0)
  expect(cpu.get('used_cpu_sys_main_thread')).toMatch(/^\d+\.\d{6}$/)
})

// ---- DEBUG, SHUTDOWN

test('DEBUG is refused unless the configuration allows it', async () => {
  const strict = await TestBroker.start({ 'enable-debug-command': 'no' })
  const client = await strict.connect()
  expect(await client.call('DEBUG', 'SLEEP', '0')).toEqual({
    error:
      'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.',
  })
  await strict.stop()
})

test('DEBUG ERROR replies its text as an error, which the statistics do not count', async () => {
  expect(await a.call('DEBUG', 'ERROR', 'LOADING fake\r\nmessage')).toEqual({ error: 'LOADING fake  message' })
  expect(await a.call('DEBUG', 'ERROR', '')).toEqual({ error: '' })
  expect((await info('errorstats')).size).toBe(0)
})

test('DEBUG DIGEST is equal for equal data, however they came about', async () => {
  const values = [
    ['SET', 's', 'text'],
    ['SET', 'n', '12'],
    ['RPUSH', 'l', 'a', 'b', 'c'],
    ['HSET', 'h', 'f1', 'v1', 'f2', '2'],
    ['SADD', 'set', '1', '2', '3'],
    ['SADD', 'set2', 'x', 'y'],
    ['ZADD', 'z', '1', 'a', '2.5', 'b'],
    ['XADD', 'x', '1-1', 'f', 'v'],
  ]
  await a.pipeline(values)
  const digest = await a.call('DEBUG', 'DIGEST')
  const each = await a.call('DEBUG', 'DIGEST-VALUE', 's', 'l', 'missing')
  await a.pipeline([['FLUSHALL'], ...values.reverse(), ['SREM', 'set', 'nothing'], ['RPUSH', 'l', 'd'], ['RPOP', 'l']])
  expect(await a.call('DEBUG', 'DIGEST')).toEqual(digest)
  expect(await a.call('DEBUG', 'DIGEST-VALUE', 's', 'l', 'missing')).toEqual(each)
  for (const change of [
    ['APPEND', 's', '!'],
    ['LSET', 'l', '0', 'b'],
    ['HSET', 'h', 'f1', 'v2'],
    ['ZADD', 'z', '3', 'b'],
    ['EXPIRE', 'n', '100'],
    ['XADD', 'x', '1-2', 'f', 'v'],
    ['MOVE', 'set', '1'],
  ]) {
    const before = await a.call('DEBUG', 'DIGEST')
    await a.call(...change)
    expect(await a.call('DEBUG', 'DIGEST')).not.toEqual(before)
  }
})

test('DEBUG LOADAOF forgets the data and reads them back from the log', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-loadaof-'))
  const logged = await TestBroker.start({ appendonly: 'yes', dir: directory })
  const client = await logged.connect()
  await client.pipeline([
    ['SET', 'k', '1'],
    ['RPUSH', 'l', 'a', 'b'],
    ['SELECT', '3'],
    ['SET', 'e', '1', 'PX', '100000'],
    ['XADD', 'x', '*', 'f', 'v'],
  ])
  const digest = await client.call('DEBUG', 'DIGEST')
  // In one batch with a write that is still in memory only.
  expect(
    await client.pipeline([
      ['SET', 'late', '1'],
      ['DEL', 'late'],
      ['DEBUG', 'LOADAOF'],
      ['DEBUG', 'DIGEST'],
    ]),
  ).toEqual([OK, 1, OK, digest])
  await client.call('INCR', 'after')
  expect(await client.call('DEBUG', 'LOADAOF')).toEqual(OK)
  expect(await client.call('GET', 'after')).toBe('1')
  await client.pipeline([['MULTI'], ['INCR', 'after'], ['DEBUG', 'LOADAOF']])
  expect(await client.call('EXEC')).toEqual([
    2,
    { error: 'ERR Error trying to load the AOF files, check server logs.' },
  ])
  expect(await client.call('GET', 'after')).toBe('2')
  await logged.stop()
  rmSync(directory, { recursive: true })
})

test('DEBUG LOADAOF is refused without a log', async () => {
  expect(await a.call('DEBUG', 'LOADAOF')).toEqual({
    error: 'ERR Error trying to load the AOF files, check server logs.',
  })
})

test('DEBUG POPULATE adds keys that are missing', async () => {
  await a.call('SET', 'key:1', 'kept')
  expect(await a.call('DEBUG', 'POPULATE', '3')).toEqual(OK)
  expect(await a.call('MGET', 'key:0', 'key:1', 'key:2')).toEqual(['value:0', 'kept', 'value:2'])
  await a.call('DEBUG', 'POPULATE', '1', 'long', '20')
  expect(await a.call('STRLEN', 'long:0')).toBe(20)
  expect(await a.call('DEBUG', 'POPULATE', '-1')).toEqual({ error: 'ERR value is out of range, must be positive' })
})

test('DEBUG PROTOCOL has one reply of each type', async () => {
  expect(await a.call('DEBUG', 'PROTOCOL', 'double')).toBe('3.141')
  expect(await a.call('DEBUG', 'PROTOCOL', 'push')).toEqual({ error: 'ERR RESP2 is not supported by this command' })
  expect(await a.call('DEBUG', 'PROTOCOL', 'attrib')).toBe('Some real reply following the attribute')
  await a.call('HELLO', '3')
  expect(await a.call('DEBUG', 'PROTOCOL', 'double')).toEqual({ double: '3.141' })
  expect(await a.call('DEBUG', 'PROTOCOL', 'push')).toBe('Some real reply following the push reply')
  expect(await a.nextPush()).toEqual(['server-cpu-usage', 42])
  expect(await a.call('DEBUG', 'PROTOCOL', 'map')).toEqual({
    map: [
      [0, false],
      [1, true],
      [2, false],
    ],
  })
  expect(await a.call('DEBUG', 'PROTOCOL', 'verbatim')).toEqual({ verbatim: 'txt:This is a verbatim\nstring' })
})

test('DEBUG refuses what it does not have', async () => {
  expect(await a.call('DEBUG', 'SEGFAULT')).toEqual({
    error: "ERR unknown subcommand or wrong number of arguments for 'SEGFAULT'. Try DEBUG HELP.",
  })
  expect(await a.call('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', 'x')).toEqual({
    error: 'ERR argument must be a memory value bigger than 1 and smaller than 4gb',
  })
})

test('SHUTDOWN asks the process to end, once all is in order', async () => {
  expect(await a.call('SHUTDOWN', 'WHAT')).toEqual({ error: 'ERR syntax error' })
  expect(await a.call('SHUTDOWN', 'SAVE', 'NOSAVE')).toEqual({ error: 'ERR syntax error' })
  expect(await a.call('SHUTDOWN', 'ABORT', 'NOW')).toEqual({ error: 'ERR syntax error' })
  expect(await a.call('SHUTDOWN', 'ABORT')).toEqual({ error: 'ERR No shutdown in progress.' })
  expect(await a.call('SHUTDOWN', 'SAVE')).toEqual({ error: 'ERR Errors trying to SHUTDOWN. Check logs.' })
  // A broker inside a program is not the process.
  expect(await a.call('SHUTDOWN')).toEqual({ error: 'ERR Errors trying to SHUTDOWN. Check logs.' })
  let calls = 0
  broker.server.onShutdown = () => {
    calls++
  }
  a.write('SHUTDOWN', 'NOSAVE')
  await a.closed()
  expect(calls).toBe(1)
})

test('a client whose replies outgrow the hard limit is closed, and its commands were executed', async () => {
  const b = await broker.connect()
  await b.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 100000 0 0')
  await b.call('SET', 'big', 'x'.repeat(20_000))
  const replies = a.pipeline([...Array.from({ length: 10 }, () => ['GET', 'big']), ['SET', 'done', '1']])
  await expect(replies).rejects.toThrow()
  expect(await b.call('GET', 'done')).toBe('1')
  expect((await b.call('INFO', 'stats')) as string).toContain('client_output_buffer_limit_disconnections:1')
})
