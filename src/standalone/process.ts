/**
 * The server as a process: command line, configuration, log, signals, exit codes. Cold.
 *
 * Exit codes: 0 after a graceful stop, 1 when it cannot start or when data could not be written at the end.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { AclFileError } from '../access/acl-file.ts'
import { TokenFileError } from '../access/tokens.ts'
import { ShutdownSave } from '../commands/context.ts'
import { parseCommandLine, type ToolName, USAGE } from '../config/command-line.ts'
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { expandTitle } from '../config/process-title.ts'
import { type LoadedConfig, loadConfig } from '../config/redis-conf.ts'
import { REDIS_VERSION } from '../config/version.ts'
import { messageOf } from '../files/thrown.ts'
import { type Log, ServerLog } from '../observe/log.ts'
import { AofLoadError } from '../persistence/aof-load.ts'
import { LogLockedError } from '../persistence/lock.ts'
import { ManifestError } from '../persistence/manifest.ts'
import { RdbLoadError } from '../persistence/rdb/load-file.ts'
import { type Annex, Broker } from '../server/broker.ts'
import { allowInlining } from '../server/compiler-flags.ts'
import type { Server } from '../server/server.ts'
import { ListenError } from '../server/tcp-ports.ts'
import { TlsConfigError } from '../server/tls-settings.ts'
import { reportCrashes } from './crash-report.ts'
import { loadNativeHeap } from './native-heap.ts'

/** Runs the server until a signal or SHUTDOWN ends it. */
export async function runProcess(argv: readonly string[]): Promise<void> {
  const commandLine = parseCommandLine(argv)
  switch (commandLine.action) {
    case 'tool':
      return runToolProcess(commandLine.name, commandLine.args)
    case 'version':
      process.stdout.write(`Millrace server, compatible with Redis v=${REDIS_VERSION}, Node ${process.versions.node}\n`)
      return
    case 'help':
      process.stderr.write(USAGE)
      process.exitCode = 1
      return
    case 'refuse':
      process.stderr.write(`${commandLine.reason}\n`)
      process.exitCode = 1
      return
  }
  const stdin = commandLine.readsStdin ? readFileSync(0, 'latin1') : null
  try {
    const loaded = loadConfig({ configFile: commandLine.configFile, stdin, options: commandLine.options })
    if (loaded.config.text('engine') === 'local') await runBroker(loaded)
    else await runRemote(loaded)
  } catch (error) {
    if (error instanceof ConfigError) process.stderr.write(`${error.lines.join('\n')}\n`)
    else if (isExpected(error)) process.stderr.write(`${error.message}\n`)
    else throw error
    process.exit(1)
  }
}

/** A tool instead of a server. Modules of tools are loaded only then. */
async function runToolProcess(name: ToolName, args: readonly string[]): Promise<void> {
  const { processIo } = await import('../tools/process-io.ts')
  const { runTool } = await import('../tools/tools.ts')
  process.exitCode = await runTool(name, args, processIo())
}

/** Opens the log and says what starts. */
function openLog({ config, warnings }: LoadedConfig): ServerLog {
  const log = new ServerLog({
    file: inDirectory(config, config.text('logfile')),
    level: config.text('loglevel'),
    isTerminal: process.stdout.isTTY === true,
  })
  config.onChange('loglevel', (level) => {
    log.setLevel(level)
    return null
  })
  config.onWarning((text) => log.warning(text))
  for (const warning of warnings) log.warning(warning)
  log.notice(`Millrace starts, compatible with Redis ${REDIS_VERSION}, Node ${process.versions.node}`)
  return log
}

/** The process without data of its own, whose modules are loaded only then. */
async function runRemote(loaded: LoadedConfig): Promise<void> {
  const { config } = loaded
  const log = openLog(loaded)
  const { startRemote } = await import('./remote.ts')
  const remote = await startRemote(config, log)
  const stop = createStop({ close: () => remote.close().then(() => true) }, config, log)
  const begin = (signal: EndSignal): void => {
    log.notice(`${signal} received, shutting down`)
    stop()
  }
  followSignals(log, { begin, abandon: () => undefined })
  process.on('SIGHUP', () => log.reopen())
  writePidFile(inDirectory(config, config.text('pidfile')), log)
}

