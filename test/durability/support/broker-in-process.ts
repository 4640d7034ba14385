/**
 * A broker of which a test has everything in its hands: the clock, the files, and when which command is executed. Its
 * clients have no socket: a command is executed before `send` returns, its reply comes at the end of the turn.
 */
import { type ConfigOptions, configFromOptions } from '../../../src/config/config.ts'
import { type Files, SYSTEM_FILES } from '../../../src/files/files.ts'
import { Broker } from '../../../src/server/broker.ts'
import type { Client } from '../../../src/server/client.ts'
import type { Server } from '../../../src/server/server.ts'
import type { Connection } from '../../../src/transport/contract.ts'
import { TestClock, TestLog } from '../../support/broker.ts'
import { Decoder, encodeCommand, type Reply } from '../../support/resp-client.ts'

/** Anything is waited for so long at most. */
const WAIT_MS_MAX = 20_000

/** A test may have a clock that goes on only when it is looked at. */
const LOOKS_PER_TURN = 3

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export interface BrokerSettings {
  readonly clock?: TestClock
  readonly files?: Files
  readonly options?: ConfigOptions
}

export class BrokerInProcess {
  readonly broker: Broker
  readonly clock: TestClock
  readonly log: TestLog

  private constructor(broker: Broker, clock: TestClock, log: TestLog) {
    this.broker = broker
    this.clock = clock
    this.log = log
  }

  /** Starts one with its data in `directory`: no log and no save points unless the options say so. */
  static async start(directory: string, settings: BrokerSettings = {}): Promise<BrokerInProcess> {
    const log = new TestLog()
    const clock = settings.clock ?? new TestClock()
    const config = configFromOptions({
      port: 0,
      dir: directory,
      appendonly: 'no',
      save: '',
      databases: 4,
      'enable-debug-command': 'yes',
      'http-token-file': '',
      ...settings.options,
    })
    const broker = new Broker({ config, log, clock, files: settings.files ?? SYSTEM_FILES })
    await broker.start()
    return new BrokerInProcess(broker, clock, log)
  }

  get server(): Server {
    return this.broker.server
  }

  connect(): DirectClient {
    return new DirectClient(this.server)
  }

  /** Lets turns pass until something is so. */
  async until(isSo: () => boolean): Promise<void> {
    const limit = Date.now() + WAIT_MS_MAX
    while (!isSo()) {
      if (Date.now() > limit) throw new Error('It does not come to that')
      for (let look = 0; look < LOOKS_PER_TURN; look++) performance.now()
      await nextTurn()
    }
  }

  /** Waits for the end of what is written in the background, and until what that held is free. */
  async untilQuiet(): Promise<void> {
    const { server } = this
    await this.until(
      () =>
        !server.snapshots.isActive &&
        !server.saving.isSaving &&
        !server.appendOnly.isRewriting &&
        !server.appendOnly.folder.isPersisting &&
        server.keyspace.walk === null,
    )
  }

  /** INFO persistence. */
  async info(): Promise<Map<string, string>> {
    const text = String(await this.connect().call('INFO', 'persistence'))
    return new Map(text.split('\r\n').map((line) => line.split(':') as [string, string]))
  }

  close(): Promise<boolean> {
    return this.broker.close()
  }
}

/** A client without a socket. */
export class DirectClient {
  private readonly server: Server
  private readonly client: Client
  private readonly replies: Reply[] = []
  private text = ''

  constructor(server: Server) {
    this.server = server
    const client = server.acceptInProcess(this.connection())
    if (client === null) throw new Error('The client was refused')
    this.client = client
  }

  /** Executes commands before it returns, unless the client is blocked. Their replies are dropped. */
  send(...commands: readonly (readonly string[])[]): void {
    this.execute(commands.map(encodeCommand).join(''))
  }

  /** Executes a command and waits for its reply. No `send` may be waiting for its own. */
  async call(...words: string[]): Promise<Reply> {
    const [reply] = await this.pipeline([words])
    return reply ?? null
  }

  /** As `pipeline`; null when the replies have not come by the time somebody gives up. */
  async pipelineUnless(isGivenUp: () => boolean, commands: readonly (readonly string[])[]): Promise<Reply[] | null> {
    await this.quiet()
    this.execute(commands.map(encodeCommand).join(''))
    const limit = Date.now() + WAIT_MS_MAX
    while (this.replies.length < commands.length) {
      if (Date.now() > limit) throw new Error(`No reply to ${JSON.stringify(commands).slice(0, 200)}`)
      if (isGivenUp()) break
      await nextTurn()
    }
    return isGivenUp() ? null : this.replies.splice(0)
  }

  async pipeline(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    return (await this.pipelineUnless(() => false, commands)) ?? []
  }

  /** The connection is gone. */
  close(): void {
    this.server.closeClient(this.client)
  }

  /** Lets the replies come that nobody waits for. */
  private async quiet(): Promise<void> {
    await nextTurn()
    await nextTurn()
    this.replies.length = 0
  }

  private execute(encoded: string): void {
    const bytes = Buffer.from(encoded, 'latin1')
    this.client.received(bytes, 0, bytes.length)
  }

  private received(text: string): void {
    this.text += text
    const decoder = new Decoder(this.text)
    for (;;) {
      const start = decoder.at
      const reply = decoder.next()
      if (reply === undefined) {
        this.text = this.text.slice(start)
        return
      }
      this.replies.push(reply)
    }
  }

  private connection(): Connection {
    return {
      outbox: null,
      address: '127.0.0.1:1',
      localAddress: '127.0.0.1:2',
      isUnixSocket: false,
      isLocal: true,
      queuedBytes: 0,
      send: (buffer, start, end) => {
        this.received(buffer.latin1Slice(start, end))
        return true
      },
      readNow: () => 0,
      pause: () => {},
      resume: () => {},
      setKeepAlive: () => {},
      delaySmallPackets: () => {},
      end: () => {},
      destroy: () => {},
    }
  }
}
