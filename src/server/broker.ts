/**
 * A broker: a server with its data loaded, its log open and its endpoints listening. What `main.ts` runs and
 * `createBroker` returns.
 */
import { existsSync, fstatSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from '../commands/registry.ts'
import { ClientFlag, discardTransaction } from '../commands/session.ts'
import type { Config } from '../config/config.ts'
import { fatalConfigError } from '../config/config-error.ts'
import type { Log } from '../observe/log.ts'
import { Aof, type AofFiles, type AofOptions, aofPath, openForAppend, openManifest } from '../persistence/aof.ts'
import { AofLoadError, loadAofFile } from '../persistence/aof-load.ts'
import { lockLog } from '../persistence/lock.ts'
import type { Manifest } from '../persistence/manifest.ts'
import { RespSink } from '../resp/reply.ts'
import { isMissingAddress, parseBindAddress } from '../transport/bind-address.ts'
import type { Endpoint } from '../transport/contract.ts'
import { listenTcp, listenUnix } from '../transport/node.ts'
import { listenTls, type TlsEndpoint } from '../transport/tls.ts'
import { type Clock, Server } from './server.ts'
import { fsyncPolicy } from './settings.ts'
import { TLS_DIRECTIVES, tlsSettings } from './tls-settings.ts'
import { loadUsers } from './users.ts'

export interface BrokerOptions {
  readonly config: Config
  readonly log: Log
  readonly clock?: Clock
  /** File operations of the log, replaced in fault tests. */
  readonly aofFiles?: AofFiles
  /** Opens a further door once the data is loaded. */
  readonly openAnnex?: (server: Server) => Promise<Annex | null>
}

/** A door that is opened with the broker and closed before it: the gateway. */
export interface Annex {
  /** Stops accepting and ends what is under way, in bounded time. */
  close(): Promise<void>
}

/** An endpoint that could not be opened. */
export class ListenError extends Error {}

export class Broker {
  readonly server: Server
  readonly config: Config
  readonly log: Log
  private readonly aofFiles: AofFiles | undefined
  private readonly openAnnex: (server: Server) => Promise<Annex | null>
  private annex: Annex | null = null
  private endpoints: Endpoint[] = []
  private isClosed: boolean = false
  private unlockLog: () => void = () => {}

  constructor(options: BrokerOptions) {
    this.config = options.config
    this.log = options.log
    this.aofFiles = options.aofFiles
    this.openAnnex = options.openAnnex ?? (async () => null)
    this.server = new Server({ config: options.config, log: options.log, clock: options.clock ?? { now: Date.now } })
  }

  /** Loads the data, then listens. @throws LogLockedError, AofLoadError, ManifestError, ListenError */
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
    if (this.config.bool('appendonly')) this.openAof()
    this.server.start()
    this.annex = await this.openAnnex(this.server)
    await this.listen()
    for (const endpoint of this.endpoints) {
      endpoint.onError = (error) => this.log.warning(`Cannot accept a connection: ${error.message}`)
    }
    this.refuseOtherAddresses()
    this.log.notice('Ready to accept connections')
  }

  /** Endpoints stay where they are: CONFIG SET must answer at once, and a port is only known to be free when it is open. */
  private refuseOtherAddresses(): void {
    this.config.onChange('port', () => 'Unable to listen on this port. Check server logs.')
    this.config.onChange('tls-port', () => 'Unable to listen on this port. Check server logs.')
    this.config.onChange('bind', () => 'Failed to bind to specified addresses.')
  }

  /** Ports and sockets that are open. */
  get port(): number {
    return this.endpoints.find((endpoint) => endpoint.port > 0)?.port ?? 0
  }

  /** Stops accepting, sends what is due, syncs and closes the log. Returns false when data could not be written. */
  async close(): Promise<boolean> {
    if (this.isClosed) return true
    this.isClosed = true
    const closing = this.endpoints.map((endpoint) => endpoint.close())
    await this.annex?.close()
    const isComplete = this.server.close()
    this.unlockLog()
    await Promise.all(closing)
    return isComplete
  }

  /** As `close`, from the midst of a script: of what that has done nothing is kept. The process must end then. */
  closeNow(): boolean {
    this.isClosed = true
    for (const endpoint of this.endpoints) void endpoint.close()
    const isComplete = this.server.closeNow()
    this.unlockLog()
    return isComplete
  }

  private renameCommands(): void {
    for (const { line, from, to } of this.config.renamedCommands) {
      const outcome = this.server.registry.rename(from, to)
      if (outcome !== null) throw fatalConfigError(line, outcome)
    }
  }

  private openAof(): void {
    this.config.createDefaultDirectory()
    const options: AofOptions = {
      directory: this.config.directory,
      folder: this.config.text('appenddirname'),
      fileName: this.config.text('appendfilename'),
      log: this.log,
    }
    const folder = join(options.directory, options.folder)
    // Not recursive: that never ends where the system denies that a directory exists in which it creates nothing (/proc).
    if (!existsSync(folder)) mkdirSync(folder)
    this.unlockLog = lockLog(join(realpathSync(folder), `${options.fileName}.lock`))
    const found = openManifest(options)
    if (found !== null) this.load(options, filesOf(found))
    // What the log did before is no statistics of this process.
    this.server.resetStatistics()
    const { fd } = openForAppend(options, found)
    const aof = new Aof(options, fd, fstatSync(fd).size, fsyncPolicy(this.config.text('appendfsync')), this.aofFiles)
    aof.onSynced = this.server.output.releaseHeld
    aof.baseBytes = sizeOfOlder(options, found)
    this.server.aof = aof
    this.server.onReloadLog = () => this.reload(options)
    this.server.journal.subscribe((buffer, start, end) => aof.append(buffer, start, end))
  }

  private load(options: AofOptions, files: readonly { readonly name: string }[]): void {
    const started = performance.now()
    let commands = 0
    const { keyspace } = this.server
    // Nothing expires before the log is read to its end: a command finds what it found when it was written.
    keyspace.now = 0
    this.server.readClockForLoad()
    files.forEach((file, index) => {
      const path = aofPath(options, file.name)
      if (!existsSync(path))
        throw new AofLoadError(`Cannot load append-only file: ${path}, which the manifest names, is missing`)
      const isLast = index === files.length - 1
      commands += this.loadFile(path, isLast && this.config.bool('aof-load-truncated'))
    })
    this.server.readClock()
    for (const db of keyspace.databases) for (let row = 0; row < db.size; row++) db.touch(row)
    const keys = keyspace.databases.reduce((sum, db) => sum + db.size, 0)
    const seconds = ((performance.now() - started) / 1000).toFixed(3)
    this.log.notice(`DB loaded from append only file: ${commands} commands, ${keys} keys, ${seconds} seconds`)
  }

  /** Empties the data and loads the log again (DEBUG LOADAOF). */
  private reload(options: AofOptions): boolean {
    const { journal, keyspace } = this.server
    const found = openManifest(options)
    if (found === null) return false
    for (const db of keyspace.databases) db.clear()
    journal.enabled = false
    try {
      this.load(options, filesOf(found))
      return true
    } catch (error) {
      if (!(error instanceof AofLoadError)) throw error
      this.log.warning(error.message)
      return false
    } finally {
      journal.enabled = true
    }
  }

  private loadFile(path: string, truncates: boolean): number {
    const { server } = this
    const client = server.createInternalClient(ClientFlag.Replay)
    const sink = new RespSink(server.keyspace.arena)
    return loadAofFile({
      path,
      truncates,
      log: this.log,
      run: (args) => {
        sink.reset()
        const resolved = server.pipeline.resolve(args)
        if (!isCommand(resolved)) return resolved.text
        server.pipeline.replay(client, resolved, args, sink)
        return null
      },
      isInTransaction: () => (client.flags & ClientFlag.Multi) !== 0,
      discard: () => discardTransaction(client),
    })
  }

  private async listen(): Promise<void> {
    const backlog = this.config.number('tcp-backlog')
    const port = this.config.number('port')
    const path = this.config.text('unixsocket')
    for (const bind of port > 0 ? this.config.list('bind') : []) {
      await this.listenOn(bind, port, (host) => listenTcp({ host, port, backlog }, this.server.accept))
    }
    await this.listenForTls(backlog)
    if (path !== '') {
      this.config.createDefaultDirectory()
      const mode = this.config.number('unixsocketperm')
      await this.listenOnUnix(this.config.resolvePath(path), mode === 0 ? null : mode, backlog)
    }
  }

  private async listenOnUnix(path: string, mode: number | null, backlog: number): Promise<void> {
    try {
      this.endpoints.push(await listenUnix(path, mode, backlog, this.server.accept))
    } catch (error) {
      throw new ListenError(
        `Failed opening Unix socket ${path}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  /** @throws TlsConfigError, ListenError */
  private async listenForTls(backlog: number): Promise<void> {
    const port = this.config.number('tls-port')
    if (port === 0) return
    const settings = tlsSettings(this.config)
    const refused = (reason: string): void => this.log.verbose(`Error accepting a client connection: ${reason}`)
    const opened: TlsEndpoint[] = []
    for (const bind of this.config.list('bind')) {
      await this.listenOn(bind, port, async (host) => {
        const endpoint = await listenTls({ host, port, backlog }, settings, this.server.accept, refused)
        opened.push(endpoint)
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
        this.log.warning(error instanceof Error ? error.message : String(error))
        return 'Unable to update TLS configuration. Check server logs.'
      }
    }
    for (const name of TLS_DIRECTIVES) this.config.onChange(name, reconfigure)
    this.config.onChange('tls-auth-clients', reconfigure)
    this.config.onChange('tls-prefer-server-ciphers', reconfigure)
    this.config.onChange('tls-session-caching', reconfigure)
    this.config.onChange('tls-session-cache-timeout', reconfigure)
  }

  private async listenOn(bind: string, port: number, open: (host: string) => Promise<Endpoint>): Promise<void> {
    const { name, host, isOptional } = parseBindAddress(bind)
    try {
      this.endpoints.push(await open(host))
    } catch (error) {
      if (isOptional && isMissingAddress(error)) return
      throw new ListenError(
        `Failed listening on port ${port} (TCP), address ${name}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}

function isCommand(resolved: Command | { readonly text: string }): resolved is Command {
  return 'handler' in resolved
}

/** The files of a log, in the order in which they are loaded. */
function filesOf(manifest: Manifest): readonly { readonly name: string }[] {
  return manifest.base === null ? manifest.incremental : [manifest.base, ...manifest.incremental]
}

/** Size of all files but the last, to which the log goes on. */
function sizeOfOlder(options: AofOptions, manifest: Manifest | null): number {
  if (manifest === null) return 0
  const files = filesOf(manifest)
  const older = manifest.incremental.length > 0 ? files.slice(0, -1) : files
  return older.reduce((sum, { name }) => sum + statSync(aofPath(options, name)).size, 0)
}
