/** What tests ask of a gateway, over whichever engine. */
import type { User } from '../../src/access/user.ts'
import type { Engine } from '../../src/gateway/engine.ts'
import type { Gateway } from '../../src/gateway/gateway.ts'
import type { GatewaySettings } from '../../src/gateway/settings.ts'

/** What `fetch` takes beyond the options of the platform's. */
export interface RequestOptions extends RequestInit {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  /** Sent as JSON; the method is POST then, unless one is given. */
  readonly json?: unknown
}

export abstract class GatewayUnderTest {
  readonly engine: Engine
  readonly gateway: Gateway
  readonly settings: GatewaySettings

  constructor(engine: Engine, gateway: Gateway, settings: GatewaySettings) {
    this.engine = engine
    this.gateway = gateway
    this.settings = settings
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

  /** Creates or changes a user of the gateway by the rules of ACL SETUSER, as text. */
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
  }
}

/** Text as the byte string that a client would send. */
function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
