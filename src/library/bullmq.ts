/**
 * BullMQ on a broker in the same process: a client of the kind that BullMQ takes instead of ioredis (its `IRedisClient`),
 * which hands commands to the broker as they are. No ioredis, no stream and no RESP are in between.
 *
 * The main part is `runCommand`: all that BullMQ does with jobs are scripts. A connection has a door of its own, so a
 * session of its own. What a lost connection is to BullMQ can only come from outside: CLIENT KILL, or `disconnect`. The
 * next command has another session then, and a blocking one is sent again, as a client of a server does it.
 */
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type { IRedisClient, IRedisTransaction } from 'bullmq'
import { NOSCRIPT } from '../resp/errors.ts'
import { CommandError, Decode, type ReplyValue } from '../resp/value-sink.ts'
import { sha1 } from '../scripting/redis-library.ts'
import { keepStringsFast } from '../server/compiler-flags.ts'
import {
  type Argument,
  BrokerClosedError,
  type InProcess,
  refuseNothing,
  SessionClosedError,
} from '../server/in-process.ts'
import type { LocalBroker } from './broker.ts'

/** What BullMQ and ioredis call a connection that is gone; BullMQ knows it by this text. */
const CONNECTION_CLOSED = 'Connection is closed.'

/**
 * A connection for BullMQ: `new Queue('mail', { connection: bullmqConnection(broker) })`. Queues, workers and flows may
 * share one; what else they need they duplicate. It ends with the broker, or by `disconnect()`.
 *
 * @throws BrokerClosedError
 */
export function bullmqConnection(broker: LocalBroker): IRedisClient {
  return new BullmqClient(broker, new Map(), '')
}

interface Script {
  readonly source: string
  readonly sha: string
  readonly keyCount: number
}

/** A script that was given; its digest is taken when it is first run. */
interface Definition {
  readonly numberOfKeys: number
  readonly lua: string
  script: Script | null
}

interface ScriptCall {
  readonly script: Script
  readonly args: readonly unknown[]
}

/** Makes of a reply in RESP2 what ioredis makes of it. */
type Shape = (reply: ReplyValue) => ReplyValue

class BullmqClient extends EventEmitter implements IRedisClient {
  /** BullMQ sets it, too: to `end`. */
  status = 'ready'
  readonly isCluster = false
  readonly options: Record<string, unknown> = {}
  private readonly broker: LocalBroker
  private readonly definitions: Map<string, Definition>
  private readonly connectionName: string
  private door: InProcess

  constructor(broker: LocalBroker, definitions: Map<string, Definition>, connectionName: string) {
    super()
    this.broker = broker
    this.definitions = definitions
    this.connectionName = connectionName
    this.door = this.open()
  }

  // ---- the connection ------------------------------------------------------------------------------------------

  async connect(): Promise<void> {
    if (this.status === 'ready') return
    if (this.broker.isClosed) throw new Error(CONNECTION_CLOSED)
    this.door = this.open()
    this.status = 'ready'
    this.emit('ready')
  }

  disconnect(): void {
    this.broker.closeDoor(this.door)
  }

  async quit(): Promise<string> {
    // What was called before gets its reply.
    await this.send(['PING']).catch(() => null)
    this.disconnect()
    return 'OK'
  }

  duplicate(options?: { readonly connectionName?: string }): BullmqClient {
    return new BullmqClient(this.broker, this.definitions, options?.connectionName ?? '')
  }

  private open(): InProcess {
    // BullMQ, and ioredis with it, may have been loaded since the broker was started.
    keepStringsFast()
    const door = this.broker.openDoor(() => this.ended())
    if (this.connectionName !== '') {
      // A name that cannot be one is BullMQ's to hear of where it asks for it; without one the connection works as well.
      door.call(['CLIENT', 'SETNAME', this.connectionName], Decode.Text).catch(() => null)
    }
    return door
  }

  private ended(): void {
    this.status = 'end'
    process.nextTick(() => {
      this.emit('close')
      this.emit('end')
    })
  }

  // ---- scripts -------------------------------------------------------------------------------------------------

