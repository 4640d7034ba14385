/**
 * A broker: a server with its data loaded, its log open and its endpoints listening. What `main.ts` runs and
 * `createBroker` returns.
 *
 *     ports ─▶ lock of the log ─▶ unix socket ─▶ data, in slices (loading.ts) ─▶ log for appending ─▶ annex ─▶ ready
 *
 * A port that is taken ends the start before any file was touched; clients that connect while data are loaded are told
 * so by the commands that need them.
 */
import { existsSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { fatalConfigError } from '../config/config-error.ts'
import { systemErrorText } from '../config/system-error.ts'
import { type Files, SYSTEM_FILES } from '../files/files.ts'
import { messageOf } from '../files/thrown.ts'
import type { Log } from '../observe/log.ts'
import type { Unsummed } from '../persistence/aof-annotations.ts'
import type { AofFolder } from '../persistence/aof-folder.ts'
import { AofLoadError, type AofLoadFile } from '../persistence/aof-load.ts'
import { filesToLoad } from '../persistence/manifest.ts'
import type { StreamPosition } from '../persistence/snapshot-format.ts'
import { chooseTransport, type TransportName } from '../transport/choose.ts'
import type { Endpoint, Transport } from '../transport/contract.ts'
import { nodeTransport } from '../transport/node.ts'
import { listenTls, type TlsEndpoint } from '../transport/tls.ts'
import { keepStringsFast } from './compiler-flags.ts'
import { DataLoading } from './loading.ts'
import { type Clock, Server, SYSTEM_CLOCK } from './server.ts'
import { ListenError, openAddress, TcpPorts, tcpOptions, warnOfRefused } from './tcp-ports.ts'
import { TLS_DIRECTIVES, tlsSettings } from './tls-settings.ts'
import { loadUsers } from './users.ts'

export interface BrokerOptions {
  readonly config: Config
  readonly log: Log
  readonly clock?: Clock
  /** File operations of the log, replaced in fault tests. */
  readonly files?: Files
  /** Whether there is no directory for an append-only log, which cannot be switched on then. Default: no. */
  readonly isInMemory?: boolean
  /** Opens a further door once the data is loaded. */
  readonly openAnnex?: (server: Server) => Promise<Annex | null>
}

/** A door that is opened with the broker and closed before it: the gateway. */
export interface Annex {
  /** Stops accepting and ends what is under way, in bounded time. */
  close(): Promise<void>
}

export class Broker {
  readonly server: Server
  readonly config: Config
  readonly log: Log
  private readonly openAnnex: (server: Server) => Promise<Annex | null>
  private annex: Annex | null = null
  private readonly tcp: TcpPorts
  /** What else is open: TLS, unix socket. */
  private endpoints: Endpoint[] = []
  private isClosed: boolean = false
  private readonly loading: DataLoading
  private transport: Transport = nodeTransport

  constructor(options: BrokerOptions) {
    keepStringsFast()
    this.config = options.config
    this.log = options.log
    this.openAnnex = options.openAnnex ?? (async () => null)
    this.server = new Server({
      config: options.config,
      log: options.log,
      clock: options.clock ?? SYSTEM_CLOCK,
      files: options.files ?? SYSTEM_FILES,
      isInMemory: options.isInMemory ?? false,
    })
    this.tcp = new TcpPorts(options.config, options.log, this.server.accept)
    this.loading = new DataLoading(this.server)
    this.server.onReloadDump = (reload) => this.loading.reloadDump(reload)
    this.server.onLoadPayload = (file, isStopped) => this.loading.loadPayload(file, () => this.isClosed || isStopped())
  }

  /**
   * Listens, then loads the data. Resolves when everything is there, or when the broker was closed meanwhile.
   * @throws LogLockedError, AofLoadError, RdbLoadError, ManifestError, ListenError, or an Error with the system's as its cause
   */
  async start(): Promise<void> {
    try {
      await this.open()
    } catch (error) {
      // Whoever tries again, in this process or another, must not find half a broker in the way.
      await this.close()
      throw error
    }
  }

  private async open(): Promise<void> {
    if (this.config.text('engine') !== 'local')
      throw fatalConfigError(null, 'a broker has its data in its own process: its engine is local')
    this.renameCommands()
    loadUsers(this.server.users, this.config, this.log)
    this.loading.begin()
    this.chooseTransport()
    await this.listenOnPorts()
    const hasLog = this.config.bool('appendonly')
    if (hasLog) this.server.appendOnly.lock()
    await this.listenOnSocket()
    // Tests of Redis wait for these words, in this order, before they connect: from here on clients are answered.
    this.log.notice(`Process has PID: ${process.pid}. Server initialized`)
    // Whoever closed the broker meanwhile has not seen all endpoints.
    if (this.isClosed) await this.closeEndpoints()
    for (const endpoint of this.allEndpoints) warnOfRefused(endpoint, this.log)
    this.server.acceptWaiting = () => {
      for (const endpoint of this.allEndpoints) endpoint.acceptNow()
    }
    this.tcp.follow(this.transport)
    this.server.start()
    let position: StreamPosition | null = null
    if (hasLog) await this.openAof()
    else position = await this.loading.loadDump(() => this.isClosed)
    this.server.onReloadLog = () => this.reload()
    if (this.isClosed) return
    this.loading.finish()
    this.server.openPort = this.port
    const primary = this.config.value('replicaof')
    if (position !== null && primary === null) this.server.replication.resume(position)
    else if (position !== null) this.server.following.resume(position)
    if (primary !== null) this.server.following.follow(primary)
    this.annex = await this.openAnnex(this.server)
    // Modules of its own may have been loaded.
    keepStringsFast()
    this.log.notice('Ready to accept connections')
  }

  private chooseTransport(): void {
    const { transport, problem } = chooseTransport(this.config.text('transport') as TransportName)
    this.transport = transport
    if (problem !== null)
      this.log.notice(`Sockets are served by node:net; the native transport is quicker, but ${problem}`)
  }

  /** Listens on a free port of this address, beside the configured ones. Rejects with the system's error. */
  listenOnFreePort(host: string): Promise<Endpoint> {
    return this.transport.listenTcp(tcpOptions(this.config, host, 0), this.server.accept)
  }

  private get allEndpoints(): readonly Endpoint[] {
    return [...this.tcp.endpoints, ...this.endpoints]
  }

  /** Ports and sockets that are open. */
  get port(): number {
    return this.allEndpoints.find((endpoint) => endpoint.port > 0)?.port ?? 0
  }

  /** Stops accepting, sends what is due, syncs and closes the log. Returns false when data could not be written. */
  async close(): Promise<boolean> {
    if (this.isClosed) return true
    this.isClosed = true
    this.loading.stop()
    const closing = this.closeEndpoints()
    await this.annex?.close()
    const isComplete = this.server.close()
    await closing
    return isComplete
  }

  private async closeEndpoints(): Promise<void> {
    await Promise.all([this.tcp.close(), ...this.endpoints.map((endpoint) => endpoint.close())])
  }

  /** As `close`, from the midst of a script: of what that has done nothing is kept. The process must end then. */
  closeNow(): boolean {
    this.isClosed = true
    void this.closeEndpoints()
    const isComplete = this.server.closeNow()
    return isComplete
  }

  private renameCommands(): void {
    for (const { line, from, to } of this.config.renamedCommands) {
      const outcome = this.server.registry.rename(from, to)
      if (outcome !== null) throw fatalConfigError(line, outcome)
    }
  }

  private async openAof(): Promise<void> {
    const { appendOnly } = this.server
    appendOnly.folder.takeOver()
    const isStopped = (): boolean => this.isClosed
    // A snapshot becomes the beginning of a log that there is not yet; Redis would start without its data.
    let unsummed: Unsummed | null = null
    if (appendOnly.folder.isEmpty) await this.loading.loadDump(isStopped)
    else unsummed = await this.loading.loadLog(filesOf(appendOnly.folder), isStopped)
    if (this.isClosed) return
    try {
      appendOnly.open(unsummed)
    } catch (error) {
      // The system does not always name what it could not write.
      const { path } = appendOnly.folder
      throw new Error(`Cannot open the append-only file in ${path}: ${systemErrorText(error)}`, { cause: error })
    }
  }

  /** Empties the data and loads the log again (DEBUG LOADAOF). */
  private reload(): boolean {
    const { folder } = this.server.appendOnly
    try {
      folder.read()
    } catch (error) {
      this.log.warning(messageOf(error))
      return false
    }
    if (folder.isEmpty || !this.loading.reloadLog(filesOf(folder))) return false
    // What was loaded is no change that a snapshot would have to save.
    this.server.keyspace.stats.changes = 0
    return true
  }

  private async listenOnPorts(): Promise<void> {
    await this.tcp.open(this.transport)
    await this.listenForTls()
  }

  /** A socket file that is there is replaced, so this comes when it is clear that no other server uses the data. */
  private async listenOnSocket(): Promise<void> {
    const path = this.config.text('unixsocket')
    if (path === '') return
    this.config.createDefaultDirectory()
    const mode = this.config.number('unixsocketperm')
    const backlog = this.config.number('tcp-backlog')
    await this.listenOnUnix(this.config.resolvePath(path), mode === 0 ? null : mode, backlog)
  }

  private async listenOnUnix(path: string, mode: number | null, backlog: number): Promise<void> {
    try {
      this.endpoints.push(await this.transport.listenUnix(path, mode, backlog, this.server.accept))
    } catch (error) {
      throw new ListenError(`Failed opening Unix socket ${path}: ${messageOf(error)}`)
    }
  }

  /** @throws TlsConfigError, ListenError */
  private async listenForTls(): Promise<void> {
    const port = this.config.number('tls-port')
    if (port === 0) return
    const settings = tlsSettings(this.config)
    const refused = (reason: string): void => this.log.verbose(`Error accepting a client connection: ${reason}`)
    const opened: TlsEndpoint[] = []
    for (const bind of this.config.list('bind')) {
      await openAddress(bind, port, async (host) => {
        const endpoint = await listenTls(tcpOptions(this.config, host, port), settings, this.server.accept, refused)
        opened.push(endpoint)
        this.endpoints.push(endpoint)
        return endpoint
      })
    }
    this.followTlsSettings(opened)
  }

  /** New certificates are taken without a restart; what does not fit is refused by CONFIG SET. */
  private followTlsSettings(endpoints: readonly TlsEndpoint[]): void {
    const reconfigure = (): string | null => {
      try {
        const settings = tlsSettings(this.config)
        for (const endpoint of endpoints) endpoint.reconfigure(settings)
        return null
      } catch (error) {
        this.log.warning(messageOf(error))
        return 'Unable to update TLS configuration. Check server logs.'
      }
    }
    for (const name of TLS_DIRECTIVES) this.config.onChange(name, reconfigure)
    this.config.onChange('tls-auth-clients', reconfigure)
    this.config.onChange('tls-prefer-server-ciphers', reconfigure)
    this.config.onChange('tls-session-caching', reconfigure)
    this.config.onChange('tls-session-cache-timeout', reconfigure)
  }
}

/** The files of a log, in the order in which they are loaded. @throws AofLoadError when one is missing */
function filesOf(folder: AofFolder): AofLoadFile[] {
  return filesToLoad(folder.manifest).map(({ name, type }) => {
    const path = folder.pathOf(name)
    // In these words, as scripts look for them in the log of Redis.
    if (!existsSync(path))
      throw new AofLoadError(
        `Cannot load the append-only file ${name} that the manifest names: No such file or directory`,
      )
    return { name, path, kind: type === 'b' ? 'base' : 'incr', isOldStyle: name === folder.options.fileName }
  })
}
