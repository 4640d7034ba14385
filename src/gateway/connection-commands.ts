/**
 * Commands that act on a connection instead of on data. Requests of the gateway share connections, so these are refused
 * there: their effect would meet somebody else.
 */
import type { Command } from '../commands/registry.ts'
import { CommandError } from '../resp/value-sink.ts'

const REFUSED: ReadonlySet<string> = new Set([
  'asking',
  'auth',
  'client|caching',
  'client|no-evict',
  'client|no-touch',
  'client|reply',
  'client|setinfo',
  'client|setname',
  'client|tracking',
  'discard',
  'exec',
  'hello',
  'monitor',
  'multi',
  'psubscribe',
  'psync',
  'punsubscribe',
  'quit',
  'readonly',
  'readwrite',
  'replconf',
  'reset',
  'select',
  'ssubscribe',
  'subscribe',
  'sunsubscribe',
  'sync',
  'unsubscribe',
  'unwatch',
  'watch',
])

/** Why a command (with its subcommand) cannot be run for a request; null when it can. */
export function connectionCommandError(command: Command): CommandError | null {
  // Whatever rename-command has made of its name.
  return connectionNameError(command.aclName)
}

/** As `connectionCommandError`, by the name in lower case, for commands that are not known here. */
export function connectionNameError(fullName: string): CommandError | null {
  if (!REFUSED.has(fullName)) return null
  const name = fullName.replace('|', ' ').toUpperCase()
  return new CommandError(`ERR Command is not available over HTTP: '${name}' acts on a connection`)
}
