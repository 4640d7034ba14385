/** As TestGateway, over a remote engine: what its tests ask of it, it answers too. */
import type { User } from '../../src/access/user.ts'
import type { ConfigOptions } from '../../src/config/config.ts'
import { configFromOptions } from '../../src/config/config.ts'
import type { Engine } from '../../src/gateway/engine.ts'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { gatewaySettings } from '../../src/gateway/settings.ts'
import type { RequestOptions } from './gateway.ts'
import { type EngineUnderTest, type KeptLog, remoteEngine } from './redis-servers.ts'

export class RemoteTestGateway {
  readonly engine: Engine
  readonly log: KeptLog
  readonly gateway: Gateway

  private constructor({ engine, log }: EngineUnderTest, gateway: Gateway) {
    this.engine = engine
    this.log = log
    this.gateway = gateway
  }

  /** @param options directives about users, and `http-*` */
  static async start(url: string, options: ConfigOptions = {}): Promise<RemoteTestGateway> {
    const remote = remoteEngine(url, {}, options)
    try {
      const settings = gatewaySettings(configFromOptions({ 'http-token-file': '', ...options }))
      const gateway = await createGateway({ engine: remote.engine, log: remote.log, settings })
      await gateway.listen(['127.0.0.1'], 0)
      return new RemoteTestGateway(remote, gateway)
    } catch (error) {
      await remote.engine.close()
      throw error
    }
  }

  get port(): number {
    return this.gateway.port
  }

  /** Without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get webSocketUrl(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  /** Creates or changes a user of the gateway. */
  user(name: string, rules: readonly string[]): User {
    return this.engine.users.set(name, rules)
  }

  tokenOf(userName: string, mode: 'full' | 'read-only' = 'full'): string {
    const options = { name: 'test', expiresMs: null, isReadOnly: mode === 'read-only' }
    return this.engine.tokens.issue(userName, options, Date.now()).token
  }

  fetch(path: string, options: RequestOptions = {}): Promise<Response> {
    const { token, json, ...init } = options
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    if (json === undefined) return fetch(this.url + path, { ...init, headers })
    headers.set('content-type', 'application/json')
    return fetch(this.url + path, { method: 'POST', ...init, headers, body: JSON.stringify(json) })
  }

  call(...args: readonly (string | number | Uint8Array)[]): ReturnType<Engine['call']> {
    return this.engine.call(this.engine.system, args)
  }

  async close(): Promise<void> {
    await this.gateway.close()
    await this.engine.close()
  }
}
