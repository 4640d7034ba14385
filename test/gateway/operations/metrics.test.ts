/** /metrics: the text format, what is in it, and for whom. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway

beforeEach(async () => {
  gateway = await TestGateway.start()
})

afterEach(() => gateway.close())

interface Metric {
  readonly type: string
  /** By the text of name and labels. */
  readonly samples: Map<string, number>
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)*\})? (\S+)$/

/** Reads the text as strictly as Prometheus does, and checks what promtool checks. */
function parse(text: string): Map<string, Metric> {
  expect(text.endsWith('\n')).toBe(true)
  const metrics = new Map<string, Metric>()
  let name = ''
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, kind, about = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (kind === 'HELP') {
      expect(about).toMatch(NAME)
      expect(metrics.has(about), `${about} is there twice`).toBe(false)
      name = about
    } else if (kind === 'TYPE') {
      expect(about).toBe(name)
      metrics.set(name, { type: rest, samples: new Map() })
    } else {
      const [, sample = '', labels = '', value = ''] = SAMPLE.exec(line) ?? []
      const metric = metrics.get(name)
      const base = metric?.type === 'histogram' ? sample.replace(/_(?:bucket|sum|count)$/, '') : sample
      expect(base, line).toBe(name)
      expect(Number.isNaN(Number(value)) && value !== 'NaN', line).toBe(false)
      expect(metric?.samples.has(sample + labels), line).toBe(false)
      metric?.samples.set(sample + labels, Number(value))
    }
  }
  for (const [metricName, { type, samples }] of metrics) {
    if (type === 'counter') expect(metricName).toMatch(/_total$|_processed$/)
    if (type === 'counter') for (const value of samples.values()) expect(value).toBeGreaterThanOrEqual(0)
  }
  return metrics
}

async function scrape(path = '/metrics', token?: string): Promise<Map<string, Metric>> {
  const response = await gateway.fetch(path, token === undefined ? {} : { token })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  return parse(await response.text())
}

