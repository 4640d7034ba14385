/** As TestGateway, over a remote engine. */
import type { ConfigOptions } from '../../src/config/config.ts'
import { configFromOptions } from '../../src/config/config.ts'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { type GatewaySettings, gatewaySettings } from '../../src/gateway/settings.ts'
import { GatewayUnderTest } from './gateway-under-test.ts'
import { type EngineUnderTest, type KeptLog, remoteEngine } from './redis-servers.ts'

export class RemoteTestGateway extends GatewayUnderTest {
  readonly log: KeptLog

  private constructor({ engine, log }: EngineUnderTest, gateway: Gateway, settings: GatewaySettings) {
    super(engine, gateway, settings)
    this.log = log
  }

  /** @param options directives about users, and `http-*` */
  static async start(url: string, options: ConfigOptions = {}): Promise<RemoteTestGateway> {
    const remote = remoteEngine(url, {}, options)
    try {
      const settings = gatewaySettings(configFromOptions({ 'http-token-file': '', ...options }))
      const gateway = await createGateway({ engine: remote.engine, log: remote.log, settings })
      await gateway.listen(['127.0.0.1'], 0)
      return new RemoteTestGateway(remote, gateway, settings)
    } catch (error) {
      await remote.engine.close()
      throw error
    }
  }
}
