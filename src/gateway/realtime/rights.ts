/** Rights to what is no command of its own: keyspace events, and the events of a queue. */
import { KeyAccess, type User } from '../../access/user.ts'
import { AccessDenied, DenialReason } from '../../resp/errors.ts'
import { toCommandError } from '../../resp/value-sink.ts'
import { CommandError, type Engine, type ReplyValue } from '../engine.ts'
import { requirePrefix } from '../permissions.ts'
import { RealtimeError } from './protocol.ts'

const GLOB_CHARS = /[*?[\\]/

/**
 * Keyspace events of a key, or of keys that match a pattern. They tell no more than reading the keys would, so the right
 * to read a key is what counts: a single key must be readable, of a pattern's only those that are readable are told.
 *
 * @throws CommandError NOPERM
 */
export function requireKeys(engine: Engine, user: User, keys: string): void {
  if (user.isUnrestricted) return
  const command = engine.registry.byFullName('psubscribe')
  const maySubscribe = user.selectors.some(
    (selector) => selector.allowsAllCommands || (command !== null && selector.hasCommand(command.aclId)),
  )
  if (!maySubscribe) {
    throw toCommandError(new AccessDenied(DenialReason.Command, user, 'psubscribe').text)
  }
  if (!GLOB_CHARS.test(keys) && !user.mayReadKey(Buffer.from(keys).toString('latin1'))) {
    throw toCommandError(new AccessDenied(DenialReason.Key, user, keys).text)
  }
}

/** @throws RealtimeError KEYSPACE_EVENTS_OFF when the server publishes no keyspace events */
export async function requireKeyspaceEvents(engine: Engine): Promise<void> {
  let setting: ReplyValue
  try {
    setting = await engine.call(engine.system, ['CONFIG', 'GET', 'notify-keyspace-events'])
  } catch (error) {
    // Hosted servers may not let anybody ask.
    if (error instanceof CommandError) return
    throw error
  }
  const classes = Array.isArray(setting) ? String(setting[1] ?? '') : ''
  if (classes.includes('K') && /[^KE]/.test(classes)) return
  throw new RealtimeError(
    'KEYSPACE_EVENTS_OFF',
    'Keyspace events are off: set notify-keyspace-events to K and the classes of events, KEA for all',
  )
}

/** What the events of a queue tell is in its other keys too: all of them must be readable. @throws CommandError NOPERM */
export function requireQueue(user: User, queue: string, prefix: string): void {
  requirePrefix(user, `${prefix}:${queue}:`, KeyAccess.Read)
}