function value(metrics: Map<string, Metric>, sample: string): number | undefined {
  const name = sample.replace(/\{.*/, '')
  const metric = metrics.get(name) ?? metrics.get(name.replace(/_(?:bucket|count|sum)$/, ''))
  return metric?.samples.get(sample)
}

describe('The engine', () => {
  test('is shown by the names of redis_exporter', async () => {
    await gateway.call('SET', 'key', 'value', 'EX', 100)
    await gateway.call('GET', 'key')
    await gateway.call('GET', 'nothing')
    await gateway.call('INCR', 'key').catch(() => null)
    const metrics = await scrape()
    expect(value(metrics, 'redis_up')).toBe(1)
    expect(value(metrics, 'redis_db_keys{db="db0"}')).toBe(1)
    expect(value(metrics, 'redis_db_keys_expiring{db="db0"}')).toBe(1)
    expect(value(metrics, 'redis_keyspace_hits_total')).toBe(1)
    expect(value(metrics, 'redis_keyspace_misses_total')).toBe(1)
    expect(value(metrics, 'redis_commands_total{cmd="get"}')).toBe(2)
    expect(value(metrics, 'redis_commands_failed_calls_total{cmd="incr"}')).toBe(1)
    expect(value(metrics, 'redis_commands_duration_seconds_total{cmd="get"}')).toBeGreaterThan(0)
    expect(value(metrics, 'redis_errors_total{err="ERR"}')).toBe(1)
    expect(value(metrics, 'redis_memory_used_bytes')).toBeGreaterThan(0)
    for (const name of [
      'redis_uptime_in_seconds',
      'redis_connected_clients',
      'redis_blocked_clients',
      'redis_expired_keys_total',
      'redis_evicted_keys_total',
      'redis_connections_received_total',
      'redis_commands_processed_total',
      'redis_instance_info',
      'redis_start_time_seconds',
      'redis_acl_access_denied_auth_total',
    ]) {
      expect(metrics.get(name)?.samples.size, name).toBe(1)
    }
  })

  test('that was held up shows what by', async () => {
    await gateway.call('EVAL', 'local n = 0 for i = 1, 2e7 do n = n + i % 7 end', '0')
    const script = 'millrace_command_stalls_total{cmd="eval"}'
    let metrics = await scrape()
    while (!metrics.get('millrace_command_stalls_total')?.samples.has(script)) metrics = await scrape()
    const { type, samples } = metrics.get('millrace_stall_duration_seconds')!
    expect(type).toBe('histogram')
    const bucket = (le: string): number | undefined =>
      samples.get(`millrace_stall_duration_seconds_bucket{le="${le}",cause="script"}`)
    const count = samples.get('millrace_stall_duration_seconds_count{cause="script"}')!
    expect(bucket('+Inf')).toBe(count)
    expect(bucket('0.005')).toBe(0)
    expect(samples.get('millrace_stall_duration_seconds_sum{cause="script"}')).toBeGreaterThanOrEqual(0.01)
    expect(metrics.get('millrace_command_stalls_total')?.samples.get(script)).toBe(1)
  })

  test('that is closed is down; the rest is there', async () => {
    await gateway.engine.close()
    const metrics = await scrape()
    expect(value(metrics, 'redis_up')).toBe(0)
    expect(value(metrics, 'millrace_engine_ready')).toBe(0)
    expect(metrics.has('millrace_gateway_connections')).toBe(true)
  })
})

describe('Streams and queues', () => {
  test('show length, pending entries and lag of each group, whatever their names', async () => {
    const stream = 'a "b"\\c\nd'
    for (let i = 0; i < 3; i++) await gateway.call('XADD', stream, '*', 'n', i)
    await gateway.call('XGROUP', 'CREATE', stream, 'pending', 0)
    await gateway.call('XREADGROUP', 'GROUP', 'pending', 'c', 'COUNT', 2, 'STREAMS', stream, '>')
    const metrics = await scrape()
    const labels = 'db="db0",stream="a \\"b\\"\\\\c\\nd"'
    expect(value(metrics, `redis_stream_length{${labels}}`)).toBe(3)
    expect(value(metrics, `redis_stream_groups{${labels}}`)).toBe(1)
    expect(value(metrics, `redis_stream_group_messages_pending{${labels},group="pending"}`)).toBe(2)
    expect(value(metrics, `redis_stream_group_lag{${labels},group="pending"}`)).toBe(1)
    expect(value(metrics, `redis_stream_group_consumers{${labels},group="pending"}`)).toBe(1)
  })

  test('a stream that is gone is left out', async () => {
    await gateway.call('XADD', 's', '*', 'a', 'b')
    expect(value(await scrape(), 'redis_stream_length{db="db0",stream="s"}')).toBe(1)
    await gateway.call('DEL', 's')
    expect(value(await scrape(), 'redis_stream_length{db="db0",stream="s"}')).toBeUndefined()
  })

  test('a queue of BullMQ shows its jobs by state', async () => {
    await gateway.call('HSET', 'bull:mail:meta', 'opts.maxLenEvents', '10000')
    await gateway.call('LPUSH', 'bull:mail:wait', '1', '2')
    await gateway.call('ZADD', 'bull:mail:delayed', 1, '3')
    const metrics = await scrape()
    expect(value(metrics, 'bullmq_job_count{queue="mail",state="waiting"}')).toBe(2)
    expect(value(metrics, 'bullmq_job_count{queue="mail",state="delayed"}')).toBe(1)
    expect(value(metrics, 'bullmq_job_count{queue="mail",state="failed"}')).toBe(0)
  })

  test('among many, as many as there is room for are shown', async () => {
    for (let i = 0; i < 250; i++) await gateway.call('XADD', `s${i}`, '*', 'a', 'b')
    const samples = (await scrape()).get('redis_stream_length')?.samples
    expect(samples?.size).toBe(200)
    const missing = Array.from({ length: 250 }, (_, i) => `s${i}`).find(
      (name) => !samples?.has(`redis_stream_length{db="db0",stream="${name}"}`),
    )
    // One that is asked for by name is shown.
    const named = await scrape(`/metrics?stream=${missing}`)
    expect(value(named, `redis_stream_length{db="db0",stream="${missing}"}`)).toBe(1)
  })
})

describe('Users', () => {
  test('who may not run INFO are refused', async () => {
    gateway.user('ann', ['on', '+@all', '-info', '~*'])
    const response = await gateway.fetch('/metrics', { token: gateway.tokenOf('ann') })
    expect(response.status).toBe(403)
    expect(await response.text()).not.toContain('redis_')
  })

  test('see the streams and queues that they may look at', async () => {
    for (const stream of ['app:s', 'other:s']) await gateway.call('XADD', stream, '*', 'a', 'b')
    await gateway.call('HSET', 'bull:mail:meta', 'a', 'b')
    gateway.user('ann', ['on', '+info', '+scan', '+xinfo', '~app:*'])
    gateway.user('ben', ['on', '+info', '+xinfo', '~*'])
    const ann = await scrape('/metrics?stream=other:s', gateway.tokenOf('ann'))
    expect([...(ann.get('redis_stream_length')?.samples.keys() ?? [])]).toEqual([
      'redis_stream_length{db="db0",stream="app:s"}',
    ])
    expect(ann.has('bullmq_job_count')).toBe(false)
    // Who may not SCAN sees only what it names.
    const ben = await scrape('/metrics?stream=other:s', gateway.tokenOf('ben'))
    expect([...(ben.get('redis_stream_length')?.samples.keys() ?? [])]).toEqual([
      'redis_stream_length{db="db0",stream="other:s"}',
    ])
  })

  test('a user as docs/OPERATIONS.md makes it sees all, and no more than that', async () => {
    await gateway.call('XADD', 's', '*', 'a', 'b')
    await gateway.call('HSET', 'bull:mail:meta', 'a', 'b')
    gateway.user('metrics', ['on', 'resetkeys', '%R~*', '+info', '+scan', '+xinfo', '+exists', '+llen', '+zcard'])
    const token = gateway.tokenOf('metrics')
    const metrics = await scrape('/metrics', token)
    expect(metrics.get('redis_stream_length')?.samples.size).toBe(1)
    expect(metrics.get('bullmq_job_count')?.samples.size).toBe(8)
    expect((await gateway.fetch('/get/s', { token })).status).toBe(400)
  })

  test('wrong parameters are refused', async () => {
    expect((await gateway.fetch('/metrics?streams=a')).status).toBe(400)
    const many = Array.from({ length: 101 }, (_, i) => `stream=${i}`).join('&')
    expect((await gateway.fetch(`/metrics?${many}`)).status).toBe(400)
  })
})

describe('The gateway and the process', () => {
  test('requests are counted by route and status, of the fast lane too', async () => {
    for (let i = 0; i < 3; i++) await gateway.fetch('/pipeline', { json: [['PING']] })
    await gateway.fetch('/pipeline', { json: 'nonsense' })
    await gateway.fetch('/v1/keys/x')
    const metrics = await scrape()
    const requests = 'millrace_gateway_requests_total'
    expect(value(metrics, `${requests}{method="POST",route="/pipeline",status="200"}`)).toBe(3)
    expect(value(metrics, `${requests}{method="POST",route="/pipeline",status="400"}`)).toBe(1)
    expect(value(metrics, `${requests}{method="GET",route="/v1/keys/:key",status="404"}`)).toBe(1)
    const duration = 'millrace_gateway_request_duration_seconds'
    const labels = 'method="POST",route="/pipeline"'
    expect(value(metrics, `${duration}_count{${labels}}`)).toBe(4)
    expect(value(metrics, `${duration}_bucket{le="+Inf",${labels}}`)).toBe(4)
    expect(value(metrics, `${duration}_sum{${labels}}`)).toBeGreaterThan(0)
  })

  test('streams of server-sent events are counted while they are open, and what they are sent', async () => {
    const leaving = new AbortController()
    const response = await gateway.fetch('/subscribe/news', { method: 'POST', signal: leaving.signal })
    const reader = response.body?.getReader()
    await reader?.read()
    await gateway.call('PUBLISH', 'news', 'hello')
    await reader?.read()
    const open = await scrape()
    expect(value(open, 'millrace_gateway_event_streams')).toBe(1)
    expect(value(open, 'millrace_gateway_messages_pushed_total')).toBe(1)
    leaving.abort()
    while (value(await scrape(), 'millrace_gateway_event_streams') !== 0) await Promise.resolve()
  })

  test('what went wrong is counted', async () => {
    gateway.user('default', ['resetpass', '>secret'])
    await gateway.fetch('/ping', { token: 'wrong' })
    const metrics = await scrape('/metrics', 'secret')
    expect(value(metrics, 'millrace_gateway_logins_denied_total')).toBe(1)
    expect(value(metrics, 'redis_acl_access_denied_auth_total')).toBe(1)
    expect(value(metrics, 'millrace_gateway_connections')).toBeGreaterThanOrEqual(1)
  })

  test('loop, collections and memory are shown', async () => {
    const metrics = await scrape()
    for (const name of [
      'nodejs_eventloop_lag_p99_seconds',
      'nodejs_eventloop_lag_max_seconds',
      'millrace_event_loop_stalls_total',
      'nodejs_gc_duration_seconds',
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
    ]) {
      expect(metrics.has(name), name).toBe(true)
    }
  })
})
