/** Connections that one call at a time has for itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineUnavailableError } from '../../../src/gateway/engine.ts'
import { openConnection, Reconnect } from '../../../src/gateway/remote/connection.ts'
import { ConnectionPool } from '../../../src/gateway/remote/connection-pool.ts'
import { parseEngineUrl } from '../../../src/gateway/remote/engine-url.ts'
import { RemoteCommand } from '../../../src/gateway/remote/remote-command.ts'
import type { Patience } from '../../../src/gateway/remote/wakeups.ts'
import { until } from '../../support/redis-servers.ts'
import { freePort, hasRedisServer, ServerProcess } from '../../support/server-process.ts'

describe.skipIf(!hasRedisServer)('a connection pool', () => {
  let server: ServerProcess

  beforeAll(async () => {
    server = await ServerProcess.redis()
  })

  afterAll(() => server.dispose())

  function newPool(max: number, idleMax: number, port = server.port): ConnectionPool {
    const target = parseEngineUrl(`redis://127.0.0.1:${port}`)
    return new ConnectionPool({ open: () => openConnection(target, null, Reconnect.Never), max, idleMax })
  }

  function within(ms: number, signal: AbortSignal | null = null): Patience {
    return { deadlineMs: performance.now() + ms, signal }
  }

  test('hands out a connection again, and closes those beyond what is kept', async () => {
    const pool = newPool(3, 1)
    const taken = await Promise.all([1, 2].map(() => pool.acquire(within(5000))))
    for (const connection of taken) pool.release(connection)
    await until('one is closed', () => pool.size === 1)
    const again = await pool.acquire(within(5000))
    expect(taken).toContain(again)
    expect(String(await again.send(new RemoteCommand(['PING'])))).toBe('PONG')
    pool.close()
    await until('all are closed', () => pool.size === 0)
  })

  test('has whoever comes when all are taken wait, in order, and no longer than he wants', async () => {
    const pool = newPool(1, 1)
    const first = await pool.acquire(within(5000))
    const order: number[] = []
    const waiting = [1, 2].map(async (n) => {
      const connection = await pool.acquire(within(5000))
      order.push(n)
      pool.release(connection)
    })
    await expect(pool.acquire(within(50))).rejects.toThrow(
      new EngineUnavailableError('All 1 connections for calls of this kind are taken'),
    )
    const controller = new AbortController()
    const cancelled = pool.acquire(within(5000, controller.signal))
    controller.abort()
    await expect(cancelled).rejects.toThrow('The call was taken back')
    pool.release(first)
    await Promise.all(waiting)
    expect(order).toEqual([1, 2])
    pool.close()
    await expect(pool.acquire(within(50))).rejects.toThrow('The engine is closed')
  })

  test('does not hand out a connection that the server has closed', async () => {
    const pool = newPool(2, 2)
    const connection = await pool.acquire(within(5000))
    const id = await connection.id()
    pool.release(connection)
    const client = await server.connect()
    await client.call('CLIENT', 'KILL', 'ID', String(id))
    client.close()
    await until('the pool has noticed', () => pool.size === 0)
    expect(await pool.acquire(within(5000))).not.toBe(connection)
    pool.close()
  })

  test('says when none can be opened', async () => {
    const pool = newPool(1, 1, await freePort())
    await expect(pool.acquire(within(5000))).rejects.toThrow('Cannot open another connection')
    await until('its place is free', () => pool.size === 0)
  })
})
