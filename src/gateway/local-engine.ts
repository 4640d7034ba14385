/**
 * The engine in this process. Hot path: call, pipeline.
 *
 * Each user has an in-process door of its own (server/in-process.ts): its sessions carry the user, so the pipeline
 * checks the ACL of every command, those of scripts and transactions included. The door that was used least recently makes
 * room for a new one.
 */
import { Redis } from 'ioredis'
import Parser from 'redis-parser'
import type { Tokens } from '../access/tokens.ts'
import { type User, unrestrictedUser } from '../access/user.ts'
import type { Users } from '../access/users.ts'
import type { Command, Registry } from '../commands/registry.ts'
import type { Session } from '../commands/session.ts'
import { CommandError, Decode, type ReplyValue } from '../resp/value-sink.ts'
import {
  BrokerClosedError,
  type Call,
  CallCancelledError,
  type CallDecode,
  DoorFullError,
  InProcess,
  SessionClosedError,
} from '../server/in-process.ts'
import { type InProcessConnections, inProcessOptions } from '../server/in-process-ioredis.ts'
import type { Server } from '../server/server.ts'
import { SubscribeTo, type Subscription, Subscriptions } from '../server/subscriptions.ts'
import { connectMemory, type MemorySocket } from '../transport/memory.ts'
import { connectionCommandError } from './connection-commands.ts'
import {
  type Argument,
  type CallOptions,
  type CommandWords,
  type Engine,
  type EngineHealth,
  type EngineScript,
  EngineUnavailableError,
  type MessageListener,
  runScript,
} from './engine.ts'
import { requireCommands } from './permissions.ts'

/** Doors of users that are kept open. */
const DOORS_MAX = 1000
/** One reply, in bytes of its strings: larger ones could not be answered as JSON anyway (rest/reply-json.ts). */
const REPLY_SIZE_MAX = 256 * 1024 * 1024
/** All replies of a batch, in bytes; what follows is not run. */
const BATCH_SIZE_MAX = 128 * 1024 * 1024

const READY: EngineHealth = { isReady: true, detail: 'ready' }
/** What the system said is in the log: everybody may ask for the health, and it may name paths. */
const DISK_ERROR: EngineHealth = { isReady: false, detail: 'the append-only file cannot be written' }
const CLOSED: EngineHealth = { isReady: false, detail: 'closed' }

type Refuse = (command: Command) => CommandError | null

export class LocalEngine implements Engine, InProcessConnections {
  readonly kind = 'local'
  readonly registry: Registry
  readonly users: Users
  readonly tokens: Tokens
  readonly system: User = unrestrictedUser('default')
  private readonly server: Server
  /** In the order of their last use. */
  private readonly doors = new Map<User, InProcess>()
  private readonly systemDoor: InProcess
  private readonly subscriptions: Subscriptions
  /** Stands for whoever makes a request, where a session has to be named. */
  private readonly anybody: Session
  isClosed: boolean = false

  constructor(server: Server) {
    this.server = server
    this.registry = server.registry
    this.users = server.users
    this.tokens = server.tokens
    this.systemDoor = new InProcess(server, { respVersion: 2, user: this.system, replySizeMax: REPLY_SIZE_MAX })
    this.subscriptions = new Subscriptions(server.acceptInProcess)
    this.anybody = server.createInternalClient(0)
  }

  get health(): EngineHealth {
    if (this.isClosed) return CLOSED
    return this.server.writeRefusal === null ? READY : DISK_ERROR
  }

  call(user: User, args: CommandWords, options: CallOptions = {}): Promise<ReplyValue> {
    const { signal, decode = Decode.Text } = options
    return new Promise((resolve, reject) => {
      const door = this.doorOf(user)
      if (signal === undefined) {
        door.enqueue(newCall(args, decode, connectionCommandError, resolve, (error) => reject(translate(error))))
        return
      }
      if (signal.aborted) {
        reject(new CallCancelledError())
        return
      }
      const cancel = (): void => door.cancel(call)
      const settled = (): void => signal.removeEventListener('abort', cancel)
      const call = newCall(
        args,
        decode,
        connectionCommandError,
        (reply) => {
          settled()
          resolve(reply)
        },
        (error) => {
          settled()
          reject(translate(error))
        },
      )
      signal.addEventListener('abort', cancel, { once: true })
      door.enqueue(call)
    })
  }

  pipeline(user: User, commands: readonly CommandWords[], decode: CallDecode): Promise<readonly ReplyValue[]> {
    const door = this.doorOf(user)
    return this.batch(door, commands, decode, refuseBeyondSize(door))
  }

  async transaction(user: User, commands: readonly CommandWords[], decode: Decode): Promise<readonly ReplyValue[]> {
    for (const [name, second = ''] of commands) {
      const command = this.registry.byWords(String(name), String(second))
      const refused = command === null ? null : connectionCommandError(command)
      if (refused !== null) throw refused
    }
    // Refused MULTIs would leave the commands to be run one by one.
    requireCommands(this, user, [['MULTI']])
    const door = this.doorOf(user)
    const replies = await this.batch(door, [['MULTI'], ...commands, ['EXEC']], decode, refuseWithoutMulti(door))
    const refused = replies.slice(0, -1).find((reply) => reply instanceof CommandError)
    if (refused instanceof CommandError) throw refused
    const results = replies[replies.length - 1]
    if (results instanceof CommandError) throw results
    return results as readonly ReplyValue[]
  }