  defineCommand(name: string, { numberOfKeys, lua }: { readonly numberOfKeys: number; readonly lua: string }): void {
    if (this.definitions.get(name)?.lua !== lua) this.definitions.set(name, { numberOfKeys, lua, script: null })
  }

  runCommand(name: string, args: readonly unknown[]): Promise<ReplyValue> {
    const script = this.script(name)
    return this.door.call(this.scriptCall(script, args), Decode.Text).catch((error: unknown) => {
      // The script was forgotten (SCRIPT FLUSH) while the call had to wait: it has done nothing.
      if (error instanceof CommandError && error.message === NOSCRIPT.text) return this.send(sourceCall(script, args))
      return connectionError(error)
    })
  }

  /** @throws Error when there is no command of this name */
  script(name: string): Script {
    const definition = this.definitions.get(name)
    if (definition === undefined) throw new Error(`Cannot run ${name}: it is not defined`)
    definition.script ??= {
      source: definition.lua,
      sha: sha1(Buffer.from(definition.lua).toString('latin1')),
      keyCount: definition.numberOfKeys,
    }
    return definition.script
  }

  /**
   * The call of a script with keys and arguments one behind the other. It is sent by its digest when the broker knows it,
   * with its source otherwise: in a transaction there is no second attempt.
   */
  scriptCall(script: Script, args: readonly unknown[]): Argument[] {
    if (!this.door.knowsScript(script.sha)) return sourceCall(script, args)
    return scriptWords('EVALSHA', script.sha, script, args)
  }

  // ---- pipelines -----------------------------------------------------------------------------------------------

  pipeline(): IRedisTransaction {
    return new BullmqBatch(this, (commands) => this.batch(commands))
  }

  multi(): IRedisTransaction {
    return new BullmqBatch(this, async (commands) => {
      const replies = await this.batch([['MULTI'], ...commands, ['EXEC']])
      const last = replies.at(-1)!
      if (last instanceof CommandError) throw last
      return last as readonly ReplyValue[]
    })
  }

  private batch(commands: readonly (readonly Argument[])[]): Promise<readonly ReplyValue[]> {
    return this.door.batch(commands, Decode.Text, refuseNothing).catch(connectionError)
  }

  // ---- commands ------------------------------------------------------------------------------------------------

  async hgetall(key: string): Promise<Record<string, string>> {
    return toObject(await this.send(['HGETALL', key])) as Record<string, string>
  }

  hget(key: string, field: string): Promise<string | null> {
    return this.ask(['HGET', key, field])
  }

  hmget(key: string, ...fields: string[]): Promise<(string | null)[]> {
    return this.ask(['HMGET', key, ...fields])
  }

  hset(key: string, fields: Record<string, string | number>): Promise<number> {
    return this.ask(['HSET', key, ...pairs(fields)])
  }

  hdel(key: string, ...fields: string[]): Promise<number> {
    return this.ask(['HDEL', key, ...fields])
  }

  hexists(key: string, field: string): Promise<number> {
    return this.ask(['HEXISTS', key, field])
  }

  get(key: string): Promise<string | null> {
    return this.ask(['GET', key])
  }

  set(key: string, value: string | number, options: { PX?: number; EX?: number } = {}): Promise<string | null> {
    const { PX, EX } = options
    return this.ask(['SET', key, value, ...option('PX', PX), ...(PX === undefined ? option('EX', EX) : [])])
  }

  del(...keys: string[]): Promise<number> {
    return keys.length === 0 ? Promise.resolve(0) : this.ask(['DEL', ...keys])
  }

  zrange(key: string, start: number, end: number, options: { WITHSCORES?: boolean } = {}): Promise<string[]> {
    return this.ask(['ZRANGE', key, start, end, ...(options.WITHSCORES === true ? ['WITHSCORES'] : [])])
  }

  zrevrange(key: string, start: number, end: number, options: { WITHSCORES?: boolean } = {}): Promise<string[]> {
    return this.ask(['ZREVRANGE', key, start, end, ...(options.WITHSCORES === true ? ['WITHSCORES'] : [])])
  }

