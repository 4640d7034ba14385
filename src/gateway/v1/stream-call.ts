/** Commands about streams whose error says that something is not there: 404 at this door, whatever their first word is. */
import type { User } from '../../access/user.ts'
import { type CallOptions, CommandError, type CommandWords, type Engine, type ReplyValue } from '../engine.ts'
import { Problem } from '../problem.ts'

const NO_SUCH_KEY = 'ERR no such key'
/** XGROUP for a stream that is not there. Source: Valkey src/t_stream.c `xgroupCommand`. */
const NO_STREAM_FOR_GROUP = 'ERR The XGROUP subcommand requires the key to exist'

/** As `Engine.call`. @throws Problem 404 */
export async function callOrNotFound(
  engine: Engine,
  user: User,
  words: CommandWords,
  options: CallOptions = {},
): Promise<ReplyValue> {
  try {
    return await engine.call(user, words, options)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const isMissing = error.message === NO_SUCH_KEY || error.message.startsWith(NO_STREAM_FOR_GROUP)
    throw isMissing ? new Problem(404, 'There is no such stream') : error
  }
}
