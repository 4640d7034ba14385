/** POST /pipeline on the fast lane: short batches of commands that do not wait, with JSON replies. Hot path. */
import type { User } from '../../access/user.ts'
import { type Engine, RAW_RESP } from '../engine.ts'
import { type FastAnswer, type FastRequest, type FastRoute, NotPlainError } from '../fast-lane.ts'
import { errorAnswer, JSON_TYPE } from './errors.ts'
import { formatOf } from './format.ts'
import { batchJson } from './reply-json.ts'
import { batchOf } from './request-body.ts'
import { nextSyncToken } from './sync-token.ts'
import { WaitingCommands } from './waiting-commands.ts'

/** Commands of a batch; longer ones are answered in chunks, by the route. */
const COMMANDS_MAX = 16

export class FastBatch implements FastRoute {
  readonly url = '/pipeline'
  private readonly engine: Engine
  /** A long poll is the route's. */
  private readonly waiting: WaitingCommands

  constructor(engine: Engine) {
    this.engine = engine
    this.waiting = new WaitingCommands(engine)
  }

  matches(path: string): boolean {
    return path === this.url
  }

  run(user: User, { headers, body }: FastRequest): Promise<FastAnswer> {
    const decode = formatOf(headers)
    if (decode === RAW_RESP) throw new NotPlainError()
    const commands = batchOf(body)
    if (commands.length > COMMANDS_MAX || this.waiting.hasOneOf(commands)) throw new NotPlainError()
    const syncToken = `upstash-sync-token: ${nextSyncToken()}\r\n`
    return this.engine.pipeline(user, commands, decode).then((replies) => {
      try {
        return { status: 200, contentType: JSON_TYPE, headers: syncToken, body: batchJson(replies, decode) }
      } catch (error) {
        return failed(error as Error)
      }
    }, failed)
  }
}

/** What the engine cannot do now; some of the batch may have been executed, so nobody tries it again. */
function failed(error: Error): FastAnswer {
  const { status, body } = errorAnswer(error)
  // A defect is reported by the lane.
  if (status === 500) throw error
  return { status, contentType: JSON_TYPE, headers: '', body }
}
