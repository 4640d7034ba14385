/**
 * The TCP port: opened at the start on the addresses of `bind`, and opened anew where CONFIG SET says. Cold.
 *
 * CONFIG SET must answer at once, and only a port that is open is known to be free. So addresses can change while the
 * server runs where the transport listens synchronously (`listenTcpNow`), and are refused elsewhere.
 * Source: Valkey src/config.c `applyBind`, `updatePort`; src/networking.c `changeListener`.
 */
import type { Config } from '../config/config.ts'
import { messageOf } from '../files/thrown.ts'
import type { Log } from '../observe/log.ts'
import { isMissingAddress, parseBindAddress } from '../transport/bind-address.ts'
import type { Accept, Endpoint, TcpOptions, Transport } from '../transport/contract.ts'

const PORT_REFUSED = 'Unable to listen on this port. Check server logs.'
const ADDRESSES_REFUSED = 'Failed to bind to specified addresses.'

/** An endpoint that could not be opened. */
export class ListenError extends Error {}

export class TcpPorts {
  /** Those that are open. */
  endpoints: Endpoint[] = []
  /** Where they are open. */
  private port = 0
  private addresses: readonly string[] = []
  private readonly config: Config
  private readonly log: Log
  private readonly accept: Accept

  constructor(config: Config, log: Log, accept: Accept) {
    this.config = config
    this.log = log
    this.accept = accept
  }

  /** Listens where the configuration says. @throws ListenError */
  async open(transport: Transport): Promise<void> {
    this.note()
    const { port } = this
    if (port === 0) return
    for (const address of this.addresses) {
      const endpoint = await openAddress(address, port, (host) =>
        transport.listenTcp(tcpOptions(this.config, host, port), this.accept),
      )
      if (endpoint !== null) this.endpoints.push(endpoint)
    }
  }

  /** From here on CONFIG SET opens other ports and addresses, or refuses to. */
  follow(transport: Transport): void {
    const { listenTcpNow } = transport
    this.config.onChange('tls-port', () => PORT_REFUSED)
    this.config.onChange('port', () => {
      const isMoved = this.isThere || (listenTcpNow !== null && this.move(listenTcpNow))
      return isMoved ? null : PORT_REFUSED
    })
    this.config.onChange('bind', () => {
      const canMove = listenTcpNow !== null && this.config.number('tls-port') === 0
      return this.isThere || (canMove && this.move(listenTcpNow)) ? null : ADDRESSES_REFUSED
    })
  }

  /** Whether all is open where the configuration says: who changes port and addresses at once is told of both. */
  private get isThere(): boolean {
    return this.port === this.config.number('port') && String(this.addresses) === String(this.config.list('bind'))
  }

  private note(): void {
    this.port = this.config.number('port')
    this.addresses = this.config.list('bind')
  }

  /** Opens what the configuration says in place of what is open. Returns false when that cannot be done; then that stays. */
  private move(listen: NonNullable<Transport['listenTcpNow']>): boolean {
    const port = this.config.number('port')
    // "All addresses" cannot be opened beside one of them on the same port: the old ones have to go first. Another port is
    // opened before, so that nothing is lost when it is taken.
    const mustGoFirst = port === this.port
    if (mustGoFirst) this.replace([])
    const opened = this.tryOpen(listen, this.config.list('bind'), port)
    if (opened === null) {
      if (mustGoFirst) this.endpoints = this.tryOpen(listen, this.addresses, port) ?? []
      return false
    }
    this.replace(opened)
    this.note()
    return true
  }

  async close(): Promise<void> {
    await Promise.all(this.endpoints.map((endpoint) => endpoint.close()))
  }

  /** Opens all of these addresses; null, with the reason in the log, when one cannot be opened. */
  private tryOpen(
    listen: NonNullable<Transport['listenTcpNow']>,
    addresses: readonly string[],
    port: number,
  ): Endpoint[] | null {
    const opened: Endpoint[] = []
    try {
      for (const address of port === 0 ? [] : addresses) {
        const endpoint = openAddressNow(address, port, (host) =>
          listen(tcpOptions(this.config, host, port), this.accept),
        )
        if (endpoint === null) continue
        warnOfRefused(endpoint, this.log)
        opened.push(endpoint)
      }
      return opened
    } catch (error) {
      this.log.warning(messageOf(error))
      for (const endpoint of opened) void endpoint.close()
      return null
    }
  }

  private replace(endpoints: Endpoint[]): void {
    for (const endpoint of this.endpoints) void endpoint.close()
    this.endpoints = endpoints
  }
}

/** To listen on an address in the configured way. */
export function tcpOptions(config: Config, host: string, port: number): TcpOptions {
  return { host, port, backlog: config.number('tcp-backlog'), keepAliveSeconds: config.number('tcp-keepalive') }
}

/** Logs when a connection could not be accepted. */
export function warnOfRefused(endpoint: Endpoint, log: Log): void {
  endpoint.onError = (error) => log.warning(`Cannot accept a connection: ${error.message}`)
}

/** Opens an address as `bind` names it; null when it is missing here and may be. @throws ListenError */
export async function openAddress(
  address: string,
  port: number,
  open: (host: string) => Promise<Endpoint>,
): Promise<Endpoint | null> {
  try {
    return await open(parseBindAddress(address).host)
  } catch (error) {
    return missing(address, port, error)
  }
}

function openAddressNow(address: string, port: number, open: (host: string) => Endpoint): Endpoint | null {
  try {
    return open(parseBindAddress(address).host)
  } catch (error) {
    return missing(address, port, error)
  }
}

/** Returns null for an address that may be missing, and is. @throws ListenError otherwise */
function missing(address: string, port: number, error: unknown): null {
  const { name, isOptional } = parseBindAddress(address)
  if (isOptional && isMissingAddress(error)) return null
  throw new ListenError(`Failed listening on port ${port} (TCP), address ${name}: ${messageOf(error)}`)
}