async function runBroker(loaded: LoadedConfig): Promise<void> {
  const { config } = loaded
  const log = openLog(loaded)
  const broker = new Broker({ config, log, openAnnex: (server) => openAnnex(server, config, log) })
  const stop = createStop(broker, config, log)
  broker.server.onShutdown = () => {
    log.notice('SHUTDOWN received, shutting down')
    stop()
  }
  broker.server.onShutdownNow = () => {
    log.notice('SHUTDOWN received while a script runs, shutting down')
    exit(config, log, broker.closeNow())
  }
  const { server } = broker
  const begin = (signal: EndSignal, ended: () => void): void => {
    log.notice(`${signal} received, shutting down`)
    prepareShutdown(server, signal, (mayEnd) => {
      if (mayEnd) return stop()
      log.warning(`${signal} received but errors trying to shut down the server, check the logs for more information`)
      ended()
    })
  }
  followSignals(log, {
    begin: (signal, ended) =>
      server.leaving.request({
        waitsForReplicas: !shutdownWords(server, signal).includes('now'),
        begin: () => begin(signal, ended),
        aborted: ended,
      }),
    abandon: () => server.saving.discardFinal(),
  })
  reportCrashes(server, log)
  returnMemory(server)
  process.on('SIGHUP', () => log.reopen())
  allowInlining()
  try {
    await broker.start()
  } catch (error) {
    if (error instanceof ConfigError || !isExpected(error)) throw error
    log.warning(error.message)
    if (error instanceof RdbLoadError) log.warning('Terminating server after rdb file reading failure.')
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
  writePidFile(inDirectory(config, config.text('pidfile')), log)
  if (config.bool('set-proc-title')) keepTitle(config)
  collectStartupGarbageWhenIdle(server)
}

/** The title of the process says what it is and where it listens. */
function keepTitle(config: Config): void {
  const setTitle = (template: string): null => {
    const port = config.number('port') !== 0 ? config.number('port') : config.number('tls-port')
    const socket = config.text('unixsocket')
    const title = expandTitle(template, {
      title: 'millrace',
      'listen-addr': port === 0 ? `unixsocket:${socket}` : `${config.list('bind')[0] ?? '*'}:${port}`,
      'server-mode': '',
      'config-file': config.configFile ?? '-',
      port: String(config.number('port')),
      'tls-port': String(config.number('tls-port')),
      unixsocket: socket,
    })
    // The directive refuses templates that do not expand.
    if (title !== null) process.title = title
    return null
  }
  setTitle(config.text('proc-title-template'))
  config.onChange('proc-title-template', setTitle)
}

/** What signals that ask the process to end lead to. */
interface SignalEnd {
  /** Ends the process in good order; tells by `ended` when nothing comes of that. */
  begin(signal: EndSignal, ended: () => void): void
  /** Comes before the process ends in the midst of that. */
  abandon(): void
}

/** Ctrl-C for the second time ends the process at once: whoever sits there does not want to wait. */
function followSignals(log: Log, { begin, abandon }: SignalEnd): void {
  let isEnding = false
  const ended = (): void => {
    isEnding = false
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isEnding && signal === 'SIGINT') {
        log.warning('SIGINT received again, ending at once')
        abandon()
        process.exit(1)
      }
      if (isEnding) return
      isEnding = true
      log.warning(`Received ${signal} scheduling shutdown...`)
      begin(signal, ended)
    })
  }
}

function shutdownWords(server: Server, signal: EndSignal): readonly string[] {
  return server.config.value(signal === 'SIGTERM' ? 'shutdown-on-sigterm' : 'shutdown-on-sigint')
}

/** What comes before the process ends for a signal; the directives `shutdown-on-sig…` say what. */
function prepareShutdown(server: Server, signal: EndSignal, done: (mayEnd: boolean) => void): void {
  const words = shutdownWords(server, signal)
  const isNever = words.includes('nosave')
  const save = words.includes('save') ? ShutdownSave.Always : isNever ? ShutdownSave.Never : ShutdownSave.IfConfigured
  server.leaving.prepareLater(save, words.includes('force'), done)
}

/** A server without a command for so long is idle, in ms. */
const IDLE_MS = 500
const IDLE_LOOKS_MAX = 120