  zcard(key: string): Promise<number> {
    return this.ask(['ZCARD', key])
  }

  zscore(key: string, member: string): Promise<string | null> {
    return this.ask(['ZSCORE', key, member])
  }

  lrange(key: string, start: number, end: number): Promise<string[]> {
    return this.ask(['LRANGE', key, start, end])
  }

  llen(key: string): Promise<number> {
    return this.ask(['LLEN', key])
  }

  ltrim(key: string, start: number, end: number): Promise<string> {
    return this.ask(['LTRIM', key, start, end])
  }

  lpos(key: string, value: string): Promise<number | null> {
    return this.ask(['LPOS', key, value])
  }

  smembers(key: string): Promise<string[]> {
    return this.ask(['SMEMBERS', key])
  }

  xadd(
    key: string,
    id: string,
    fields: Record<string, string | number>,
    options: { MAXLEN?: number; approximate?: boolean } = {},
  ): Promise<string> {
    const { MAXLEN, approximate } = options
    const trim = MAXLEN === undefined ? [] : ['MAXLEN', ...about(approximate), MAXLEN]
    return this.ask(['XADD', key, ...trim, id, ...pairs(fields)])
  }

  xread(
    streams: readonly { key: string; id: string }[],
    options: { BLOCK?: number; COUNT?: number } = {},
  ): Promise<ReplyValue> {
    const keys = streams.map(({ key }) => key)
    const ids = streams.map(({ id }) => id)
    const modes = [...option('BLOCK', options.BLOCK), ...option('COUNT', options.COUNT)]
    return this.wait(['XREAD', ...modes, 'STREAMS', ...keys, ...ids])
  }

  xtrim(key: string, strategy: 'MAXLEN', threshold: number, options: { approximate?: boolean } = {}): Promise<number> {
    return this.ask(['XTRIM', key, strategy, ...about(options.approximate), threshold])
  }

  bzpopmin(key: string, timeout: number): Promise<[key: string, member: string, score: string] | null> {
    return this.wait(['BZPOPMIN', key, timeout]) as Promise<[string, string, string] | null>
  }

  info(): Promise<string> {
    return this.ask(['INFO'])
  }

  clientSetName(name: string): Promise<string> {
    return this.ask(['CLIENT', 'SETNAME', name])
  }

  clientList(): Promise<string> {
    return this.ask(['CLIENT', 'LIST'])
  }

  clientInfo(): Promise<string> {
    return this.ask(['CLIENT', 'INFO'])
  }

  scan(cursor: string | number, options: { MATCH?: string; COUNT?: number } = {}): Promise<[string, string[]]> {
    return this.ask(['SCAN', cursor, ...option('MATCH', options.MATCH), ...option('COUNT', options.COUNT)])
  }

  scanStream({ match, count }: { readonly match: string; readonly count?: number }): Readable {
    return Readable.from(this.scanAll({ MATCH: match, ...(count === undefined ? {} : { COUNT: count }) }))
  }

  private async *scanAll(options: { MATCH: string; COUNT?: number }): AsyncGenerator<string[]> {
    let cursor = '0'
    do {
      const [next, keys] = await this.scan(cursor, options)
      cursor = next
      yield keys
    } while (cursor !== '0')
  }

  /** As `send`, for a reply whose type the command fixes. */
  private ask<Reply>(args: readonly Argument[]): Promise<Reply> {
    return this.send(args) as Promise<Reply>
  }

  private send(args: readonly Argument[]): Promise<ReplyValue> {
    return this.door.call(args, Decode.Text).catch(connectionError)
  }

  /** Sends a command that may block, again if its session is lost meanwhile: it took nothing then. */
  private async wait(args: readonly Argument[]): Promise<ReplyValue> {
    const { door } = this
    for (;;) {
      try {
        return await door.call(args, Decode.Text)
      } catch (error) {
        if (!(error instanceof SessionClosedError)) return connectionError(error)
      }
    }
  }
}

