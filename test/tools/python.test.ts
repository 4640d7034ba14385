/** redis-py, as Debian packages it: pipelines, transactions, pub/sub, streams, locks, iteration, scripts. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'
import { hasTool, runTool } from './tool.ts'

const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('redis_py.py', import.meta.url))

describe.skipIf(!hasTool(PYTHON, ['-c', 'import redis']))('redis-py', () => {
  let server: ServerProcess

  beforeAll(async () => {
    server = await ServerProcess.millrace(['--appendonly', 'no'])
  })

  afterAll(() => server.dispose())

  test('does what it does with Redis', async () => {
    const { code, output } = await runTool(PYTHON, ['-B', SCRIPT, String(server.port)], 30_000)
    expect(code, output).toBe(0)
    expect(output).toContain('all passed')
  }, 40_000)
})
