/** Health checks, and how the gateway ends. */
import { Agent, get } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { EngineUnavailableError } from '../../../src/gateway/engine.ts'
import { TestGateway } from '../../support/gateway.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import { until } from '../../support/redis-servers.ts'
import { freePort, ServerProcess } from '../../support/server-process.ts'

let gateway: TestGateway | null = null

afterEach(async () => {
  await gateway?.close()
  gateway = null
})

const HEAD = 'Host: 127.0.0.1\r\n'

describe('Health', () => {
  test('is public, and says no more than the state', async () => {
    gateway = await TestGateway.start({ requirepass: 'secret' })
    const alive = await gateway.fetch('/healthz')
    expect([alive.status, await alive.json()]).toEqual([200, { status: 'ok' }])
    const ready = await gateway.fetch('/readyz')
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', engine: 'local', detail: 'ready' }])
    expect(ready.headers.get('cache-control')).toBe('no-store')
  })

  test('an engine that is not ready makes the gateway not ready, but alive', async () => {
    gateway = await TestGateway.start()
    await gateway.engine.close()
    const ready = await gateway.fetch('/readyz')
    expect(ready.status).toBe(503)
    expect(await ready.json()).toEqual({ status: 'not ready', engine: 'local', detail: 'closed' })
    expect((await gateway.fetch('/healthz')).status).toBe(200)
    await expect(gateway.call('PING')).rejects.toThrow(EngineUnavailableError)
  })

  test.each(['/healthz', '/readyz', '/metrics'])('%s takes GET and HEAD only', async (path) => {
    gateway = await TestGateway.start({ requirepass: 'secret' })
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const response = await gateway.fetch(path, { method, body: method === 'DELETE' ? null : 'x' })
      expect([response.status, response.headers.get('allow')], method).toEqual([405, 'GET, HEAD'])
      expect(response.headers.get('content-type')).toContain('application/problem+json')
    }
    const head = await gateway.fetch(path, { method: 'HEAD', token: 'secret' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })
})

describe('While the gateway closes', () => {
  test('/readyz is 503, requests under way are answered, and connections end with their answers', async () => {
    gateway = await TestGateway.start()
    const waiting = await RawConnection.connect(gateway.port)
    waiting.send(`GET /blpop/list/0 HTTP/1.1\r\n${HEAD}\r\n`)
    const busy = await RawConnection.connect(gateway.port)
    // The head is there, so the request is under way; its body comes while the gateway closes.
    busy.send(`POST /multi-exec HTTP/1.1\r\n${HEAD}Expect: 100-continue\r\nContent-Length: 20\r\n\r\n`)
    await busy.until((text) => text.includes('100 Continue'))
    const idle = await RawConnection.connect(gateway.port)
    idle.send(`GET /readyz HTTP/1.1\r\n${HEAD}\r\n`)
    await idle.until((text) => text.endsWith('}'))
    while (gateway.broker.server.blockedCount === 0) await gateway.call('PING')
    const pipelined = await RawConnection.connect(gateway.port)
    pipelined.send(`POST /v1/tokens HTTP/1.1\r\n${HEAD}Content-Length: 2\r\nContent-Type: application/json\r\n\r\n`)
    await gateway.fetch('/healthz')

    const closing = gateway.gateway.close()
    pipelined.send(`{}GET /readyz HTTP/1.1\r\n${HEAD}\r\n`)
    busy.send('[["set","a","b"]]   ')
    await Promise.all([waiting.ended(), busy.ended(), idle.ended(), pipelined.ended(), closing])
    expect(idle.text).toContain('"status":"ready"')
    expect(busy.text).toContain('[{"result":"OK"}]')
    // A long poll ends with an answer, not with the connection.
    expect(waiting.text).toMatch(/^HTTP\/1\.1 (?:200|503) /)
    expect(pipelined.text).toMatch(/^HTTP\/1\.1 400 /)
    expect(await gateway.call('GET', 'a')).toBe('b')
  }, 15_000)

  test('/readyz says so on connections that are still open', async () => {
    gateway = await TestGateway.start()
    const open = await RawConnection.connect(gateway.port)
    // Half a request keeps the connection from being idle.
    open.send('GET /readyz HTTP/1.1\r\n')
    await gateway.fetch('/healthz')
    const closing = gateway.gateway.close()
    open.send(`${HEAD}\r\n`)
    await Promise.all([open.ended(), closing])
    expect(open.text).toMatch(/^HTTP\/1\.1 503 /)
    expect(open.text.toLowerCase()).toContain('connection: close')
    expect(open.text).toContain('"status":"draining"')
  }, 15_000)

  test('who does not end is cut off', async () => {
    gateway = await TestGateway.start()
    const stuck = await RawConnection.connect(gateway.port)
    stuck.send(`POST /multi-exec HTTP/1.1\r\n${HEAD}Content-Length: 20\r\n\r\n`)
    await gateway.fetch('/healthz')
    const started = performance.now()
    await Promise.all([gateway.gateway.close(), stuck.ended()])
    expect(performance.now() - started).toBeLessThan(8000)
  }, 15_000)
})

describe('A process', () => {
  test('that is told to end closes both doors and exits with 0', async () => {
    const httpPort = await freePort()
    const server = await ServerProcess.millrace(['--http-port', String(httpPort)])
    // The gateway is the last thing that opens.
    await until('the process is ready', () => server.output.includes('Ready to accept'))
    const agent = new Agent({ keepAlive: true })
    const status = await new Promise<number>((resolve, reject) => {
      const request = get({ port: httpPort, host: '127.0.0.1', path: '/readyz', agent }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
      })
      request.on('error', reject)
    })
    expect(status).toBe(200)
    const poll = await RawConnection.connect(httpPort)
    poll.send(`GET /blpop/list/0 HTTP/1.1\r\n${HEAD}\r\n`)
    const started = performance.now()
    await server.terminate()
    await poll.ended()
    expect(server.exitCode).toBe(0)
    // An idle connection, and one that waits, do not hold it up.
    expect(performance.now() - started).toBeLessThan(4000)
    agent.destroy()
    await server.dispose()
  }, 30_000)
})
