/** POST /pipeline on the fast lane: short batches of commands that do not wait, with JSON replies. Hot path. */
import type { User } from '../../access/user.ts'
import { CommandFlag } from '../../commands/define.ts'
import { type CommandWords, type Decode, type Engine, RAW_RESP, type ReplyValue } from '../engine.ts'
import { type FastAnswer, type FastRequest, type FastRoute, NotPlainError } from '../fast-lane.ts'
import { statusOf } from '../problem.ts'
import { JSON_TYPE } from './errors.ts'
import { formatOf } from './format.ts'
import { errorJson, outcomeJson } from './reply-json.ts'
import { batchOf } from './request-body.ts'
import { SYNC_TOKEN } from './sync-token.ts'

/** Commands of a batch; longer ones are answered in chunks, by the route. */
const COMMANDS_MAX = 16
const SYNC_TOKEN_LINE = `upstash-sync-token: ${SYNC_TOKEN}\r\n`

export class FastBatch implements FastRoute {
  readonly url = '/pipeline'
  private readonly engine: Engine
  /** Names of commands that may wait, in lower case: a long poll is the route's. */
  private readonly waiting: ReadonlySet<string>

  constructor(engine: Engine) {
    this.engine = engine
    const blocking = [...engine.registry.all()].filter(({ flags }) => (flags & CommandFlag.Blocking) !== 0)
    this.waiting = new Set(blocking.map(({ name }) => name))
  }

  matches(path: string): boolean {
    return path === this.url
  }

  run(user: User, { headers, body }: FastRequest): Promise<FastAnswer> {
    const decode = formatOf(headers)
    if (decode === RAW_RESP) throw new NotPlainError()
    const commands = batchOf(body)
    if (commands.length > COMMANDS_MAX) throw new NotPlainError()
    for (let i = 0; i < commands.length; i++) if (this.mayWait(commands[i]!)) throw new NotPlainError()
    const syncToken = headers['upstash-sync-token'] === undefined ? '' : SYNC_TOKEN_LINE
    return this.engine
      .pipeline(user, commands, decode)
      .then(
        (replies) => ({ status: 200, contentType: JSON_TYPE, headers: syncToken, body: bodyOf(replies, decode) }),
        failed,
      )
  }

  private mayWait(words: CommandWords): boolean {
    return this.waiting.has(String(words[0]).toLowerCase())
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
