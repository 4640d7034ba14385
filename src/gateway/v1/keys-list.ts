/**
 * The list of keys. It shows those that the user may read; a page costs a bounded number of SCAN steps, so it may be
 * shorter than asked for, or empty, before the end is reached.
 */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { Decode } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { answer, NAME_LENGTH_MAX, NEXT_CURSOR, query } from './schemas.ts'

const LIMIT_MAX = 1000
/** Steps of SCAN in one request; each looks at about `limit` keys. */
const STEPS_MAX = 10

interface ListQuery {
  readonly prefix: string
  readonly type?: string
  readonly cursor: string
  readonly limit: number
}

export async function keyListRoutes(app: FastifyInstance, { engine }: GatewayContext): Promise<void> {
  app.get<{ Querystring: ListQuery }>('/keys', { schema: LIST_SCHEMA }, async (request) => {
    const { prefix, type, limit } = request.query
    const user = userOf(request)
    const options = ['MATCH', `${escapeGlob(prefix)}*`, 'COUNT', limit, ...(type === undefined ? [] : ['TYPE', type])]
    const keys: string[] = []
    let { cursor } = request.query
    for (let step = 0; step < STEPS_MAX && keys.length < limit; step++) {
      const reply = await engine.call(user, ['SCAN', cursor, ...options], { decode: Decode.Bytes })
      const [next, found] = reply as [Buffer, readonly Buffer[]]
      for (const key of found) {
        // Other names than text cannot be said here.
        if (isUtf8(key) && user.mayReadKey(key.toString('latin1'))) keys.push(key.toString('utf8'))
      }
      cursor = next.toString('latin1')
      if (cursor === '0') break
    }
    return { keys, cursor: cursor === '0' ? null : cursor }
  })
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\]/g, '\\$&')
}

const LIST_SCHEMA = {
  tags: ['Keys'],
  summary: 'List keys',
  operationId: 'listKeys',
  description: `Those that the user may read. A key that is there all the time is listed, maybe twice. Needs SCAN; one request looks at about ${STEPS_MAX} times \`limit\` keys.`,
  querystring: query({
    prefix: { type: 'string', maxLength: NAME_LENGTH_MAX, default: '', description: 'What the keys begin with.' },
    type: { type: 'string', enum: ['string', 'list', 'hash', 'set', 'zset', 'stream'] },
    cursor: { type: 'string', pattern: '^\\d{1,20}$', default: '0', description: 'The `cursor` of the page before.' },
    limit: {
      type: 'integer',
      minimum: 1,
      maximum: LIMIT_MAX,
      default: 100,
      description: 'A page ends when it has this many keys; the last step may bring it somewhat above.',
    },
  }),
  response: {
    200: answer('A page.', { keys: { type: 'array', items: { type: 'string' } }, cursor: NEXT_CURSOR }),
  },
} as const
