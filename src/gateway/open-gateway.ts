/** Opens the gateway, of a broker in this process or of a remote engine, as the directives say. Loaded only where one is wanted. */
import type { Config } from '../config/config.ts'
import type { Log } from '../observe/log.ts'
import type { Server } from '../server/server.ts'
import type { Engine } from './engine.ts'
import { createGateway, type Gateway, GatewayListenError } from './gateway.ts'
import { LocalEngine } from './local-engine.ts'
import { RemoteEngine } from './remote-engine.ts'
import { gatewaySettings } from './settings.ts'

export interface OpenGateway {
  readonly port: number
  /** Closes the gateway, then its engine. */
  close(): Promise<void>
}

/**
 * @param port 0 takes a free one
 * @throws GatewayListenError; Error for files that cannot be read
 */
export function openLocalGateway(server: Server, config: Config, log: Log, port: number): Promise<OpenGateway> {
  return open(new LocalEngine(server), config, log, port)
}

/**
 * The gateway over the servers that the directive `engine` names, on the port of `http-port`.
 *
 * @throws EngineUrlError, ConfigError, AclFileError, TokenFileError, GatewayListenError
 */
export async function openRemoteGateway(config: Config, log: Log): Promise<OpenGateway> {
  const engine = new RemoteEngine({ url: config.text('engine'), config, log })
  return open(engine, config, log, config.number('http-port'))
}

async function open(engine: Engine, config: Config, log: Log, port: number): Promise<OpenGateway> {
  let gateway: Gateway | null = null
  try {
    gateway = await createGateway({ engine, log, settings: gatewaySettings(config) })
    await gateway.listen(config.list('http-bind'), port)
  } catch (error) {
    await closeBoth(gateway, engine)
    throw error
  }
  const opened = gateway
  log.notice(
    `The gateway listens on port ${opened.port} (${config.text('http-tls-cert-file') === '' ? 'HTTP' : 'HTTPS'})`,
  )
  return { port: opened.port, close: () => closeBoth(opened, engine) }
}

/**
 * As `openLocalGateway` on the port of `http-port`; null when there is to be none, and when the default port is taken:
 * a second broker on a machine must start without a word about HTTP.
 */
export async function openConfiguredGateway(server: Server, config: Config, log: Log): Promise<OpenGateway | null> {
  try {
    return await openLocalGateway(server, config, log, config.number('http-port'))
  } catch (error) {
    if (config.isGiven('http-port') || !(error instanceof GatewayListenError) || error.code !== 'EADDRINUSE')
      throw error
    log.warning(`${error.message}. There is no gateway; choose a port with http-port`)
    return null
  }
}

async function closeBoth(gateway: Gateway | null, engine: Engine): Promise<void> {
  await gateway?.close()
  await engine.close()
}
