/**
 * Sending keys to another server, for MIGRATE: connections that are kept for a while, and one conversation each.
 *
 * The loop goes on while a migration is under way. It begins with requests that are complete (login, SELECT, a RESTORE for
 * each key) and ends with what the target has answered to each; the command then deletes what it may. A connection that was
 * kept is often closed by the target: as long as no key is answered for, another one is tried once.
 *
 *     connect ─▶ send all requests ─▶ read a line for each ─▶ done; the connection is kept
 *        └─────────────┴──── failed, or nothing moved for the timeout: IOERR, the connection is closed
 *
 * Source: Valkey 7.2 src/cluster.c `migrateCommand`, `migrateGetSocket`.
 */
import { connect, type Socket } from 'node:net'
import { MIGRATION_NOT_CONNECTED, migrationFailed, type ReplyError, targetError } from '../../resp/errors.ts'
import type { ServerControl } from '../context.ts'

/** Connections that are kept at most, and for how long after their last use. */
export const KEPT_CONNECTIONS_MAX = 64
const KEPT_MS = 10_000
/** A longer line is no reply to the requests that are sent. */
const LINE_BYTES_MAX = 1024
const NO_DATABASE = -1
const MINUS = 0x2d

/** What is to be sent where. */
export interface MigrationPlan {
  readonly host: string
  readonly port: number
  readonly database: number
  /** Longest time without progress, in ms. */
  readonly timeoutMs: number
  /** AUTH as a request, null without one. */
  readonly login: Buffer | null
  readonly select: Buffer
  readonly restores: readonly Buffer[]
}

/** A connection and the database that is selected on it. */
interface Target {
  readonly name: string
  readonly socket: Socket
  database: number
}

/** Kept connections of one server. */
class Targets {
  private readonly kept = new Map<string, Target>()
  private inUse = 0
  readonly underWay = new Set<Migration>()

  /** Connections that are there. */
  get count(): number {
    return this.kept.size + this.inUse
  }

  /** A kept connection to be used, null when there is none. */
  take(name: string): Target | null {
    const target = this.kept.get(name) ?? null
    if (target === null) return null
    this.kept.delete(name)
    target.socket.removeAllListeners()
    target.socket.ref()
    this.inUse++
    return target
  }

  /** A new connection. Throws what node:net throws for a port that is none. */
  open(name: string, host: string, port: number): Target {
    const socket = connect({ host, port, noDelay: true })
    this.inUse++
    return { name, socket, database: NO_DATABASE }
  }

  drop({ socket }: Target): void {
    this.inUse--
    socket.removeAllListeners()
    // An error that comes late is nobody's.
    socket.on('error', () => {})
    socket.destroy()
  }

  keep(target: Target): void {
    const { name, socket } = target
    this.inUse--
    socket.removeAllListeners()
    this.forget(name)
    const [oldest] = this.kept.keys()
    if (this.kept.size >= KEPT_CONNECTIONS_MAX && oldest !== undefined) this.forget(oldest)
    this.kept.set(name, target)
    socket.unref()
    socket.setTimeout(KEPT_MS)
    const forget = (): void => {
      if (this.kept.get(name) === target) this.forget(name)
    }
    // Nothing is asked, so whatever comes ends it.
    for (const event of ['timeout', 'error', 'close', 'end', 'data']) socket.on(event, forget)
  }

  /** The server is closed. */
  close(): void {
    for (const migration of this.underWay) migration.cancel()
    for (const name of [...this.kept.keys()]) this.forget(name)
  }

  private forget(name: string): void {
    const target = this.kept.get(name)
    if (target === undefined) return
    this.kept.delete(name)
    this.inUse++
    this.drop(target)
  }
}

const targetsOf = new WeakMap<ServerControl, Targets>()

/** Connections to targets that a server has open. */
export function countTargets(server: ServerControl): number {
  return targetsOf.get(server)?.count ?? 0
}

/** Ends all migrations of a server, and closes its connections to targets: the process may want to end. */
export function closeTargets(server: ServerControl): void {
  targetsOf.get(server)?.close()
}

/** One migration under way. */
export class Migration {
  /** Whether nothing more will come. */
  isDone: boolean = false
  /** What went wrong, null when nothing did. */
  error: ReplyError | null = null
  /** By number of the request: whether the target has taken the key. */
  readonly taken: boolean[] = []
  private readonly plan: MigrationPlan
  private readonly targets: Targets
  private readonly onDone: () => void
  private target: Target | null = null
  private mayRetry = true
  private isConnected = false
  private isSent = false
  /** Replies that are still to come before those for the keys. */
  private openingReplies = 0
  /** Whether login and SELECT worked. */
  private isOpened = true
  private answered = 0
  private line: Buffer = Buffer.alloc(0)

