/**
 * Leaderboards: sorted sets under the name of the board.
 *
 * Ranks count from 1 in the order that is asked for, `desc` (highest score first) by default. Members with equal scores
 * stand as Redis orders them: by their bytes, in `asc` ascending, in `desc` descending; no two share a rank.
 *
 * Routes that read are commands of the user; those that need several steps at once are scripts, which are allowed to
 * whoever may run the commands named beside them.
 */
import type { FastifyInstance } from 'fastify'
import type { CommandWords, Engine, ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { readTogether } from './read-together.ts'
import { query } from './schemas.ts'
import { AROUND_MEMBER, DELETE_BOARD, SUBMIT_SCORES } from './scripts.ts'

/** Scores in one request. */
const SCORES_MAX = 1000
/** Entries in one answer. */
const PAGE_MAX = 1000
const NEIGHBOURS_MAX = 500
const NAME_LENGTH_MAX = 1024
const OFFSET_MAX = 2 ** 32 - 1
/** A year and a day, in ms. */
const TTL_MS_MAX = 366 * 86_400_000

const TAGS = ['Leaderboards']
const BOARD = {
  type: 'string',
  minLength: 1,
  maxLength: NAME_LENGTH_MAX,
  description: 'Key of the sorted set.',
} as const
const MEMBER = { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX } as const
const ORDER = {
  type: 'string',
  enum: ['desc', 'asc'],
  default: 'desc',
  description: '`desc`: the highest score is first.',
} as const
const COUNT = { type: 'integer', minimum: 1, maximum: PAGE_MAX, default: 10 } as const
const OFFSET = { type: 'integer', minimum: 0, maximum: OFFSET_MAX, default: 0 } as const
const BOUND = {
  type: 'string',
  pattern: '^(?:\\(?[+-]?(?:\\d{1,20}(?:\\.\\d{1,20})?(?:[eE][+-]?\\d{1,3})?)|[+-]inf)$',
  description: 'A score, `(` before it excludes it; `-inf`, `+inf`.',
} as const
const RANKED_ENTRY = {
  type: 'object',
  properties: { rank: { type: 'integer' }, member: { type: 'string' }, score: { type: 'number' } },
} as const
const ENTRY = { type: 'object', properties: { member: { type: 'string' }, score: { type: 'number' } } } as const

type Order = 'desc' | 'asc'

interface BoardParams {
  readonly board: string
}

interface MemberParams extends BoardParams {
  readonly member: string
}

interface Submission {
  readonly scores: readonly { readonly member: string; readonly score: number }[]
  readonly mode: 'set' | 'increment' | 'best' | 'lowest'
  readonly ttlMs?: number
  readonly ttlWhen: 'always' | 'new'
}

interface Entry {
  readonly member: string
  readonly score: number
}

export async function leaderboardRoutes(app: FastifyInstance, { engine }: GatewayContext): Promise<void> {
  boardRoutes(app, engine)
  memberRoutes(app, engine)
  rangeRoutes(app, engine)
}

function boardRoutes(app: FastifyInstance, engine: Engine): void {
  app.post<{ Params: BoardParams; Body: Submission }>(
    '/leaderboards/:board/scores',
    { schema: SUBMIT_SCHEMA },
    async (request) => {
      const { board } = request.params
      const { scores, mode, ttlMs, ttlWhen } = request.body
      if (ttlMs === undefined && ttlWhen !== 'always') throw new Problem(400, 'ttlWhen is given without ttlMs')
      requireCommands(engine, userOf(request), submissionRights(board, mode, ttlMs !== undefined))
      const pairs = scores.flatMap(({ member, score }) => [member, String(score)])
      const reply = await engine.script(SUBMIT_SCORES, [board], [mode, ttlMs ?? '', ttlWhen, ...pairs])
      const results = reply as readonly ReplyValue[]
      return {
        board,
        results: scores.map(({ member }, i) => ({
          member,
          score: toScore(results[i * 2 + 1]!),
          changed: results[i * 2] === 1,
        })),
      }
    },
  )

  app.get<{ Params: BoardParams }>('/leaderboards/:board', { schema: BOARD_SCHEMA }, async (request) => {
    const { board } = request.params
    const [count, ttl] = await readTogether(engine, userOf(request), [
      ['ZCARD', board],
      ['PTTL', board],
    ])
    return { board, count, ttlMs: Number(ttl) < 0 ? null : ttl }
  })

  app.delete<{ Params: BoardParams }>('/leaderboards/:board', { schema: DELETE_BOARD_SCHEMA }, async (request) => {
    const { board } = request.params
    requireCommands(engine, userOf(request), [
      ['ZCARD', board],
      ['UNLINK', board],
    ])
    return { deleted: (await engine.script(DELETE_BOARD, [board], [])) === 1 }
  })
}

function memberRoutes(app: FastifyInstance, engine: Engine): void {
  app.get<{ Params: MemberParams; Querystring: { order: Order } }>(
    '/leaderboards/:board/members/:member',
    { schema: MEMBER_SCHEMA },
    async (request) => {
      const { board, member } = request.params
      const { order } = request.query
      const [score, rank, count] = await readTogether(engine, userOf(request), [
        ['ZSCORE', board, member],
        [order === 'desc' ? 'ZREVRANK' : 'ZRANK', board, member],
        ['ZCARD', board],
      ])
      if (rank === null) throw noMember()
      return { board, order, member, rank: Number(rank) + 1, score: toScore(score!), count }
    },
  )

  app.get<{ Params: MemberParams; Querystring: { order: Order; above: number; below: number } }>(
    '/leaderboards/:board/members/:member/around',
    { schema: AROUND_SCHEMA },
    async (request) => {
      const { board, member } = request.params
      const { order, above, below } = request.query
      requireCommands(engine, userOf(request), [
        [order === 'desc' ? 'ZREVRANK' : 'ZRANK', board, member],
        ['ZCARD', board],
        ['ZRANGE', board, 0, 0],
      ])
      const reply = await engine.script(AROUND_MEMBER, [board], [member, above, below, order])
      if (reply === null) throw noMember()
      const [first, rank, count, pairs] = reply as [number, number, number, readonly ReplyValue[]]
      return { board, order, rank: rank + 1, count, entries: ranked(entriesOf(pairs), first) }
    },
  )

  app.delete<{ Params: MemberParams }>(
    '/leaderboards/:board/members/:member',
    { schema: REMOVE_SCHEMA },
    async (request) => {
      const { board, member } = request.params
      return { removed: (await engine.call(userOf(request), ['ZREM', board, member])) === 1 }
    },
  )
}

function rangeRoutes(app: FastifyInstance, engine: Engine): void {
  app.get<{ Params: BoardParams; Querystring: { order: Order; limit: number; offset: number } }>(
    '/leaderboards/:board/top',
    { schema: TOP_SCHEMA },
    async (request) => {
      const { board } = request.params
      const { order, limit, offset } = request.query
      const range = ['ZRANGE', board, offset, offset + limit - 1, ...(order === 'desc' ? ['REV'] : []), 'WITHSCORES']
      const [pairs, count] = await readTogether(engine, userOf(request), [range, ['ZCARD', board]])
      return { board, order, count, entries: ranked(entriesOf(pairs!), offset) }
    },
  )

  app.get<{
    Params: BoardParams
    Querystring: { order: Order; limit: number; offset: number; min: string; max: string }
  }>('/leaderboards/:board/range', { schema: RANGE_SCHEMA }, async (request) => {
    const { board } = request.params
    const { order, limit, offset, min, max } = request.query
    // ZRANGE REV takes the end of the range first.
    const bounds = order === 'desc' ? [max, min, 'BYSCORE', 'REV'] : [min, max, 'BYSCORE']
    const [pairs, count] = await readTogether(engine, userOf(request), [
      ['ZRANGE', board, ...bounds, 'LIMIT', offset, limit, 'WITHSCORES'],
      ['ZCOUNT', board, min, max],
    ])
    return { board, order, count, entries: entriesOf(pairs!) }
  })
}

/** The answer tells scores, so who submits must be allowed to read them. */
function submissionRights(board: string, mode: Submission['mode'], setsTtl: boolean): CommandWords[] {
  const write = mode === 'increment' ? ['ZINCRBY', board, '1', 'member'] : ['ZADD', board, '1', 'member']
  const rights: CommandWords[] = [write, ['ZSCORE', board, 'member']]
  if (setsTtl) rights.push(['PEXPIRE', board, '1'])
  return rights
}

function entriesOf(reply: ReplyValue): Entry[] {
  const pairs = reply as readonly ReplyValue[]
  const entries: Entry[] = []
  for (let i = 0; i < pairs.length; i += 2) entries.push({ member: String(pairs[i]), score: toScore(pairs[i + 1]!) })
  return entries
}

/** @param first rank of the first entry, from 0 */
function ranked(entries: readonly Entry[], first: number): readonly (Entry & { readonly rank: number })[] {
  return entries.map((entry, i) => ({ rank: first + i + 1, ...entry }))
}

/** JSON has no infinity: such scores, which other doors can set, are told as the greatest number there is. */
function toScore(reply: ReplyValue): number {
  const text = String(reply)
  if (text === 'inf') return Number.MAX_VALUE
  if (text === '-inf') return -Number.MAX_VALUE
  return Number(text)
}

function noMember(): Problem {
  return new Problem(404, 'The board has no such member')
}

// ---- Schemas ----

const BOARD_PARAMS = { type: 'object', required: ['board'], properties: { board: BOARD } } as const
const MEMBER_PARAMS = {
  type: 'object',
  required: ['board', 'member'],
  properties: { board: BOARD, member: MEMBER },
} as const
const COUNT_OF_MEMBERS = { type: 'integer', description: 'Members of the board.' } as const

const SUBMIT_SCHEMA = {
  tags: TAGS,
  summary: 'Submit scores',
  operationId: 'submitScores',
  description:
    'All of them or none. A member that is given twice is written twice, in order. Needs ZADD (`increment`: ZINCRBY), ZSCORE and, with a TTL, PEXPIRE.',
  params: BOARD_PARAMS,
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['scores'],
    properties: {
      scores: {
        type: 'array',
        minItems: 1,
        maxItems: SCORES_MAX,
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['member', 'score'],
          properties: { member: MEMBER, score: { type: 'number' } },
        },
      },
      mode: {
        type: 'string',
        enum: ['set', 'increment', 'best', 'lowest'],
        default: 'set',
        description: '`best` and `lowest` keep the higher or lower one of the score there is and the new one.',
      },
      ttlMs: {
        type: 'integer',
        minimum: 1,
        maximum: TTL_MS_MAX,
        description: 'The board expires after this time, in milliseconds.',
      },
      ttlWhen: {
        type: 'string',
        enum: ['always', 'new'],
        default: 'always',
        description: '`new`: only when the board has no TTL yet.',
      },
    },
  },
  querystring: query({}),
  response: {
    200: {
      description: 'The scores as they are now.',
      type: 'object',
      properties: {
        board: { type: 'string' },
        results: {
          type: 'array',
          items: {
            type: 'object',
            properties: {
              member: { type: 'string' },
              score: { type: 'number' },
              changed: { type: 'boolean', description: 'Whether the member is new or has another score.' },
            },
          },
        },
      },
    },
  },
} as const