/** What takes long to load of the gateway's. */
const GATEWAY_PACKAGES = ['ioredis', 'bullmq', 'fastify', '@fastify/swagger', '@fastify/swagger-ui', '@bull-board/api']

/** The gateway, whose modules are loaded only when there is to be one. */
async function openAnnex(server: Server, config: Config, log: ServerLog): Promise<Annex | null> {
  if (config.number('http-port') === 0) return null
  // The port of RESP is open: its clients are answered between the pieces.
  for (const name of GATEWAY_PACKAGES) {
    await new Promise((resolve) => setTimeout(resolve, 0))
    await import(name)
  }
  await new Promise((resolve) => setTimeout(resolve, 0))
  const { openConfiguredGateway } = await import('../gateway/open-gateway.ts')
  return openConfiguredGateway(server, config, log)
}

/** Failures to start that have a clear message: those we name, and those of the system. */
function isExpected(error: unknown): error is Error {
  if (error instanceof AofLoadError || error instanceof RdbLoadError || error instanceof ManifestError) return true
  if (error instanceof ListenError || error instanceof LogLockedError) return true
  if (error instanceof AclFileError || error instanceof TokenFileError || error instanceof TlsConfigError) return true
  return error instanceof Error && ('code' in error || (error.cause instanceof Error && 'code' in error.cause))
}

/** What a signal stops. Resolves to false when data could not be written. */
interface Stoppable {
  close(): Promise<boolean>
}

type EndSignal = 'SIGTERM' | 'SIGINT'

/** Closes what is running, then ends the process. */
function createStop(running: Stoppable, config: Config, log: ServerLog): () => void {
  let isStopping = false
  return () => {
    if (isStopping) return
    isStopping = true
    running.close().then(
      (isComplete) => exit(config, log, isComplete),
      (error: unknown) => {
        log.warning(`Shutdown failed: ${String(error)}`)
        process.exit(1)
      },
    )
  }
}

function exit(config: Config, log: ServerLog, isComplete: boolean): never {
  const pidFile = inDirectory(config, config.text('pidfile'))
  if (pidFile !== '') rmSync(pidFile, { force: true })
  if (isComplete) log.notice('Millrace is now ready to exit, bye bye...')
  else log.warning('Data could not be written at shutdown')
  process.exit(isComplete ? 0 : 1)
}

function writePidFile(path: string, log: ServerLog): void {
  if (path === '') return
  try {
    writeFileSync(path, `${process.pid}\n`)
  } catch (error) {
    log.warning(`Cannot write the PID file: ${messageOf(error)}`)
  }
}

/** A path of the configuration as an absolute one; relative paths count from `dir`. '' stays ''. */
function inDirectory(config: Config, path: string): string {
  if (path === '') return ''
  config.createDefaultDirectory()
  return config.resolvePath(path)
}

/** Sees to it that memory which is not needed any more goes back to the system while the server runs. */
function returnMemory(server: Server): void {
  const heap = loadNativeHeap()
  server.onMemoryGivenUp = () => {
    collectGarbage({ type: 'major' })
    heap?.returnFree()
  }
  if (heap === null) return
  heap.keepLittle()
  server.onMemoryGrown = () => heap.returnFree()
}

/**
 * Collects what starting has left, as soon as no command has come for a while: it takes 40 ms and more. A server that is
 * never idle leaves it to V8. Memory that is empty then goes back to the system (`last-resort`): with the gateway's modules
 * that is a third of the process.
 */
function collectStartupGarbageWhenIdle(server: Server): void {
  let commands = server.stats.commandsProcessed
  let looks = 0
  const look = (): void => {
    const isIdle = server.stats.commandsProcessed === commands && !server.loading.isActive
    commands = server.stats.commandsProcessed
    if (!isIdle && ++looks < IDLE_LOOKS_MAX) return
    clearInterval(timer)
    if (!isIdle) return
    // Node keeps what it has read of the cache, 8 MB, until it has written what is new of it; else that comes at the end.
    flushCompileCache()
    collectGarbage({ type: 'major', flavor: 'last-resort' })
    server.onMemoryGrown?.()
  }
  const timer = setInterval(look, IDLE_MS)
  timer.unref()
}

function collectGarbage(options: Readonly<Record<string, string>>): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect(options)
}
