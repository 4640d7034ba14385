/**
 * The process with its data elsewhere (`engine redis://…`): a gateway over an existing Redis or Valkey. There is no RESP
 * port, no data and no log of it here; users and tokens are those of this configuration.
 */
import type { Config } from '../config/config.ts'
import { fatalConfigError } from '../config/config-error.ts'
import type { DirectiveName } from '../config/directives.ts'
import { openRemoteGateway } from '../gateway/open-gateway.ts'
import type { Log } from '../observe/log.ts'

/** What a process without RESP port and data has no use for. Others that say nothing here are too many to list. */
const UNUSED: readonly DirectiveName[] = ['port', 'bind', 'unixsocket', 'appendonly', 'save', 'maxmemory', 'replicaof']

/** A part of the process that is to be stopped. */
export interface RemoteProcess {
  close(): Promise<void>
}

/**
 * Opens the gateway. It is there before the servers are: until they answer, requests wait or get 503.
 *
 * @throws ConfigError, EngineUrlError, AclFileError, TokenFileError, GatewayListenError
 */
export async function startRemote(config: Config, log: Log): Promise<RemoteProcess> {
  const [renamed] = config.renamedCommands
  if (renamed !== undefined)
    throw fatalConfigError(renamed.line, 'rename-command cannot be used with a remote engine: rename it there')
  if (config.number('http-port') === 0)
    throw fatalConfigError(null, 'http-port is 0 and the engine is remote: there is nothing to open')
  const unused = UNUSED.filter((name) => config.isGiven(name))
  if (unused.length > 0) log.warning(`The engine is remote: without effect are ${unused.join(', ')}`)
  return openRemoteGateway(config, log)
}
