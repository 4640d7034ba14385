/**
 * What the gateway needs of the data: an engine in this process (`local-engine.ts`) or an existing Redis or Valkey
 * (`remote-engine.ts`).
 *
 * Both run a command only if the user's ACL allows it: the local engine in the pipeline, the remote one before it sends.
 * Replies have the shape of RESP2 on both (maps are flat arrays, doubles are strings), so nothing above depends on which
 * one it is. Commands that act on a connection (SELECT, MULTI, SUBSCRIBE …: `connection-commands.ts`) are refused:
 * requests share connections. Texts are UTF-8; all keys are those of database 0.
 */
import type { Cluster, Redis } from 'ioredis'
import type { Tokens } from '../access/tokens.ts'
import type { User } from '../access/user.ts'
import type { Users } from '../access/users.ts'
import type { Registry } from '../commands/registry.ts'
import { CommandError, type Decode, type ReplyValue } from '../resp/value-sink.ts'
import type { Argument, CallDecode } from '../server/in-process.ts'
import type { Subscription } from '../server/subscriptions.ts'

export { CommandError, Decode, type ReplyValue } from '../resp/value-sink.ts'
export { type Argument, type CallDecode, RAW_RESP } from '../server/in-process.ts'
export type { Subscription } from '../server/subscriptions.ts'

/** A command as its words. */
export type CommandWords = readonly Argument[]

export interface CallOptions {
  /** What the reply becomes. Default: `Decode.Text`. */
  readonly decode?: CallDecode
  /** Takes the call back: one that blocks ends as by its timeout, one that was not executed is rejected. */
  readonly signal?: AbortSignal
}

/** A script of ours. Callers check what the user may do before they run it. */
export interface EngineScript {
  readonly source: string
  /** Lower-case hex SHA1 of the source. */
  readonly sha1: string
}

/** `Engine.script` of both engines, by their `call`: EVALSHA, and EVAL when the script is not known yet. */
export async function runScript(
  engine: Pick<Engine, 'call' | 'system'>,
  script: EngineScript,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<ReplyValue> {
  const rest = [keys.length, ...keys, ...args]
  try {
    return await engine.call(engine.system, ['EVALSHA', script.sha1, ...rest])
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'NOSCRIPT') throw error
    return engine.call(engine.system, ['EVAL', script.source, ...rest])
  }
}

export interface EngineHealth {
  /** Whether requests can be served now. */
  readonly isReady: boolean
  /** For people: `ready`, `reconnecting`, `the append-only file cannot be written`. No secrets. */
  readonly detail: string
}

/** Receives the bytes of a message, and the channel it was published to. */
export type MessageListener = (message: Buffer, channel: string) => void

/** The engine is closed, or not connected for longer than a request waits. Requests get 503. */
export class EngineUnavailableError extends Error {
  override readonly name = 'EngineUnavailableError'
}

export interface Engine {
  readonly kind: 'local' | 'remote'
  readonly registry: Registry
  readonly users: Users
  /** Bearer tokens that stand for users. */
  readonly tokens: Tokens
  /** May do everything. For what the gateway does on its own account, never for a user's command as such. */
  readonly system: User
  readonly health: EngineHealth

  /**
   * Runs one command as a user.
   *
   * @throws CommandError for an error reply, NOPERM included; EngineUnavailableError
   */
  call(user: User, args: CommandWords, options?: CallOptions): Promise<ReplyValue>

  /** Runs commands in order; others may run between them. An error reply is a CommandError in its place. */
  pipeline(user: User, commands: readonly CommandWords[], decode: CallDecode): Promise<readonly ReplyValue[]>

  /**
   * Runs commands as one transaction. One that fails when it runs is a CommandError in its place.
   *
   * @throws CommandError when nothing was run because a command was refused
   */
  transaction(user: User, commands: readonly CommandWords[], decode: Decode): Promise<readonly ReplyValue[]>

  /** Runs a script of ours with all rights. Strings of its reply are text. @throws CommandError */
  script(script: EngineScript, keys: readonly string[], args: readonly Argument[]): Promise<ReplyValue>

  /** Listens to a channel, or to those that match a glob pattern. Resolves when the subscription is in force. */
  subscribe(channel: string, listener: MessageListener): Promise<Subscription>
  psubscribe(pattern: string, listener: MessageListener): Promise<Subscription>
  /** Receives each command that is executed, as MONITOR shows it. */
  monitor(listener: (line: string) => void): Promise<Subscription>

  /** Notes wrong credentials at a door of the gateway, as AUTH notes them: counted, and in ACL LOG. '' is no user's name. */
  loginDenied(userName: string): void

  /** A new ioredis client with all rights, for BullMQ; the caller closes it. It reconnects by itself. */
  createClient(): Redis | Cluster
  close(): Promise<void>
}
