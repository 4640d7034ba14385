/** POST /pipeline on the fast lane: short batches of commands that do not wait, with JSON replies. Hot path. */
import type { User } from '../../access/user.ts'
import { type Decode, type Engine, RAW_RESP, type ReplyValue } from '../engine.ts'
import { type FastAnswer, type FastRequest, type FastRoute, NotPlainError } from '../fast-lane.ts'
import { statusOf } from '../problem.ts'
import { JSON_TYPE } from './errors.ts'
import { formatOf } from './format.ts'
import { errorJson, outcomeJson } from './reply-json.ts'
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
    return this.engine
      .pipeline(user, commands, decode)
      .then(
        (replies) => ({ status: 200, contentType: JSON_TYPE, headers: syncToken, body: bodyOf(replies, decode) }),
        failed,
      )
  }
}

function bodyOf(replies: readonly ReplyValue[], decode: Decode): string {
  if (replies.length === 0) return '[]'
  let json = `[${outcomeJson(replies[0]!, decode)}`
  for (let i = 1; i < replies.length; i++) json += `,${outcomeJson(replies[i]!, decode)}`
  return `${json}]`
}

/** What the engine cannot do now; some of the batch may have been executed, so nobody tries it again. */
function failed(error: Error): FastAnswer {
  return { status: statusOf(error), contentType: JSON_TYPE, headers: '', body: errorJson(`ERR ${error.message}`) }
}
