/**
 * A broker in the test's own process: no log, no append-only file unless asked for, a free TCP port, and (on wish) a
 * clock that the test moves.
 */
import { rmSync } from 'node:fs'
import { type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import type { Log } from '../../src/observe/log.ts'
import { Broker } from '../../src/server/broker.ts'
import { type Clock, type Server, SYSTEM_CLOCK } from '../../src/server/server.ts'
import type { Endpoint } from '../../src/transport/contract.ts'
import { RespClient } from './resp-client.ts'
import { temporaryDirectory } from './server-process.ts'

/** A log that keeps its warnings, for tests that look at them. */
export class TestLog implements Log {
  readonly warnings: string[] = []

  debug(): void {}
  verbose(): void {}
  notice(): void {}

  warning(message: string): void {
    this.warnings.push(message)
  }
}

/** A clock that stands still until it is moved; timers of the server still run in real time. */
export class TestClock implements Clock {
  nowMs: number
  private elapsedMs = 0

  constructor(nowMs = 1_700_000_000_000) {
    this.nowMs = nowMs
  }

  now(): number {
    return this.nowMs
  }

  elapsed(): number {
    return this.elapsedMs
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.elapsedMs += ms
  }

  /** Somebody sets the wall time. */
  step(ms: number): void {
    this.nowMs += ms
  }
}

export class TestBroker {
  readonly broker: Broker
  readonly log: TestLog
  readonly #endpoint: Endpoint
  readonly #clients: RespClient[] = []
  /** Made for it, and removed with it; null when the test has its own. */
  readonly #directory: string | null

  private constructor(broker: Broker, log: TestLog, endpoint: Endpoint, directory: string | null) {
    this.broker = broker
    this.#directory = directory
    this.log = log
    this.#endpoint = endpoint
  }

  static async start(options: ConfigOptions = {}, clock: Clock = SYSTEM_CLOCK): Promise<TestBroker> {
    const log = new TestLog()
    const directory = options.dir === undefined ? temporaryDirectory() : null
    const config = configFromOptions({
      port: 0,
      appendonly: 'no',
      save: '',
      'enable-debug-command': 'yes',
      'http-token-file': '',
      transport: process.env.MILLRACE_TRANSPORT ?? 'auto',
      // Neither is what somebody has left in the default directory loaded, nor is anything left there.
      ...(directory === null ? {} : { dir: directory, dbfilename: '' }),
      ...options,
    })
    const broker = new Broker({ config, log, clock })
    await broker.start()
    // The directive's port 0 means no TCP at all, so a free port is opened beside the broker's own endpoints.
    const endpoint = await broker.listenOnFreePort('127.0.0.1')
    return new TestBroker(broker, log, endpoint, directory)
  }

  get server(): Server {
    return this.broker.server
  }

  get port(): number {
    return this.#endpoint.port
  }

  /** A new client; closed with the broker. */
  async connect(): Promise<RespClient> {
    const client = await RespClient.connect({ port: this.port })
    this.#clients.push(client)
    return client
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    const closing = this.#endpoint.close()
    await this.broker.close()
    await closing
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true })
  }
}
