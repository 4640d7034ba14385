/**
 * Clients that wait in a blocking command, from when it parks them until it has its reply: runs the commands of those
 * whose keys are ready, or for whom the log or a replica has come further, and ends waits by timeout or with an error.
 * What they wait for, and until when, is in blocking.ts. Source: Valkey 7.2 src/blocked.c.
 */
import type { CommandContext, WaitingControl } from '../commands/context.ts'
import { ClientFlag, type Session } from '../commands/session.ts'
import { BlockedOn } from '../keyspace/blocked.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import type { ErrorStats, ServerStats } from '../observe/stats.ts'
import type { Args } from '../resp/args.ts'
import { type ReplyError, ROLE_CHANGED, UNBLOCKED } from '../resp/errors.ts'
import type { Blocking } from './blocking.ts'
import type { Client, Door } from './client.ts'
import { type Pipeline, takeUnwanted } from './execute.ts'
import type { TurnOutput } from './output.ts'

/** What clients that wait need of the server. */
export interface WaitingHost {
  readonly keyspace: Keyspace
  readonly ctx: CommandContext
  readonly pipeline: Pipeline
  readonly output: TurnOutput
  readonly blocking: Blocking
  readonly stats: ServerStats
  readonly errors: ErrorStats
  sessions(): IterableIterator<Client>
  readClock(): void
  beginTurn(): void
  scheduleTurn(): void
  /** A time in ms of `ctx.now` as one of the clock that nobody sets. */
  elapsedAt(atMs: number): number
  /** Wakes the server at a time of that clock, or earlier. */
  schedule(at: number): void
  /** The reply of a client with a door is complete. */
  finish(client: Client, door: Door): void
  /** Lets a client's kept input be executed again. */
  resume(client: Client): void
}

export class Waiting implements WaitingControl {
  private readonly host: WaitingHost
  /** Clients that wait for the log or for replicas, and some that no longer do. */
  private forSync: Client[] = []
  /** Those whose time is over. */
  private overdue: Client[] = []
  /** Whether some of them may go on, at the end of the turn. */
  private hasProgress: boolean = false

  constructor(host: WaitingHost) {
    this.host = host
  }

  block(
    session: Session,
    args: Args,
    firstKey: number,
    count: number,
    type: number,
    deadlineMs: number,
    unblockOnNoKey: boolean,
  ): void {
    const client = session as Client
    if ((client.flags & ClientFlag.Blocked) !== 0) {
      client.flags |= ClientFlag.StillBlocked
      return
    }
    const { host } = this
    const keys: string[] = []
    for (let i = 0; i < count; i++) keys.push(args.text(firstKey + i))
    client.blockedArgs = args.copy()
    const resolved = host.pipeline.resolve(args)
    client.blockedCommand = 'handler' in resolved ? resolved : null
    const elapsedMs = deadlineMs > 0 ? host.elapsedAt(deadlineMs) : 0
    host.blocking.park(client, keys, type, elapsedMs, unblockOnNoKey)
    if (type === BlockedOn.Sync) this.forSync.push(client)
    if (deadlineMs > 0) host.schedule(elapsedMs)
  }

  /** Ends a client's wait without an element: by timeout, or by CLIENT UNBLOCK with an error. */
  unblock(client: Client, withError: boolean): void {
    // Who waits for the disk is told how far it has come.
    if (client.blockedOn === BlockedOn.Sync && !withError) {
      this.overdue.push(client)
      this.hasProgress = true
      this.host.scheduleTurn()
      return
    }
    this.endWait(client, withError ? UNBLOCKED : null)
  }

  /** This server becomes a replica: nobody may take elements here any more. */
  closeAll(): void {
    for (const client of [...this.host.sessions()]) {
      if ((client.flags & ClientFlag.Blocked) === 0) continue
      this.endWait(client, ROLE_CHANGED)
      client.flags |= ClientFlag.CloseAfterReply
      this.host.output.listOutput(client)
    }
  }