const BOARD_SCHEMA = {
  tags: TAGS,
  summary: 'Count the members of a board',
  operationId: 'getLeaderboard',
  params: BOARD_PARAMS,
  querystring: query({}),
  response: {
    200: {
      description: 'A board that does not exist has no members.',
      type: 'object',
      properties: {
        board: { type: 'string' },
        count: COUNT_OF_MEMBERS,
        ttlMs: { type: ['integer', 'null'], description: 'Time until it expires; null: never.' },
      },
    },
  },
} as const

const DELETE_BOARD_SCHEMA = {
  tags: TAGS,
  summary: 'Delete a board',
  operationId: 'deleteLeaderboard',
  description: 'Deletes sorted sets only. Needs ZCARD and UNLINK.',
  params: BOARD_PARAMS,
  querystring: query({}),
  response: {
    200: {
      description: 'Whether it was there.',
      type: 'object',
      properties: { deleted: { type: 'boolean' } },
    },
  },
} as const

const MEMBER_SCHEMA = {
  tags: TAGS,
  summary: 'Rank and score of a member',
  operationId: 'getLeaderboardMember',
  params: MEMBER_PARAMS,
  querystring: query({ order: ORDER }),
  response: {
    200: {
      description: 'Where the member stands.',
      type: 'object',
      properties: {
        board: { type: 'string' },
        order: { type: 'string' },
        member: { type: 'string' },
        rank: { type: 'integer', description: 'The first has rank 1.' },
        score: { type: 'number' },
        count: COUNT_OF_MEMBERS,
      },
    },
  },
} as const