/** Commands that are sent together. */
class BullmqBatch implements IRedisTransaction {
  private readonly client: BullmqClient
  private readonly run: (commands: readonly (readonly Argument[])[]) => Promise<readonly ReplyValue[]>
  private readonly commands: (readonly Argument[] | ScriptCall)[] = []
  private readonly shapes: Shape[] = []

  constructor(client: BullmqClient, run: BullmqBatch['run']) {
    this.client = client
    this.run = run
  }

  runCommand(name: string, args: readonly unknown[]): this {
    return this.add({ script: this.client.script(name), args })
  }

  hgetall(key: string): this {
    return this.add(['HGETALL', key], toObject)
  }

  hset(key: string, fields: Record<string, string | number>): this {
    return this.add(['HSET', key, ...pairs(fields)])
  }

  hscan(key: string, cursor: string | number, options: { COUNT?: number } = {}): this {
    return this.add(['HSCAN', key, cursor, ...option('COUNT', options.COUNT)])
  }

  smembers(key: string): this {
    return this.add(['SMEMBERS', key])
  }

  sscan(key: string, cursor: string | number, options: { COUNT?: number } = {}): this {
    return this.add(['SSCAN', key, cursor, ...option('COUNT', options.COUNT)])
  }

  zrange(key: string, start: number, end: number): this {
    return this.add(['ZRANGE', key, start, end])
  }

  lrange(key: string, start: number, end: number): this {
    return this.add(['LRANGE', key, start, end])
  }

  llen(key: string): this {
    return this.add(['LLEN', key])
  }

  del(...keys: string[]): this {
    return keys.length === 0 ? this : this.add(['DEL', ...keys])
  }

  async exec(): Promise<[Error | null, ReplyValue][]> {
    const commands = this.commands.map((command) =>
      'script' in command ? this.client.scriptCall(command.script, command.args) : command,
    )
    const replies = await this.run(commands)
    return replies.map((reply, i) => (reply instanceof CommandError ? [reply, null] : [null, this.shapes[i]!(reply)]))
  }

  private add(command: readonly Argument[] | ScriptCall, shape: Shape = unchanged): this {
    this.commands.push(command)
    this.shapes.push(shape)
    return this
  }
}

/** The call of a script by its source. */
function sourceCall(script: Script, args: readonly unknown[]): Argument[] {
  return scriptWords('EVAL', script.source, script, args)
}

function scriptWords(command: string, body: string, { keyCount }: Script, args: readonly unknown[]): Argument[] {
  const words: Argument[] = [command, body, keyCount]
  for (let i = 0; i < args.length; i++) words.push(argument(args[i]))
  return words
}

function unchanged(reply: ReplyValue): ReplyValue {
  return reply
}

function toObject(reply: ReplyValue): ReplyValue {
  const flat = reply as readonly string[]
  const object: { [key: string]: string } = {}
  for (let i = 0; i + 1 < flat.length; i += 2) {
    // A field named `__proto__` is a field.
    if (flat[i] === '__proto__') Object.defineProperty(object, '__proto__', property(flat[i + 1]!))
    else object[flat[i]!] = flat[i + 1]!
  }
  return object
}

function property(value: string): PropertyDescriptor {
  return { value, enumerable: true, configurable: true, writable: true }
}

function pairs(fields: Record<string, string | number>): Argument[] {
  return Object.entries(fields).flatMap(([field, value]) => [field, argument(value)])
}

function option(name: string, value: string | number | undefined): Argument[] {
  return value === undefined ? [] : [name, value]
}

function about(approximate: boolean | undefined): string[] {
  return approximate === false ? [] : ['~']
}

/** An argument as ioredis sends it: what is absent is empty. */
function argument(value: unknown): Argument {
  if (typeof value === 'string' || typeof value === 'number' || value instanceof Uint8Array) return value
  return value === null || value === undefined ? '' : String(value)
}

/** @throws Error as BullMQ knows it when the connection is gone; else the error that it is given */
function connectionError(error: unknown): never {
  if (error instanceof BrokerClosedError || error instanceof SessionClosedError) {
    throw new Error(CONNECTION_CLOSED, { cause: error })
  }
  throw error
}
