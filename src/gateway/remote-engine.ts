/**
 * The engine elsewhere: an existing Redis or Valkey, alone, behind Sentinel, or as a cluster. docs/REMOTE.md says what
 * holds and what does not.
 *
 *     call ─▶ CallChecker (may the user? which slot?) ─▶ Caller (waits, redirects, tries again) ─▶ Topology (which server?)
 *                                                                                                   └─▶ Link ─▶ ioredis
 *     remote/call-check.ts                              remote/caller.ts                             remote/topology.ts …
 *
 * The server knows one user, the one of the URL. Users and tokens of the gateway are its own (`remote/own-users.ts`), and what
 * they may do is decided here, before anything is sent.
 */
import type { Cluster, Redis } from 'ioredis'
import type { Tokens } from '../access/tokens.ts'
import { type User, unrestrictedUser } from '../access/user.ts'
import type { Users } from '../access/users.ts'
import { AccessContext } from '../commands/context.ts'
import type { Registry } from '../commands/registry.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../observe/log.ts'
import { CallCancelledError } from '../server/in-process.ts'
import { tlsClientSettings } from '../server/tls-settings.ts'
import {
  type Argument,
  type CallDecode,
  type CallOptions,
  CommandError,
  type CommandWords,
  Decode,
  type Engine,
  type EngineHealth,
  type EngineScript,
  EngineUnavailableError,
  type MessageListener,
  RAW_RESP,
  type ReplyValue,
  runScript,
  type Subscription,
} from './engine.ts'
import { CallChecker, type CheckedCall, Routing } from './remote/call-check.ts'
import { Caller, Refusals } from './remote/caller.ts'
import { ClusterTopology } from './remote/cluster-topology.ts'
import { openClient } from './remote/connection.ts'
import { parseEngineUrl, type RemoteTarget } from './remote/engine-url.ts'
import { FanOut } from './remote/fan-out.ts'
import { watchCommands } from './remote/monitors.ts'
import { OwnUsers } from './remote/own-users.ts'
import type { RawReply } from './remote/remote-command.ts'
import { decodeReply, replyKindOf, toValue } from './remote/replies.ts'
import { RemoteSubscriptions, SubscribeTo } from './remote/subscriptions.ts'
import { SingleTopology, type Topology } from './remote/topology.ts'

/** How long requests wait for a connection, in ms. */
const WAIT_MS = 5000
/** Calls under way and waiting. */
const CALLS_MAX = 100_000
/** How long a server may owe a reply without sending anything, in ms. */
const SILENCE_MAX_MS = 30_000

export interface RemoteEngineOptions {
  /** Where the data is; see `remote/engine-url.ts`. */
  readonly url: string
  /** Says who may use the gateway: `requirepass`, `user`, `aclfile`, `http-token-file`. */
  readonly config: Config
  readonly log: Log
  /** How long requests wait for a connection, in ms. Default: 5000. */
  readonly waitMs?: number
  /** Calls under way and waiting; more are rejected. Default: 100,000. */
  readonly callsMax?: number
  /** A server that owes a reply and sends nothing for this time is taken for dead, in ms. Default: 30,000. */
  readonly silenceMaxMs?: number
}

export class RemoteEngine implements Engine {
  readonly kind = 'remote'
  readonly registry: Registry
  readonly users: Users
  readonly tokens: Tokens
  readonly system: User = unrestrictedUser('default')
  private readonly log: Log
  private readonly target: RemoteTarget
  private readonly waitMs: number
  private readonly own: OwnUsers
  private readonly checker: CallChecker
  private readonly topology: Topology
  private readonly caller: Caller
  /** For commands about all servers; null where there is one. */
  private readonly fanOut: FanOut | null
  private readonly subscriptions: RemoteSubscriptions
  private readonly clients = new Set<Redis | Cluster>()
  /** What ends with the engine. */
  private readonly closers = new Set<() => void>()
  private isClosed: boolean = false

  /** Begins to connect. @throws EngineUrlError, TlsConfigError, ConfigError, AclFileError, TokenFileError */
  constructor(options: RemoteEngineOptions) {
    const { config, log } = options
    const target = parseEngineUrl(options.url)
    this.target = target.tls === null ? target : { ...target, tls: tlsClientSettings(config) }
    this.own = new OwnUsers(config, log)
    this.log = log
    this.waitMs = options.waitMs ?? WAIT_MS
    this.registry = this.own.server.registry
    this.users = this.own.server.users
    this.tokens = this.own.server.tokens
    const { waitMs } = this
    const isCluster = target.kind === 'cluster'
    this.checker = new CallChecker(this.registry, isCluster ? Routing.BySlot : Routing.None, (user, denial, context) =>
      this.own.accessDenied(user, denial, context),
    )
    const servers = { target: this.target, log, silenceMaxMs: options.silenceMaxMs ?? SILENCE_MAX_MS }
    const topology = isCluster ? new ClusterTopology(servers) : new SingleTopology(servers)
    this.topology = topology
    this.caller = new Caller({
      topology,
      log,
      waitMs,
      callsMax: options.callsMax ?? CALLS_MAX,
      primaryMoves: target.kind === 'sentinel',
    })
    this.fanOut = isCluster ? new FanOut(this.caller, topology) : null
    this.subscriptions = new RemoteSubscriptions({ topology, log, waitMs })
    // Messages are published to the new primary: whoever still hears the old one hears nothing.
    if (target.kind === 'sentinel')
      topology.onChange(() => {
        if (!topology.health.isReady) this.subscriptions.reconnect()
      })
  }

