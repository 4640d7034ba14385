/**
 * The primaries of a cluster, and which slots each of them holds.
 *
 * The map of slots comes from CLUSTER SLOTS of any node that answers, the nodes of the URL first. It is asked for anew when a
 * node redirects a call or is lost, while calls wait for a slot, and from time to time. Redirections are believed at
 * once, the new map follows.
 */
import type { Redis } from 'ioredis'
import { messageOf } from '../../files/thrown.ts'
import type { Log } from '../../observe/log.ts'
import type { EngineHealth } from '../engine.ts'
import { openConnection, Reconnect, sendOn } from './connection.ts'
import { type Address, addressText, describeTarget, type RemoteTarget } from './engine-url.ts'
import { SLOTS } from './key-slot.ts'
import { failureOf, Link } from './link.ts'
import { type RawReply, RemoteCommand } from './remote-command.ts'
import type { Topology, TopologyOptions } from './topology.ts'
import { type Patience, pause, Wakeups } from './wakeups.ts'

/** The map is asked for at least this often, in ms. */
const REFRESH_MS = 10_000
/** … and not more often than this, in ms. */
const REFRESH_PAUSE_MS = 100
/** A node that does not tell the map in this time is passed over, in ms. */
const ANSWER_MAX_MS = 1000
/** A node that holds no slots any more has this time to answer what it was asked, in ms. */
const RETIRE_MS = 3000
/** How long calls that wait for a slot sleep before the next look, in ms. */
const LOOK_MS = 100

export class ClusterTopology implements Topology {
  private readonly target: RemoteTarget
  private readonly log: Log
  private readonly silenceMaxMs: number
  /** By `host:port`. */
  private readonly links = new Map<string, Link>()
  private readonly retired = new Set<Link>()
  private readonly slots = new Array<string | null>(SLOTS).fill(null)
  private readonly wakeups = new Wakeups()
  private readonly listeners = new Set<() => void>()
  private readonly timer: NodeJS.Timeout
  private refreshing: Promise<void> | null = null
  private failure = 'connecting'
  private nextNode = 0
  private isClosed: boolean = false

  constructor({ target, log, silenceMaxMs }: TopologyOptions) {
    this.silenceMaxMs = silenceMaxMs
    this.target = target
    this.log = log
    this.timer = setInterval(() => this.refresh(), REFRESH_MS)
    this.refresh()
  }

  get health(): EngineHealth {
    const holders = new Set(this.slots)
    const hasHoles = holders.delete(null)
    const ready = [...holders].filter((address) => address !== null && this.links.get(address)?.isReady === true).length
    if (ready === 0) return { isReady: false, detail: `reconnecting to the cluster: ${this.failure}` }
    const holes = hasHoles ? ', some slots are held by none' : ''
    if (ready === holders.size && !hasHoles)
      return { isReady: true, detail: `ready: connected to all ${ready} primaries of the cluster` }
    return { isReady: true, detail: `ready in part: ${ready} of ${holders.size} primaries of the cluster${holes}` }
  }

  linkFor(slot: number | null): Link | null {
    if (slot === null) return this.anyLink()
    const address = this.slots[slot]
    const link = address == null ? undefined : this.links.get(address)
    return link?.isReady === true ? link : null
  }

  primaries(): readonly Link[] | null {
    const addresses = new Set(this.slots)
    const links = [...addresses].map((address) => (address === null ? undefined : this.links.get(address)))
    return links.length > 0 && links.every((link) => link?.isReady === true) ? (links as Link[]) : null
  }

  lowestSlot(link: Link): number {
    return this.slots.indexOf(addressText(link.node!))
  }

  redirected(error: Error): Link | null {
    const [kind, slotText, addressTextOfNode = ''] = error.message.split(' ')
    const slot = Number(slotText)
    const colon = addressTextOfNode.lastIndexOf(':')
    const address = { host: addressTextOfNode.slice(0, colon), port: Number(addressTextOfNode.slice(colon + 1)) }
    if (!(slot >= 0 && slot < SLOTS) || address.host === '' || !(address.port > 0)) return null
    const link = this.linkTo(address)
    if (kind === 'MOVED') {
      this.slots[slot] = addressText(address)
      this.refresh()
    }
    return link
  }

  suspect(): void {
    this.refresh()
  }

