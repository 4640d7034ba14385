/**
 * What one client has subscribed to and consumes, whatever door it came through. Small: there are thousands.
 *
 * Each subscription was allowed when it was made, and is asked for again when users change (`recheck`): one that is not
 * allowed any more ends, and the client is told why.
 */
import type { User } from '../../access/user.ts'
import { CommandError } from '../engine.ts'
import { Batch } from './batch.ts'
import type { Consumption, ConsumptionClient } from './consumption.ts'
import type { Outlet } from './outlet.ts'
import type { Realtime } from './realtime.ts'
import type { Subscription } from './subscription.ts'

export class Session implements ConsumptionClient {
  readonly realtime: Realtime
  readonly user: User
  /** What is checked at heartbeats; null when the client proved itself without a token. */
  readonly token: string | null
  readonly outlet: Outlet
  isClosed: boolean = false
  /** When its turn of the heartbeat is. */
  heartbeatSlot = 0
  /** By `selectorId`; null while there are none, as in an idle client. */
  private subscriptions: Map<string, Subscription> | null = null
  private consumptions: Map<number, Consumption> | null = null
  private consumptionCount = 0

  constructor(realtime: Realtime, user: User, token: string | null, outlet: Outlet) {
    this.realtime = realtime
    this.user = user
    this.token = token
    this.outlet = outlet
  }

  get isFull(): boolean {
    return this.outlet.isFull
  }

  get subscriptionCount(): number {
    return this.subscriptions?.size ?? 0
  }

  subscription(id: string): Subscription | null {
    return this.subscriptions?.get(id) ?? null
  }

  addSubscription(subscription: Subscription): void {
    this.subscriptions ??= new Map()
    this.subscriptions.set(subscription.id, subscription)
  }

  /** Returns whether there was such a subscription. */
  endSubscription(id: string): boolean {
    const subscription = this.subscriptions?.get(id)
    if (subscription === undefined) return false
    this.subscriptions?.delete(id)
    subscription.close()
    return true
  }

  /** Ends a subscription that cannot go on, and tells the client. */
  withdraw(subscription: Subscription, error: CommandError): void {
    if (!this.endSubscription(subscription.id)) return
    const reason = { code: error.code, message: error.message }
    this.push('unsubscribed', { type: 'unsubscribed', ...subscription.selector, ...reason })
  }

  get consumptionsHeld(): number {
    return this.consumptions?.size ?? 0
  }

  consumption(id: number): Consumption | null {
    return this.consumptions?.get(id) ?? null
  }

  nextConsumptionId(): number {
    this.consumptionCount++
    return this.consumptionCount
  }

  addConsumption(consumption: Consumption): void {
    this.consumptions ??= new Map()
    this.consumptions.set(consumption.options.id, consumption)
  }

  endConsumption(consumption: Consumption): void {
    this.consumptions?.delete(consumption.options.id)
    consumption.close()
    this.realtime.consumptionEnded(consumption)
  }

  consumptionEnded(consumption: Consumption, code: string, message: string): void {
    this.endConsumption(consumption)
    this.push('ended', { type: 'ended', consumption: consumption.options.id, code, message })
  }

  deliverEntries(batch: Batch): void {
    if (this.isClosed) return
    this.realtime.context.figures.messagesPushed++
    this.outlet.send(batch)
  }

  /** Sends a message that is for this client alone. */
  push(type: string, message: object): void {
    this.sendText(type, JSON.stringify(message))
  }

  sendText(type: string, json: string): void {
    if (!this.isClosed) this.outlet.send(new Batch(type, [json]))
  }

  /** The client has taken all that was queued. */
  drained(): void {
    if (this.subscriptions !== null) for (const subscription of this.subscriptions.values()) subscription.drained()
    if (this.consumptions !== null) for (const consumption of this.consumptions.values()) consumption.drained()
  }

  /** The user's rights have changed. */
  recheck(): void {
    for (const subscription of [...(this.subscriptions?.values() ?? [])]) {
      const error = refusalOf(() => subscription.authorize())
      if (error !== null) this.withdraw(subscription, error)
    }
    for (const consumption of [...(this.consumptions?.values() ?? [])]) {
      const error = refusalOf(() => this.realtime.authorizeConsumption(this.user, consumption.options))
      if (error !== null) consumption.end(error.code, error.message)
    }
  }

  /** The connection is gone, or is about to be. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const subscription of this.subscriptions?.values() ?? []) subscription.close()
    this.subscriptions = null
    for (const consumption of [...(this.consumptions?.values() ?? [])]) this.endConsumption(consumption)
    this.consumptions = null
    this.realtime.sessionClosed(this)
  }
}

function refusalOf(authorize: () => void): CommandError | null {
  try {
    authorize()
    return null
  } catch (error) {
    if (error instanceof CommandError) return error
    throw error
  }
}
