/** Our Lua scripts run on a real redis-server as they do here: the resource API may stand before one. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EngineScript } from '../../../src/gateway/engine.ts'
import {
  AROUND_MEMBER,
  DELETE_BOARD,
  DELETE_VALUE,
  EVICT_VALUE,
  EXPIRE_VALUE,
  INDEX_TAG,
  RATE_LIMIT,
  SET_VALUE,
  SUBMIT_SCORES,
} from '../../../src/gateway/v1/scripts.ts'
import { TestBroker } from '../../support/broker.ts'
import type { Reply, RespClient } from '../../support/resp-client.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'

/** So long that the milliseconds between the two servers do not show when times are rounded. */
const WINDOW_MS = 31 * 86_400_000
const ROUNDING_MS = 1_000_000

let broker: TestBroker
let redis: ServerProcess | null = null
let clients: readonly RespClient[] = []

beforeAll(async () => {
  if (!hasRedisServer) return
  broker = await TestBroker.start()
  redis = await ServerProcess.redis()
  clients = [await broker.connect(), await redis.connect()]
})

afterAll(async () => {
  if (redis === null) return
  clients[1]?.close()
  await redis.dispose()
  await broker.stop()
})

type Step = readonly string[] | readonly [EngineScript, readonly string[], readonly (string | number)[]]

/** Runs steps on both servers and compares all replies; returns ours. */
async function runOnBoth(steps: readonly Step[]): Promise<readonly Reply[]> {
  const results: Reply[][] = []
  for (const client of clients) {
    const replies: Reply[] = []
    for (const step of [['FLUSHALL'], ...steps]) replies.push(roundTimes(await client.call(...wordsOf(step as Step))))
    results.push(replies)
  }
  expect(results[0]).toEqual(results[1])
  expect(results[0]!.filter((reply) => typeof reply === 'object' && reply !== null && 'error' in reply)).toEqual([])
  return results[0]!.slice(1)
}

function wordsOf(step: Step): string[] {
  const [script, keys, args] = step
  if (typeof script !== 'object') return step as string[]
  return ['EVAL', script.source, String(keys!.length), ...keys!, ...(args as readonly (string | number)[]).map(String)]
}

function roundTimes(reply: Reply): Reply {
  if (Array.isArray(reply)) return reply.map(roundTimes)
  return typeof reply === 'number' && reply >= ROUNDING_MS ? Math.round(reply / ROUNDING_MS) * ROUNDING_MS : reply
}

test.skipIf(!hasRedisServer)('leaderboards', async () => {
  await runOnBoth([
    [SUBMIT_SCORES, ['b'], ['set', '', 'always', 'ann', '1.5', 'bob', '2', 'cid', '1e+21']],
    [SUBMIT_SCORES, ['b'], ['increment', WINDOW_MS, 'new', 'ann', '0.25', 'dan', '-3', 'dan', '0']],
    [SUBMIT_SCORES, ['b'], ['best', WINDOW_MS, 'always', 'ann', '1', 'bob', '7']],
    [SUBMIT_SCORES, ['b'], ['lowest', '', 'always', 'ann', '1', 'bob', '9']],
    [AROUND_MEMBER, ['b'], ['ann', 1, 1, 'desc']],
    [AROUND_MEMBER, ['b'], ['ann', 9, 0, 'asc']],
    [AROUND_MEMBER, ['b'], ['zoe', 1, 1, 'asc']],
    ['PTTL', 'b'],
    [DELETE_BOARD, ['b'], []],
    [DELETE_BOARD, ['b'], []],
  ])
})

test.skipIf(!hasRedisServer).each(['fixed-window', 'sliding-window', 'gcra'])(
  'rate limits by %s',
  async (algorithm) => {
    const ask = (cost: number, mode: string): Step => [RATE_LIMIT, ['r'], [algorithm, 10, WINDOW_MS, 10, cost, mode]]
    const replies = await runOnBoth([
      ask(3, 'peek'),
      ask(3, 'consume'),
      ask(5, 'consume'),
      ask(3, 'consume'),
      ask(2, 'consume'),
      ask(1, 'peek'),
      ['TYPE', 'r'],
    ])
    expect(replies.slice(0, 6).map((reply) => (reply as Reply[]).slice(0, 2))).toEqual([
      [1, 10],
      [1, 7],
      [1, 2],
      [0, 2],
      [1, 0],
      [0, 0],
    ])
  },
)

test.skipIf(!hasRedisServer)('values with tags', async () => {
  const [key, note] = ['{k}', 'note:{k}']
  const at = 9_000_000_000_000
  await runOnBoth([
    [INDEX_TAG, ['tag'], ['g1:{k}', 'in', WINDOW_MS, 60_000, 100]],
    ['PTTL', 'tag'],
    [SET_VALUE, [key, note], ['v1', 99, 'g1', '["tag"]', 'PX', WINDOW_MS]],
    [SET_VALUE, [key, note], ['v2', 99, 'g2', '["tag"]', 'NX']],
    ['HGETALL', note],
    [EXPIRE_VALUE, [key, note], ['PEXPIREAT', at]],
    [INDEX_TAG, ['tag'], ['g1:{k}', 'at', at, 60_000, 100]],
    ['ZRANGE', 'tag', '0', '-1', 'WITHSCORES'],
    ['PEXPIRETIME', note],
    [EVICT_VALUE, [key, note], ['other']],
    [EVICT_VALUE, [key, note], ['g1']],
    [SET_VALUE, [key, note], ['v3', '', 'g3', '["tag"]', 'KEEPTTL']],
    ['SET', key, 'v4'],
    [EVICT_VALUE, [key, note], ['g3']],
    ['EXISTS', key, note],
    [SET_VALUE, [key, note], ['v5', '', 'g5', '["tag"]']],
    [EXPIRE_VALUE, [key, note], ['PERSIST']],
    [INDEX_TAG, ['tag'], ['g5:{k}', 'never', '', 60_000, 100]],
    ['PTTL', 'tag'],
    [DELETE_VALUE, [key, note], []],
    ['DBSIZE'],
  ])
})