  script(script: EngineScript, keys: readonly string[], args: readonly Argument[]): Promise<ReplyValue> {
    return runScript(this, script, keys, args)
  }

  subscribe(channel: string, listener: MessageListener): Promise<Subscription> {
    return this.subscriptions.subscribe(SubscribeTo.Channel, channel, listener).catch(unavailable)
  }

  psubscribe(pattern: string, listener: MessageListener): Promise<Subscription> {
    return this.subscriptions.subscribe(SubscribeTo.Pattern, pattern, listener).catch(unavailable)
  }

  monitor(listener: (line: string) => void): Promise<Subscription> {
    if (this.isClosed) return Promise.reject(new EngineUnavailableError('The engine is closed'))
    return new Promise((resolve, reject) => {
      const socket = this.connect()
      let isConfirmed = false
      const parser = new Parser({
        returnReply: (reply) => {
          if (isConfirmed) listener(String(reply))
          else {
            isConfirmed = true
            resolve({
              unsubscribe: async () => {
                socket.destroy()
              },
            })
          }
        },
        returnError: reject,
        returnFatalError: (error) => socket.destroy(error),
      })
      socket.on('data', (chunk: Buffer) => parser.execute(chunk))
      socket.on('error', reject)
      socket.on('close', () => reject(new EngineUnavailableError('The connection was closed')))
      socket.write('MONITOR\r\n')
    })
  }

  loginDenied(userName: string): void {
    this.server.access.loginDenied(this.anybody, 'HTTP', userName)
  }

  /** A connection with all rights. */
  connect(): MemorySocket {
    return connectMemory(this.server.acceptInProcess)
  }

  createClient(): Redis {
    const client = new Redis({ ...inProcessOptions(this), maxRetriesPerRequest: null })
    // Every failed attempt to connect is one; without a listener it would be printed.
    client.on('error', (error) => this.server.log.debug(`In-process client: ${error.message}`))
    return client
  }

  async close(): Promise<void> {
    this.isClosed = true
    for (const door of this.doors.values()) door.destroy()
    this.doors.clear()
    this.systemDoor.destroy()
    this.subscriptions.close()
  }

  private doorOf(user: User): InProcess {
    if (user === this.system) return this.systemDoor
    const found = this.doors.get(user)
    if (found !== undefined) {
      // Moving to the end only when there is somebody to be put out: most brokers have a handful of users.
      if (this.doors.size > DOORS_MAX / 2) {
        this.doors.delete(user)
        this.doors.set(user, found)
      }
      return found
    }
    if (this.doors.size >= DOORS_MAX) this.closeIdleDoor()
    const door = new InProcess(this.server, { respVersion: 2, user, replySizeMax: REPLY_SIZE_MAX })
    if (this.isClosed) door.close()
    else this.doors.set(user, door)
    return door
  }

  private closeIdleDoor(): void {
    for (const [user, door] of this.doors) {
      if (!door.isIdle) continue
      this.doors.delete(user)
      door.destroy()
      return
    }
  }

  private batch(
    door: InProcess,
    commands: readonly CommandWords[],
    decode: CallDecode,
    refuse: Refuse,
  ): Promise<readonly ReplyValue[]> {
    return door.batch(commands, decode, refuse).catch(rethrow)
  }
}

/** Replies of a batch are in memory together, until the last of them is there. */
function refuseBeyondSize(door: InProcess): Refuse {
  let sizeBefore: number | null = null
  return (command) => {
    sizeBefore ??= door.repliedSize
    if (door.repliedSize - sizeBefore <= BATCH_SIZE_MAX) return connectionCommandError(command)
    return new CommandError(`ERR The replies before are larger than ${BATCH_SIZE_MAX} bytes: not executed`)
  }
}

/** Of a transaction whose session was closed, the rest would be run one by one. */
function refuseWithoutMulti(door: InProcess): Refuse {
  let lostBefore: number | null = null
  return () => {
    lostBefore ??= door.sessionsLost
    return door.sessionsLost === lostBefore ? null : new CommandError('EXECABORT The connection was closed')
  }
}

function newCall(
  args: CommandWords,
  decode: CallDecode,
  refuse: Refuse,
  done: (reply: ReplyValue) => void,
  failed: (error: Error) => void,
): Call {
  return { args, decode, refuse, isCancelled: false, done, failed }
}

/** There is no connection for a subscription. */
function unavailable(error: Error): never {
  throw new EngineUnavailableError(error.message)
}

function rethrow(error: Error): never {
  throw translate(error)
}

function translate(error: Error): Error {
  if (error instanceof BrokerClosedError) return new EngineUnavailableError('The engine is closed')
  if (error instanceof SessionClosedError) return new EngineUnavailableError(error.message)
  return error instanceof DoorFullError ? new EngineUnavailableError(error.message) : error
}
