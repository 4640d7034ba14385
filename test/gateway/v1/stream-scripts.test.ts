/** The scripts of streams and groups reply the same on a real redis-server: the gateway may stand before one. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineScript } from '../../../src/gateway/engine.ts'
import { APPEND } from '../../../src/gateway/v1/stream-append.ts'
import { NACK } from '../../../src/gateway/v1/stream-groups.ts'
import { DELETE_STREAM } from '../../../src/gateway/v1/streams.ts'
import { TestBroker } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'

/** Idle times of entries that were given back, which grow. */
const GIVEN_BACK_IDLE_MS = 1e12

type Step = readonly string[] | readonly [EngineScript, readonly string[], readonly (string | number)[]]

let broker: TestBroker
let redis: ServerProcess
let clients: readonly RespClient[]

describe.skipIf(!hasRedisServer)('Beside redis-server', () => {
  beforeAll(async () => {
    broker = await TestBroker.start()
    redis = await ServerProcess.redis()
    clients = [await broker.connect(), await redis.connect()]
  })

  afterAll(async () => {
    clients[1]?.close()
    await redis.dispose()
    await broker.stop()
  })

  test('appending does all or nothing, once for each key', async () => {
    const high = '18446744073709551615'
    const append = (keys: string[], digest: string, creates: 0 | 1, lowest: string, ...rest: (string | number)[]) =>
      [APPEND, keys, [digest, 60_000, creates, lowest, ...rest]] as const
    const replies = await runOnBoth([
      append(['s'], '', 0, '', 0, '*', 2, 'a', '1'),
      append(['s', 'm'], 'd1', 1, padded('5', '0'), 0, '5-0', 2, 'a', '1', '5-1', 4, 'a', '2', 'b', '3'),
      append(['s', 'm'], 'd1', 1, padded('5', '0'), 0, '5-0', 2, 'a', '1', '5-1', 4, 'a', '2', 'b', '3'),
      append(['s', 'm'], 'd2', 1, '', 0, '*', 2, 'a', '1'),
      append(['s'], '', 1, padded('5', '1'), 0, '5-1', 2, 'a', '1', '6-0', 2, 'a', '1'),
      append(['s'], '', 1, padded('6', '0'), 3, 'MAXLEN', '=', 2, '6-0', 2, 'a', '1', '7-0', 2, 'a', '1'),
      append(['s'], '', 1, '', 0, 'x-y', 2, 'a', '1'),
      ['XRANGE', 's', '-', '+'],
      ['XADD', 'full', `${high}-${high}`, 'a', '1'],
      append(['full'], '', 1, '', 0, '*', 2, 'a', '1', '*', 2, 'a', '1'),
      ['SET', 'text', 'x'],
      append(['text'], '', 1, '', 0, '*', 2, 'a', '1', '*', 2, 'a', '1'),
      ['GET', 'm'],
    ])
    expect(replies.at(-1)).toBe('d1 5-0 5-1')
  })

  test('giving back keeps the owner and the count', async () => {
    const replies = await runOnBoth([
      [NACK, ['s'], ['g', 'ann', 0, '1-0']],
      ['XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM'],
      ...['1-0', '2-0', '3-0'].map((id) => ['XADD', 's', id, 'a', '1']),
      ['XREADGROUP', 'GROUP', 'g', 'ann', 'COUNT', '3', 'STREAMS', 's', '>'],
      ['XDEL', 's', '3-0'],
      [NACK, ['s'], ['g', 'ann', 0, '1-0', '3-0', '9-0']],
      [NACK, ['s'], ['g', 'ann', 1, '2-0']],
      [NACK, ['s'], ['g', 'bob', 0, '2-0']],
      [NACK, ['s'], ['g', 'ann', 0, '99999999999999999999-0']],
      ['XPENDING', 's', 'g', 'IDLE', String(GIVEN_BACK_IDLE_MS), '-', '+', '10'],
      ['XAUTOCLAIM', 's', 'g', 'bob', String(GIVEN_BACK_IDLE_MS), '0', 'COUNT', '1'],
      ['XPENDING', 's', 'g'],
    ])
    expect(replies.at(-3)).toEqual([
      ['1-0', 'ann', GIVEN_BACK_IDLE_MS, 1],
      ['2-0', 'ann', GIVEN_BACK_IDLE_MS, 0],
    ])
  })

  test('deleting a stream deletes nothing else', async () => {
    await runOnBoth([
      ['XADD', 's', '1-0', 'a', '1'],
      [DELETE_STREAM, ['s'], []],
      [DELETE_STREAM, ['s'], []],
      ['SET', 's', 'x'],
      [DELETE_STREAM, ['s'], []],
      ['GET', 's'],
    ])
  })
})

/** Runs steps on both servers and compares all replies, errors included; returns ours. */
async function runOnBoth(steps: readonly Step[]): Promise<readonly Reply[]> {
  const results: Reply[][] = []
  for (const client of clients) {
    const replies: Reply[] = []
    for (const step of [['FLUSHALL'], ...steps] as readonly Step[]) {
      replies.push(withoutTimes(await client.call(...wordsOf(step))))
    }
    results.push(replies)
  }
  expect(results[0]).toEqual(results[1])
  return results[0]!
}

function wordsOf(step: Step): string[] {
  const [script, keys, args] = step
  if (typeof script !== 'object') return step as string[]
  return ['EVAL', script.source, String(keys!.length), ...keys!, ...(args as readonly (string | number)[]).map(String)]
}

function withoutTimes(reply: Reply): Reply {
  if (Array.isArray(reply)) return reply.map(withoutTimes)
  return typeof reply === 'number' && reply >= GIVEN_BACK_IDLE_MS ? GIVEN_BACK_IDLE_MS : reply
}

function padded(ms: string, seq: string): string {
  return ms.padStart(20, '0') + seq.padStart(20, '0')
}
