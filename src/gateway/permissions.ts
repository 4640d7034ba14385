/**
 * What a user may do, asked before the gateway does it on its own account (scripts of ours, BullMQ): each of these acts
 * like certain commands, and is allowed to whoever may run those with the same keys.
 */
import type { KeyAccess, User } from '../access/user.ts'
import { authorize } from '../commands/acl/authorize.ts'
import { ArgsBuilder } from '../resp/args.ts'
import { AccessDenied, DenialReason } from '../resp/errors.ts'
import { CommandError, toCommandError } from '../resp/value-sink.ts'
import type { CommandWords, Engine } from './engine.ts'
import { buildArgs } from './words.ts'

const builder = new ArgsBuilder()

/** @throws CommandError NOPERM unless the user may run all of these commands, which are not run */
export function requireCommands(engine: Engine, user: User, commands: readonly CommandWords[]): void {
  if (user.isUnrestricted) return
  for (const words of commands) {
    const command = engine.registry.byWords(String(words[0]), String(words[1] ?? ''))
    // Renamed or removed by rename-command: whoever may not do everything may not do this.
    if (command === null) throw new CommandError(`NOPERM The command '${String(words[0])}' is not available`)
    const refused = authorize(user, command, buildArgs(builder, words))
    if (refused !== null) throw toCommandError(refused.text)
  }
}

/** @throws CommandError NOPERM unless the user may access every key that starts with `prefix` (text) */
export function requirePrefix(user: User, prefix: string, access: KeyAccess): void {
  if (user.coversPrefix(Buffer.from(prefix).toString('latin1'), access)) return
  throw toCommandError(new AccessDenied(DenialReason.Key, user, prefix).text)
}