const AROUND_SCHEMA = {
  tags: TAGS,
  summary: 'The neighbours of a member',
  operationId: 'getLeaderboardAround',
  description: 'Needs ZREVRANK (`asc`: ZRANK), ZCARD and ZRANGE.',
  params: MEMBER_PARAMS,
  querystring: query({
    order: ORDER,
    above: { type: 'integer', minimum: 0, maximum: NEIGHBOURS_MAX, default: 5 },
    below: { type: 'integer', minimum: 0, maximum: NEIGHBOURS_MAX, default: 5 },
  }),
  response: {
    200: {
      description: 'The member among those before and behind it.',
      type: 'object',
      properties: {
        board: { type: 'string' },
        order: { type: 'string' },
        rank: { type: 'integer', description: 'Of the member that was asked for.' },
        count: COUNT_OF_MEMBERS,
        entries: { type: 'array', items: RANKED_ENTRY },
      },
    },
  },
} as const

const REMOVE_SCHEMA = {
  tags: TAGS,
  summary: 'Remove a member',
  operationId: 'removeLeaderboardMember',
  params: MEMBER_PARAMS,
  querystring: query({}),
  response: {
    200: {
      description: 'Whether it was there.',
      type: 'object',
      properties: { removed: { type: 'boolean' } },
    },
  },
} as const

const TOP_SCHEMA = {
  tags: TAGS,
  summary: 'The first members',
  operationId: 'getLeaderboardTop',
  params: BOARD_PARAMS,
  querystring: query({ order: ORDER, limit: COUNT, offset: OFFSET }),
  response: {
    200: {
      description: 'Members from the offset on.',
      type: 'object',
      properties: {
        board: { type: 'string' },
        order: { type: 'string' },
        count: COUNT_OF_MEMBERS,
        entries: { type: 'array', items: RANKED_ENTRY },
      },
    },
  },
} as const

const RANGE_SCHEMA = {
  tags: TAGS,
  summary: 'Members by score',
  operationId: 'getLeaderboardRange',
  params: BOARD_PARAMS,
  querystring: query({
    order: ORDER,
    limit: COUNT,
    offset: OFFSET,
    min: { ...BOUND, default: '-inf' },
    max: { ...BOUND, default: '+inf' },
  }),
  response: {
    200: {
      description: 'Members with scores between the bounds.',
      type: 'object',
      properties: {
        board: { type: 'string' },
        order: { type: 'string' },
        count: { type: 'integer', description: 'Members between the bounds.' },
        entries: { type: 'array', items: ENTRY },
      },
    },
  },
} as const
