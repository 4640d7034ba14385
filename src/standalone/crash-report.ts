/**
 * What the log is told when the process ends through a failure: an exception that nobody caught, SIGABRT (as service
 * managers send it to a process that hangs or is to leave a core dump), or DEBUG SEGFAULT. Cold.
 *
 * The report goes before the end, which stays what it would be without one: Node's own report of an exception and its
 * exit code, and death by the signal. A signal is only seen when the loop comes round. SIGSEGV has no handler: one that
 * returns, as all handlers in JavaScript do, would have the processor try the same access for ever.
 *
 * Programs look for the words `crashed by signal` and `STACK TRACE`.
 * Source: Valkey src/debug.c sigsegvHandler, logServerInfo.
 */
import { constants } from 'node:os'
import { clientInfo } from '../commands/connection/client-info.ts'
import { infoText } from '../commands/server/info.ts'
import { REDIS_VERSION } from '../config/version.ts'
import type { Log } from '../observe/log.ts'
import type { Server } from '../server/server.ts'

/** Clients that are listed at most. */
const CLIENTS_MAX = 1000

type CrashSignal = 'SIGABRT' | 'SIGSEGV'

/** Reports crashes of this process from now on, unless `crash-log-enabled` says no when one happens. */
export function reportCrashes(server: Server, log: Log): void {
  process.on('uncaughtExceptionMonitor', (error) => {
    report(server, log, `Millrace ${REDIS_VERSION} crashed by an exception`, stackOf(error))
  })
  process.on('SIGABRT', () => dieBy('SIGABRT', server, log, null))
  server.onCrash = (stack) => dieBy('SIGSEGV', server, log, stack)
}

function dieBy(signal: CrashSignal, server: Server, log: Log, stack: string | null): void {
  const cause = `Millrace ${REDIS_VERSION} crashed by signal: ${constants.signals[signal]} (${signal})`
  report(server, log, cause, stack)
  // Without a listener the signal does what it does by itself.
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}

function report(server: Server, log: Log, cause: string, stack: string | null): void {
  if (!server.config.bool('crash-log-enabled')) return
  log.warning(cause)
  if (stack !== null) log.warning(`------ STACK TRACE ------\n${stack}`)
  try {
    log.warning(`------ INFO OUTPUT ------\n${infoText(server.ctx)}`)
    log.warning(`------ CLIENT LIST OUTPUT ------\n${clientList(server)}`)
  } catch (error) {
    // Whatever is broken may well be what the report is about.
    log.warning(`The report of the crash is not complete: ${stackOf(error)}`)
  }
}

function clientList(server: Server): string {
  const lines: string[] = []
  for (const session of server.sessions()) {
    if (lines.length === CLIENTS_MAX) {
      lines.push(`and ${server.clientCount - CLIENTS_MAX} more`)
      break
    }
    lines.push(clientInfo(session, server.keyspace.now))
  }
  return lines.join('\n')
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
