/**
 * Metrics of streams and of BullMQ's queues: those that the user may look at, of the keys that discovery knows. Names are
 * those of redis_exporter and of BullMQ. All numbers are asked for with the rights of the user.
 */
import type { User } from '../../access/user.ts'
import { CommandError, type CommandWords, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { requireCommands } from '../permissions.ts'
import { Discovery } from './discovery.ts'
import type { Exposition, Labels } from './exposition.ts'

const DATABASE = 'db0'
/** Groups of one stream that are shown. */
const GROUPS_MAX = 100

/** States of jobs, the key of each, and the command that counts what it holds. */
const STATES: readonly (readonly [state: string, key: string, command: 'LLEN' | 'ZCARD'])[] = [
  ['waiting', 'wait', 'LLEN'],
  ['paused', 'paused', 'LLEN'],
  ['active', 'active', 'LLEN'],
  ['prioritized', 'prioritized', 'ZCARD'],
  ['delayed', 'delayed', 'ZCARD'],
  ['waiting-children', 'waiting-children', 'ZCARD'],
  ['completed', 'completed', 'ZCARD'],
  ['failed', 'failed', 'ZCARD'],
]
const QUEUE_KEY = /^(?:bull|\{bull\}):(.+):meta$/

export class DataMetrics {
  private readonly engine: Engine
  private readonly streams: Discovery
  private readonly queues: Discovery

  constructor(engine: Engine) {
    this.engine = engine
    this.streams = new Discovery(engine, ['TYPE', 'stream'])
    this.queues = new Discovery(engine, ['MATCH', '*bull*:*:meta', 'TYPE', 'hash'])
  }

  /** @param named streams to show beside those that are found */
  async add(page: Exposition, user: User, named: readonly string[]): Promise<void> {
    const mayScan = this.mayScan(user)
    const streams = new Set([...named, ...(mayScan ? await this.streams.find() : [])])
    await this.addStreams(page, user, [...streams])
    if (mayScan) await this.addQueues(page, user, await this.queues.find())
  }

  private mayScan(user: User): boolean {
    try {
      requireCommands(this.engine, user, [['SCAN', '0']])
      return true
    } catch (error) {
      if (error instanceof CommandError) return false
      throw error
    }
  }

  private async addStreams(page: Exposition, user: User, streams: readonly string[]): Promise<void> {
    const commands = streams.flatMap((stream): CommandWords[] => [
      ['XINFO', 'STREAM', stream],
      ['XINFO', 'GROUPS', stream],
    ])
    const replies = await this.engine.pipeline(user, commands, Decode.Text)
    streams.forEach((stream, i) => {
      const facts = replies[2 * i]
      const groups = replies[2 * i + 1]
      if (Array.isArray(facts) && Array.isArray(groups)) addStream(page, stream, facts, groups)
      else if (isGone(facts)) this.streams.forget(stream)
    })
  }

  private async addQueues(page: Exposition, user: User, keys: readonly string[]): Promise<void> {
    const queues = keys.filter((key) => QUEUE_KEY.test(key))
    const commands = queues.flatMap((key) => [
      ['EXISTS', key],
      ...STATES.map(([, name, command]) => [command, key.replace(/meta$/, name)]),
    ])
    const replies = await this.engine.pipeline(user, commands, Decode.Text)
    queues.forEach((key, i) => {
      const from = i * (STATES.length + 1)
      if (replies[from] === 0) this.queues.forget(key)
      const queue = QUEUE_KEY.exec(key)?.[1] ?? key
      STATES.forEach(([state], j) => {
        const count = replies[from + 1 + j]
        // A user who may not look at the queue gets errors here.
        if (replies[from] !== 1 || typeof count !== 'number') return
        page.gauge('bullmq_job_count', 'Jobs of each queue by state.', count, { queue, state })
      })
    })
  }
}

/** A key that was removed, or is another kind of value now. */
function isGone(reply: ReplyValue | undefined): boolean {
  if (!(reply instanceof CommandError)) return false
  return reply.code === 'WRONGTYPE' || reply.message === 'ERR no such key'
}

function addStream(
  page: Exposition,
  stream: string,
  facts: readonly ReplyValue[],
  groups: readonly ReplyValue[],
): void {
  const labels = { db: DATABASE, stream }
  addNumber(page, 'redis_stream_length', 'Entries of each stream.', fieldOf(facts, 'length'), labels)
  addNumber(page, 'redis_stream_groups', 'Consumer groups of each stream.', fieldOf(facts, 'groups'), labels)
  const last = fieldOf(facts, 'last-generated-id')
  if (typeof last === 'string') {
    const ms = Number.parseInt(last, 10)
    addNumber(page, 'redis_stream_last_generated_id', 'Time part of the last entry ID.', ms, labels)
  }
  for (const group of groups.slice(0, GROUPS_MAX)) if (Array.isArray(group)) addGroup(page, stream, group)
}

function addGroup(page: Exposition, stream: string, group: readonly ReplyValue[]): void {
  const labels = { db: DATABASE, stream, group: String(fieldOf(group, 'name')) }
  const add = (name: string, help: string, field: string): void => {
    addNumber(page, `redis_stream_group_${name}`, help, fieldOf(group, field), labels)
  }
  add('consumers', 'Consumers of each group.', 'consumers')
  add('messages_pending', 'Pending entries of each group.', 'pending')
  add('entries_read', 'Entries that each group was given.', 'entries-read')
  // It is nil when nobody can tell.
  add('lag', 'Entries that each group was not given yet.', 'lag')
}

function addNumber(page: Exposition, name: string, help: string, value: unknown, labels: Labels): void {
  if (typeof value === 'number') page.gauge(name, help, value, labels)
}

/** A value of a map that is a flat array; null when it is not there. */
function fieldOf(flat: readonly ReplyValue[], name: string): ReplyValue {
  for (let i = 0; i + 1 < flat.length; i += 2) if (flat[i] === name) return flat[i + 1] ?? null
  return null
}
