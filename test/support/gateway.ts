/**
 * A gateway in the test's own process, over real HTTP: a broker, its local engine and the gateway on a free port.
 *
 *     const gateway = await TestGateway.start({ 'http-rate-limit': 10 })
 *     gateway.user('ann', ['on', '>secret', '+@read', '~app:*'])
 *     const response = await gateway.fetch('/v1/…', { token: gateway.tokenOf('ann') })
 *     await gateway.close()
 */

import type { User } from '../../src/access/user.ts'
import type { ConfigOptions } from '../../src/config/config.ts'
import type { Engine } from '../../src/gateway/engine.ts'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { LocalEngine } from '../../src/gateway/local-engine.ts'
import { type GatewaySettings, gatewaySettings } from '../../src/gateway/settings.ts'
import type { Log } from '../../src/observe/log.ts'
import { TestBroker, type TestLog } from './broker.ts'

/** What `fetch` takes beyond the options of the platform's. */
export interface RequestOptions extends RequestInit {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  /** Sent as JSON; the method is POST then, unless one is given. */
  readonly json?: unknown
}

export class TestGateway {
  readonly broker: TestBroker
  readonly engine: Engine
  readonly gateway: Gateway
  readonly settings: GatewaySettings

  private constructor(broker: TestBroker, engine: Engine, gateway: Gateway, settings: GatewaySettings) {
    this.broker = broker
    this.engine = engine
    this.gateway = gateway
    this.settings = settings
  }

  /**
   * @param options directives, of the broker and `http-*`
   * @param settings what directives cannot say: shorter times, for instance
   * @param log receives what the gateway logs; default: the broker's
   */
  static async start(
    options: ConfigOptions = {},
    settings: Partial<GatewaySettings> = {},
    log: Log | null = null,
  ): Promise<TestGateway> {
    const broker = await TestBroker.start(options)
    const engine = new LocalEngine(broker.server)
    const all: GatewaySettings = { ...gatewaySettings(broker.broker.config), ...settings }
    try {
      const gateway = await createGateway({ engine, log: log ?? broker.log, settings: all })
      await gateway.listen(['127.0.0.1'], 0)
      return new TestGateway(broker, engine, gateway, all)
    } catch (error) {
      await engine.close()
      await broker.stop()
      throw error
    }
  }

  get log(): TestLog {
    return this.broker.log
  }

  get port(): number {
    return this.gateway.port
  }

  /** Without a slash at the end. */
  get url(): string {
    return `${this.settings.tls === null ? 'http' : 'https'}://127.0.0.1:${this.port}`
  }

  get webSocketUrl(): string {
    return this.url.replace(/^http/, 'ws')
  }

  /** Creates or changes a user by the rules of ACL SETUSER, as text. */
  user(name: string, rules: readonly string[]): User {
    return this.engine.users.set(toBytes(name), rules.map(toBytes))
  }

  /** A new token of a user. */
  tokenOf(userName: string, mode: 'full' | 'read-only' = 'full'): string {
    const options = { name: 'test', expiresMs: null, isReadOnly: mode === 'read-only' }
    return this.engine.tokens.issue(userName, options, Date.now()).token
  }

  /** Requests a path. */
  fetch(path: string, options: RequestOptions = {}): Promise<Response> {
    const { token, json, ...init } = options
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    if (json === undefined) return fetch(this.url + path, { ...init, headers })
    headers.set('content-type', 'application/json')
    return fetch(this.url + path, { method: 'POST', ...init, headers, body: JSON.stringify(json) })
  }

  /** Runs a command with all rights, to prepare and to look. */
  call(...args: readonly (string | number | Uint8Array)[]): ReturnType<Engine['call']> {
    return this.engine.call(this.engine.system, args)
  }

  async close(): Promise<void> {
    await this.gateway.close()
    await this.engine.close()
    await this.broker.stop()
  }
}

/** Text as the byte string that a client would send. */
function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
