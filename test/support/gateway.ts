/**
 * A gateway in the test's own process, over real HTTP: a broker, its local engine and the gateway on a free port.
 *
 *     const gateway = await TestGateway.start({ 'http-rate-limit': 10 })
 *     gateway.user('ann', ['on', '>secret', '+@read', '~app:*'])
 *     const response = await gateway.fetch('/v1/…', { token: gateway.tokenOf('ann') })
 *     await gateway.close()
 */
import type { ConfigOptions } from '../../src/config/config.ts'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { LocalEngine } from '../../src/gateway/local-engine.ts'
import { type GatewaySettings, gatewaySettings } from '../../src/gateway/settings.ts'
import type { Log } from '../../src/observe/log.ts'
import { type Clock, SYSTEM_CLOCK } from '../../src/server/server.ts'
import { TestBroker, type TestLog } from './broker.ts'
import { GatewayUnderTest } from './gateway-under-test.ts'

export class TestGateway extends GatewayUnderTest {
  readonly broker: TestBroker

  private constructor(broker: TestBroker, engine: LocalEngine, gateway: Gateway, settings: GatewaySettings) {
    super(engine, gateway, settings)
    this.broker = broker
  }

  /**
   * @param options directives, of the broker and `http-*`
   * @param settings what directives cannot say: shorter times, for instance
   * @param log receives what the gateway logs; default: the broker's
   * @param clock of the broker
   */
  static async start(
    options: ConfigOptions = {},
    settings: Partial<GatewaySettings> = {},
    log: Log | null = null,
    clock: Clock = SYSTEM_CLOCK,
  ): Promise<TestGateway> {
    const broker = await TestBroker.start(options, clock)
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

  override async close(): Promise<void> {
    await super.close()
    await this.broker.stop()
  }
}