  /** Begins at once. `onDone` is called once, later, unless `cancel` comes first. */
  constructor(server: ServerControl, plan: MigrationPlan, onDone: () => void) {
    this.plan = plan
    this.onDone = onDone
    let targets = targetsOf.get(server)
    if (targets === undefined) {
      targets = new Targets()
      targetsOf.set(server, targets)
    }
    this.targets = targets
    targets.underWay.add(this)
    this.open()
  }

  /** Gives up: what the target has not answered counts as not taken. */
  cancel(): void {
    if (this.isDone) return
    this.drop()
    this.isDone = true
    this.targets.underWay.delete(this)
    this.error ??= migrationFailed(this.direction)
  }

  private get direction(): 'reading' | 'writing' {
    return this.isSent ? 'reading' : 'writing'
  }

  private open(): void {
    const { host, port } = this.plan
    const name = `${host}:${port}`
    const kept = this.targets.take(name)
    this.isConnected = kept !== null
    try {
      this.target = kept ?? this.targets.open(name, host, port)
    } catch {
      process.nextTick(() => this.finish(MIGRATION_NOT_CONNECTED))
      return
    }
    const { socket } = this.target
    socket.setTimeout(this.plan.timeoutMs)
    socket.on('timeout', () => this.failed(false))
    socket.on('error', () => this.failed(true))
    socket.on('close', () => this.failed(true))
    socket.on('data', (chunk) => {
      // No encoding is set: it is never a string.
      if (typeof chunk !== 'string') this.receive(chunk)
    })
    if (this.isConnected) this.send(this.target)
    else {
      socket.on('connect', () => {
        this.isConnected = true
        this.send(this.target!)
      })
    }
  }

  private send({ socket, database }: Target): void {
    const { login, select, restores } = this.plan
    const requests = [...(login === null ? [] : [login]), ...(database === this.plan.database ? [] : [select])]
    this.openingReplies = requests.length
    this.isOpened = true
    this.isSent = false
    this.line = Buffer.alloc(0)
    // A connection that was dropped tells so too.
    const sent = (error?: Error | null): void => {
      if (!error) this.isSent = true
    }
    socket.cork()
    for (const request of requests) socket.write(request)
    for (let n = 0; n < restores.length; n++) {
      const isLast = n === restores.length - 1
      socket.write(restores[n]!, isLast ? sent : undefined)
    }
    socket.uncork()
  }

  private receive(chunk: Buffer): void {
    let from = 0
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
      this.replied(Buffer.concat([this.line, chunk.subarray(from, end)]))
      this.line = Buffer.alloc(0)
      from = end + 1
      if (this.isDone) return
    }
    this.line = Buffer.concat([this.line, chunk.subarray(from)])
    if (this.line.length > LINE_BYTES_MAX) this.failed(false)
  }

  /** @param line a reply without its line feed */
  private replied(line: Buffer): void {
    const isError = line[0] === MINUS
    if (isError) this.error ??= targetError(line.toString('latin1', 1, LINE_BYTES_MAX).trimEnd())
    if (this.openingReplies > 0) {
      this.openingReplies--
      if (isError) this.isOpened = false
      return
    }
    this.taken[this.answered++] = this.isOpened && !isError
    if (this.answered < this.plan.restores.length) return
    const target = this.target!
    this.target = null
    target.database = this.error === null ? this.plan.database : NO_DATABASE
    this.targets.keep(target)
    this.finish(null)
  }

  /** The connection is no more, or of no use. `isBroken`: not because the time was over. */
  private failed(isBroken: boolean): void {
    if (this.isDone) return
    this.drop()
    if (!this.isConnected) this.finish(MIGRATION_NOT_CONNECTED)
    else if (isBroken && this.mayRetry && this.answered === 0 && this.error === null) {
      this.mayRetry = false
      this.open()
    } else this.finish(migrationFailed(this.direction))
  }

  private drop(): void {
    if (this.target !== null) this.targets.drop(this.target)
    this.target = null
  }

  /** What the target has complained of comes before what became of the connection. */
  private finish(error: ReplyError | null): void {
    if (this.isDone) return
    this.isDone = true
    this.targets.underWay.delete(this)
    this.error ??= error
    this.onDone()
  }
}
