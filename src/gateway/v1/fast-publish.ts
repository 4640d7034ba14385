/** POST /v1/topics/{channel}/messages on the fast lane: one message of text. Hot path. */
import { isUtf8 } from 'node:buffer'
import type { User } from '../../access/user.ts'
import { CommandError, type Engine } from '../engine.ts'
import { type FastAnswer, type FastRequest, type FastRoute, NotPlainError } from '../fast-lane.ts'
import { problemBody, statusOf } from '../problem.ts'

const PREFIX = '/v1/topics/'
const SUFFIX = '/messages'
/** Names that stand in a URL as they are. */
const PLAIN_NAME = /^[\w.:~-]+$/
const CHANNEL_LENGTH_MAX = 200
const JSON_TYPE = 'application/json; charset=utf-8'
const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

export class FastPublish implements FastRoute {
  readonly url = '/v1/topics/:channel/messages'
  private readonly engine: Engine

  constructor(engine: Engine) {
    this.engine = engine
  }

  matches(path: string): boolean {
    return path.startsWith(PREFIX) && path.endsWith(SUFFIX)
  }

  run(user: User, { url, headers, body }: FastRequest): Promise<FastAnswer | null> {
    const channel = url.slice(PREFIX.length, url.length - SUFFIX.length)
    if (!PLAIN_NAME.test(channel) || channel.length > CHANNEL_LENGTH_MAX) throw new NotPlainError()
    const type = headers['content-type']
    if (type !== 'application/json' && type?.toLowerCase() !== JSON_TYPE) throw new NotPlainError()
    return this.engine.call(user, ['PUBLISH', channel, dataOf(body)]).then(
      (receivers) => ({
        status: 200,
        contentType: JSON_TYPE,
        headers: '',
        body: `{"receivers":${String(receivers)}}`,
      }),
      failed,
    )
  }
}

/** The text of `{"data": "…"}`. */
function dataOf(body: Buffer): string {
  if (!isUtf8(body)) throw new NotPlainError()
  const parsed: unknown = JSON.parse(body.utf8Slice(0, body.length))
  if (typeof parsed !== 'object' || parsed === null || !('data' in parsed)) throw new NotPlainError()
  if (typeof parsed.data !== 'string' || Object.keys(parsed).length !== 1) throw new NotPlainError()
  return parsed.data
}

function failed(error: Error): FastAnswer | null {
  // Nothing was published: Fastify's route meets the same error and words it.
  if (error instanceof CommandError) return null
  const status = statusOf(error)
  return { status, contentType: PROBLEM_TYPE, headers: '', body: problemBody(status, error.message, {}) }
}