  async change(patience: Patience): Promise<void> {
    this.refresh()
    await this.wakeups.wait(patience, LOOK_MS)
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  openAny(reconnect: Reconnect): Redis | null {
    const node = this.anyLink()?.node ?? null
    return node === null ? null : openConnection(this.target, node, reconnect)
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.timer)
    for (const link of [...this.links.values(), ...this.retired]) link.close()
    this.links.clear()
    this.retired.clear()
    this.wakeups.wake()
  }

  /** Any primary that is ready, a different one each time. */
  private anyLink(): Link | null {
    const ready = [...this.links.values()].filter((link) => link.isReady)
    if (ready.length === 0) return null
    this.nextNode = (this.nextNode + 1) % ready.length
    return ready[this.nextNode]!
  }

  private linkTo(address: Address): Link {
    const name = addressText(address)
    const known = this.links.get(name)
    if (known !== undefined) return known
    const link = new Link({
      target: this.target,
      node: address,
      description: `cluster node ${name}`,
      log: this.log,
      silenceMaxMs: this.silenceMaxMs,
      onChange: () => {
        if (!link.isReady) this.refresh()
        this.changed()
      },
    })
    this.links.set(name, link)
    return link
  }

  private retire(link: Link): void {
    this.retired.add(link)
    const end = (): void => {
      this.retired.delete(link)
      link.close()
    }
    setTimeout(end, RETIRE_MS).unref()
  }

  private changed(): void {
    this.wakeups.wake()
    for (const listener of this.listeners) listener()
  }

  /** Asks for the map, unless that is under way. */
  private refresh(): void {
    if (this.isClosed || this.refreshing !== null) return
    const patience = { deadlineMs: Number.POSITIVE_INFINITY, signal: null }
    this.refreshing = this.readMap()
      .catch((error: unknown) => {
        const text = messageOf(error)
        const failure = failureOf(error)
        // Once for each outage: attempts go on.
        if (failure !== this.failure)
          this.log.warning(`Cannot ask the ${describeTarget(this.target)} for slots: ${text}`)
        this.failure = failure
      })
      .then(() => pause(REFRESH_PAUSE_MS, patience))
      .finally(() => {
        this.refreshing = null
      })
  }

  private async readMap(): Promise<void> {
    const ready = [...this.links.values()].filter((link) => link.isReady)
    let failure: unknown = new Error('no node answers')
    for (const link of ready) {
      try {
        const command = new RemoteCommand(['CLUSTER', 'SLOTS'])
        this.takeMap(await answered(link.send(command)), link.node!)
        return
      } catch (error) {
        failure = error
      }
    }
    for (const address of this.target.addresses) {
      try {
        this.takeMap(await this.askOnce(address), address)
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** Asks a node to which there is no link yet. */
  private async askOnce(address: Address): Promise<RawReply> {
    const redis = openConnection(this.target, address, Reconnect.Never)
    let failure: Error | null = null
    redis.on('error', (error: Error) => {
      failure = error
    })
    try {
      const connected = new Promise<void>((resolve, reject) => {
        redis.once('ready', resolve)
        redis.once('end', () => reject(failure ?? new Error('the connection was closed')))
      })
      await answered(connected)
      return await answered(sendOn(redis, new RemoteCommand(['CLUSTER', 'SLOTS'])))
    } finally {
      redis.disconnect()
    }
  }

  /** Takes over the map that a node told: `[first, last, [host, port, …], …]` each. */
  private takeMap(map: RawReply, teller: Address): void {
    if (this.isClosed || !Array.isArray(map)) return
    const slots = new Array<string | null>(SLOTS).fill(null)
    const addresses = new Map<string, Address>()
    for (const range of map as readonly RawReply[]) {
      if (!Array.isArray(range) || !Array.isArray(range[2])) continue
      const [first, last, [host, port]] = range as [RawReply, RawReply, readonly RawReply[]]
      // A node that does not know how it is reached is the one that was asked.
      const name = host == null ? '' : String(host)
      if (name === '?') continue
      const address = { host: name === '' ? teller.host : name, port: Number(port) }
      addresses.set(addressText(address), address)
      slots.fill(addressText(address), Number(first), Number(last) + 1)
    }
    if (addresses.size === 0) throw new Error('the cluster has no slots: is it one?')
    for (let slot = 0; slot < SLOTS; slot++) this.slots[slot] = slots[slot]!
    for (const [name, link] of this.links) {
      if (addresses.has(name)) continue
      this.links.delete(name)
      this.retire(link)
    }
    for (const address of addresses.values()) this.linkTo(address)
    this.changed()
  }
}

/** A promise that has a limited time. @throws Error when it takes too long */
function answered<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a node does not answer in time')), ANSWER_MAX_MS)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