  get health(): EngineHealth {
    return this.isClosed ? CLOSED : this.topology.health
  }

  async call(user: User, args: CommandWords, options: CallOptions = {}): Promise<ReplyValue> {
    const { signal = null, decode = Decode.Text } = options
    if (signal?.aborted === true) throw new CallCancelledError()
    const call = this.checker.check(user, args)
    if (call instanceof CommandError) throw call
    if (isAboutUsers(call)) return this.own.call(user, args, decode)
    return this.reply(call, decode, Refusals.Retry, signal)
  }

  async pipeline(user: User, commands: readonly CommandWords[], decode: CallDecode): Promise<readonly ReplyValue[]> {
    return Promise.all(
      commands.map(async (words) => {
        const call = this.checker.check(user, words)
        if (call instanceof CommandError) return call
        try {
          if (isAboutUsers(call)) return await this.own.call(user, words, decode)
          return await this.reply(call, decode, Refusals.Reply, null)
        } catch (error) {
          if (error instanceof CommandError) return error
          throw error
        }
      }),
    )
  }

  async transaction(user: User, commands: readonly CommandWords[], decode: Decode): Promise<readonly ReplyValue[]> {
    const calls = commands.map((words) => this.checker.check(user, words, AccessContext.Multi))
    const { begin, end } = this.checker.transactionDenied(user)
    const refused = begin ?? calls.find((call) => call instanceof CommandError) ?? end
    if (refused !== null) throw refused
    const checked = calls as readonly CheckedCall[]
    const foreign = checked.find((call) => isAboutUsers(call) || this.fanOut?.concerns(call.fullName) === true)
    if (foreign !== undefined) {
      const name = foreign.fullName.replace('|', ' ').toUpperCase()
      throw new CommandError(`ERR Command is not available in a transaction of a remote engine: '${name}'`)
    }
    if (checked.length === 0) return []
    const replies = await this.caller.runTransaction(checked)
    return replies.map((reply) => toValue(reply, decode))
  }

  script(script: EngineScript, keys: readonly string[], args: readonly Argument[]): Promise<ReplyValue> {
    return runScript(this, script, keys, args)
  }

  subscribe(channel: string, listener: MessageListener): Promise<Subscription> {
    return this.subscriptions.subscribe(SubscribeTo.Channel, channel, listener)
  }

  psubscribe(pattern: string, listener: MessageListener): Promise<Subscription> {
    return this.subscriptions.subscribe(SubscribeTo.Pattern, pattern, listener)
  }

  async monitor(listener: (line: string) => void): Promise<Subscription> {
    const { target, topology, log, waitMs } = this
    const onClose = (close: () => void): (() => void) => {
      this.closers.add(close)
      return () => this.closers.delete(close)
    }
    const links = await this.caller.primaries(this.caller.patience(null))
    return watchCommands({ target, topology, log, waitMs, listener, onClose }, links)
  }

  loginDenied(userName: string): void {
    this.own.loginDenied(userName)
  }

  createClient(): Redis | Cluster {
    const client = openClient(this.target)
    this.clients.add(client)
    client.on('end', () => this.clients.delete(client))
    // Every failed attempt to connect is one; without a listener it would be printed.
    client.on('error', (error: Error) => this.log.debug(`Client of the engine: ${error.message}`))
    return client
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.caller.close()
    for (const close of [...this.closers]) close()
    this.subscriptions.close()
    this.topology.close()
    for (const client of this.clients) client.disconnect()
    this.own.close()
  }

  private run(call: CheckedCall, refusals: Refusals, signal: AbortSignal | null): Promise<RawReply> {
    if (this.isClosed) return Promise.reject(new EngineUnavailableError('The engine is closed'))
    if (this.fanOut?.concerns(call.fullName) === true) return this.fanOut.run(call.fullName, call.words)
    if (call.command === null) return this.caller.runUnknown(call, signal)
    if (call.isBlocking) return this.caller.runBlocking(call, signal)
    return this.caller.run(call, refusals, signal)
  }

  private async reply(
    call: CheckedCall,
    decode: CallDecode,
    refusals: Refusals,
    signal: AbortSignal | null,
  ): Promise<ReplyValue> {
    try {
      return decodeReply(await this.run(call, refusals, signal), decode, replyKindOf(call.words))
    } catch (error) {
      if (decode === RAW_RESP && error instanceof CommandError) return Buffer.from(`-${error.message}\r\n`)
      throw error
    }
  }
}

const CLOSED: EngineHealth = { isReady: false, detail: 'closed' }

/** ACL is about the users of the gateway, which the servers do not know. */
function isAboutUsers({ fullName }: CheckedCall): boolean {
  return fullName === 'acl' || fullName.startsWith('acl|')
}
