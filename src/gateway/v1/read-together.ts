/** Several reads as one transaction: all see the same moment. Errors of the commands are thrown. */
import type { User } from '../../access/user.ts'
import { CommandError, type CommandWords, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { requireCommands } from '../permissions.ts'

/**
 * The user needs these commands, and not MULTI: it cannot begin a transaction with them.
 *
 * @throws CommandError NOPERM; else the first error among the replies
 */
export async function readTogether(
  engine: Engine,
  user: User,
  commands: readonly CommandWords[],
): Promise<readonly ReplyValue[]> {
  requireCommands(engine, user, commands)
  const replies = await engine.transaction(engine.system, commands, Decode.Text)
  for (const reply of replies) if (reply instanceof CommandError) throw reply
  return replies
}
