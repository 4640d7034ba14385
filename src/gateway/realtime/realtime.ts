/**
 * What all realtime clients share: topics, feeds of streams, who consumes as whom, heartbeats, and the end of sessions whose
 * users lost their rights.
 *
 *     routes.ts ── websocket.ts ─┐               ┌─ hub.ts           channels, patterns, keys
 *               └─ sse.ts ───────┴─ Session ─────┼─ stream-feed.ts   streams, queue events
 *                                   requests.ts  └─ consumption.ts   consumer groups
 */
import type { User } from '../../access/user.ts'
import { UserChange } from '../../access/users.ts'
import type { Engine } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { requireCommands } from '../permissions.ts'
import { Consumption, type ConsumptionOptions } from './consumption.ts'
import { Hub } from './hub.ts'
import type { RealtimeLimits } from './limits.ts'
import { CloseCode, RealtimeError } from './protocol.ts'
import type { Session } from './session.ts'
import { StreamFeeds } from './stream-feed.ts'
import { Turn } from './turn.ts'

/** Sessions take turns: to ping ten thousand at once would hold up the loop for some 80 ms. */
const HEARTBEAT_SLOTS = 50

export class Realtime {
  readonly context: GatewayContext
  readonly engine: Engine
  readonly limits: RealtimeLimits
  readonly turn = new Turn()
  readonly hub: Hub
  readonly feeds: StreamFeeds
  readonly sessions = new Set<Session>()
  /** By `Consumption.consumerId`. */
  private readonly consumptions = new Map<string, Consumption>()
  private readonly heartbeat: NodeJS.Timeout
  private heartbeatSlot = 0
  private openedCount = 0
  private readonly stopListening: () => void

  constructor(context: GatewayContext) {
    const { engine, log, settings } = context
    this.context = context
    this.engine = engine
    this.limits = settings.realtime
    this.hub = new Hub(engine, log, this.turn, this.limits.topicsMax)
    this.feeds = new StreamFeeds(engine, log, this.limits.feedsMax)
    this.heartbeat = setInterval(() => this.beat(), this.limits.heartbeatMs / HEARTBEAT_SLOTS).unref()
    this.stopListening = engine.users.onChange((user, change) => this.userChanged(user, change))
    context.draining.addEventListener('abort', () => this.close(), { once: true })
  }

  sessionOpened(session: Session): void {
    this.openedCount++
    session.heartbeatSlot = this.openedCount % HEARTBEAT_SLOTS
    this.sessions.add(session)
  }

  sessionClosed(session: Session): void {
    this.sessions.delete(session)
  }

  /** @throws CommandError NOPERM */
  authorizeConsumption(user: User, { stream, group, consumer }: Omit<ConsumptionOptions, 'id' | 'credit'>): void {
    requireCommands(this.engine, user, [
      ['XREADGROUP', 'GROUP', group, consumer, 'STREAMS', stream, '>'],
      ['XACK', stream, group, '0-0'],
    ])
  }

  /**
   * Makes a consumption, and returns what starts it. One of the same consumer ends: its connection may be one that is gone
   * without our knowing.
   *
   * @throws RealtimeError LIMIT
   */
  consume(session: Session, options: ConsumptionOptions): () => void {
    const consumption = new Consumption(this.engine, session.user, session, options)
    const previous = this.consumptions.get(consumption.consumerId) ?? null
    const { allConsumptionsMax } = this.limits
    if (previous === null && this.consumptions.size >= allConsumptionsMax) {
      throw new RealtimeError('LIMIT', `There are ${allConsumptionsMax} consumptions`)
    }
    previous?.end('TAKEN_OVER', 'The consumer is consumed by another connection')
    this.consumptions.set(consumption.consumerId, consumption)
    session.addConsumption(consumption)
    return () => consumption.start(previous)
  }

  consumptionEnded(consumption: Consumption): void {
    const { consumerId } = consumption
    if (this.consumptions.get(consumerId) === consumption) this.consumptions.delete(consumerId)
  }

  /** Ends all sessions. */
  private close(): void {
    clearInterval(this.heartbeat)
    this.stopListening()
    for (const session of [...this.sessions]) session.outlet.close(CloseCode.Draining, 'The server shuts down')
    this.feeds.close()
  }

  private userChanged(user: User, change: UserChange): void {
    for (const session of [...this.sessions]) {
      if (session.user.name !== user.name) continue
      const isGone = change === UserChange.Deleted || !session.user.isEnabled
      if (isGone) session.outlet.close(CloseCode.Unauthorized, 'The user is gone')
      else session.recheck()
    }
  }

  private beat(): void {
    this.heartbeatSlot = (this.heartbeatSlot + 1) % HEARTBEAT_SLOTS
    for (const session of this.sessions) {
      if (session.heartbeatSlot !== this.heartbeatSlot) continue
      if (!session.outlet.beat()) session.outlet.terminate()
      else if (session.token !== null) this.checkToken(session, session.token)
    }
  }

  private checkToken(session: Session, token: string): void {
    const refuse = (isValid: boolean): void => {
      if (!isValid) session.outlet.close(CloseCode.Unauthorized, 'The token is not valid any more')
    }
    const isValid = this.context.identities.isValid(token)
    if (typeof isValid === 'boolean') refuse(isValid)
    else void isValid.then(refuse)
  }
}
