/** Opens the gateway of a broker in this process, as its directives say. Loaded only where a gateway is wanted. */
import type { Config } from '../config/config.ts'
import type { Log } from '../observe/log.ts'
import type { Server } from '../server/server.ts'
import { createGateway, type Gateway, GatewayListenError } from './gateway.ts'
import { LocalEngine } from './local-engine.ts'
import { gatewaySettings } from './settings.ts'

export interface LocalGateway {
  readonly port: number
  close(): Promise<void>
}

/**
 * @param port 0 takes a free one
 * @throws GatewayListenError; Error for files that cannot be read
 */
export async function openLocalGateway(server: Server, config: Config, log: Log, port: number): Promise<LocalGateway> {
  const engine = new LocalEngine(server)
  const gateway = await createGateway({ engine, log, settings: gatewaySettings(config) })
  try {
    await gateway.listen(config.list('http-bind'), port)
  } catch (error) {
    await closeBoth(gateway, engine)
    throw error
  }
  log.notice(
    `The gateway listens on port ${gateway.port} (${config.text('http-tls-cert-file') === '' ? 'HTTP' : 'HTTPS'})`,
  )
  return { port: gateway.port, close: () => closeBoth(gateway, engine) }
}

/**
 * As `openLocalGateway` on the port of `http-port`; null when there is to be none, and when the default port is taken:
 * a second broker on a machine must start without a word about HTTP.
 */
export async function openConfiguredGateway(server: Server, config: Config, log: Log): Promise<LocalGateway | null> {
  try {
    return await openLocalGateway(server, config, log, config.number('http-port'))
  } catch (error) {
    if (config.isGiven('http-port') || !(error instanceof GatewayListenError) || error.code !== 'EADDRINUSE')
      throw error
    log.warning(`${error.message}. There is no gateway; choose a port with http-port`)
    return null
  }
}

async function closeBoth(gateway: Gateway, engine: LocalEngine): Promise<void> {
  await gateway.close()
  await engine.close()
}