  /** Ends a client's wait with an error, or with the reply to a timeout (null). */
  endWait(client: Client, error: ReplyError | null): void {
    const { host } = this
    const command = client.blockedCommand
    host.blocking.unpark(client)
    host.stats.commandsProcessed++
    if (command !== null) {
      command.calls++
      host.pipeline.timer.add(command, client.blockedMicroseconds)
    }
    client.blockedMicroseconds = 0
    if (error !== null) {
      if (command !== null) command.failedCalls++
      host.errors.count(error.code)
    }
    const { door } = client
    if (door === null) {
      const reply = error === null ? nullArrayReply(client.respVersion) : Buffer.from(`-${error.text}\r\n`, 'latin1')
      if (!takeUnwanted(client)) host.output.queueReply(client, reply)
    } else {
      if (error !== null) door.sink.error(error.text)
      else door.sink.nilArray()
      host.finish(client, door)
    }
    host.resume(client)
  }

  /**
   * Runs the commands of clients that wait for keys which are ready now.
   *
   * @param outer the client in whose turn that is; null: in nobody's
   */
  serveReady(outer: Client | null): void {
    const { host } = this
    if (host.blocking.count === 0) {
      host.keyspace.readyKeys.length = 0
      return
    }
    // The command that made them ready may have taken long: what is over by now is nobody's.
    host.readClock()
    if (outer !== null) host.output.closeSegment(outer)
    else host.pipeline.beginBatch()
    host.blocking.serve((client) => this.retry(client))
    if (outer !== null) host.output.openSegment(outer)
    else host.pipeline.timer.end()
    host.scheduleTurn()
  }

  /** Runs the command of a client that waits once more; it may go on waiting. */
  private retry(client: Client): void {
    const { host } = this
    const { output, keyspace } = host
    const args = client.blockedArgs!
    const command = client.blockedCommand!
    output.openSegment(client)
    const { door } = client
    const sink = door === null ? output.sink : door.sink
    const mark = sink.position()
    sink.version = client.respVersion
    const { findsExpired } = keyspace
    keyspace.findsExpired = false
    client.flags |= ClientFlag.Reexecuting
    client.flags &= ~ClientFlag.StillBlocked
    host.pipeline.rerun(client, command, args, sink)
    keyspace.findsExpired = findsExpired
    client.flags &= ~ClientFlag.Reexecuting
    if ((client.flags & ClientFlag.StillBlocked) !== 0) {
      client.flags &= ~ClientFlag.StillBlocked
      sink.takeBack(mark)
    } else {
      host.blocking.unpark(client)
      if (door !== null) host.finish(client, door)
      else if (takeUnwanted(client)) sink.takeBack(mark)
      host.resume(client)
    }
    // Also one that goes on waiting may have been told something: that a key it looked at has expired.
    if (output.ownPushes.at > 0) output.appendOwnPushes()
    output.closeSegment(client)
  }

  mayGoOn(): void {
    if (this.forSync.length === 0) return
    // Not in the midst of a turn: a command may be running.
    this.hasProgress = true
    this.host.beginTurn()
  }

  /** Whether some may go on since the turn has looked for them: the log came further while its output was sent. */
  get hasWork(): boolean {
    return this.hasProgress
  }

  /** End of the turn: runs the commands of those who wait for the log or for replicas, if these have come further. */
  endTurn(): void {
    if (!this.hasProgress) return
    this.hasProgress = false
    const { pipeline, ctx } = this.host
    const overdue = this.overdue.splice(0)
    pipeline.beginBatch()
    for (const client of this.forSync) if (isWaitingForSync(client)) this.retry(client)
    ctx.mayBlock = false
    for (const client of overdue) if (isWaitingForSync(client)) this.retry(client)
    ctx.mayBlock = true
    pipeline.timer.end()
    this.forSync = this.forSync.filter(isWaitingForSync)
  }
}

function isWaitingForSync(client: Client): boolean {
  return (client.flags & ClientFlag.Blocked) !== 0 && client.blockedOn === BlockedOn.Sync
}

function nullArrayReply(respVersion: number): Buffer {
  return respVersion >= 3 ? NULL_REPLY : NULL_ARRAY_REPLY
}

const NULL_ARRAY_REPLY = Buffer.from('*-1\r\n')
const NULL_REPLY = Buffer.from('_\r\n')
