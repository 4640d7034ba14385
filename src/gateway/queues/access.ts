/**
 * What a user may do with a queue. BullMQ runs as the system, so this is asked before: who reads needs all keys of the
 * queue for reading, and commands like those that BullMQ's scripts run; who changes needs the keys for reading and writing.
 *
 * A job that is part of a flow reaches into other queues: when it finishes or is removed, its parents change (failures
 * may go up the whole chain), and its children are removed with it. All of those must be the user's to change, too.
 */
import { KeyAccess, type User } from '../../access/user.ts'
import type { CommandWords, Engine } from '../engine.ts'
import { requireCommands, requirePrefix } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { keyPrefix, parseJobKey, type QueueId } from './names.ts'

/** Parents of parents that are followed. */
const ANCESTORS_MAX = 64

/** @throws CommandError NOPERM */
export function requireQueueRead(engine: Engine, user: User, queue: QueueId): void {
  if (user.isUnrestricted) return
  const base = keyPrefix(queue)
  requirePrefix(user, base, KeyAccess.Read)
  requireCommands(engine, user, readingCommands(base))
}

/** As `requireQueueRead`, for who follows the events of a queue. @throws CommandError NOPERM */
export function requireQueueEvents(engine: Engine, user: User, queue: QueueId): void {
  if (user.isUnrestricted) return
  requireQueueRead(engine, user, queue)
  requireCommands(engine, user, [['XREAD', 'STREAMS', `${keyPrefix(queue)}events`, '$']])
}

/** @throws CommandError NOPERM */
export function requireQueueWrite(engine: Engine, user: User, queue: QueueId): void {
  if (user.isUnrestricted) return
  const base = keyPrefix(queue)
  requirePrefix(user, base, KeyAccess.ReadWrite)
  requireCommands(engine, user, writingCommands(base))
}

/** For workers: who takes jobs reads and changes, and waits. @throws CommandError NOPERM */
export function requireQueueWork(engine: Engine, user: User, queue: QueueId): void {
  if (user.isUnrestricted) return
  const base = keyPrefix(queue)
  requireQueueRead(engine, user, queue)
  requireQueueWrite(engine, user, queue)
  requireCommands(engine, user, [
    ['RPOPLPUSH', `${base}wait`, `${base}active`],
    ['BZPOPMIN', `${base}marker`, '1'],
    ['SET', `${base}1:lock`, 'token', 'PX', '1000'],
  ])
}

/**
 * For operations that follow the flows of many jobs, or take options as they come: every key there is. The keys of other
 * jobs stand in the data of a job, and whoever may write those could name any.
 *
 * @throws CommandError NOPERM
 */
export function requireEveryKeyWrite(engine: Engine, user: User): void {
  if (user.isUnrestricted) return
  requirePrefix(user, '', KeyAccess.ReadWrite)
  requireCommands(engine, user, writingCommands(''))
}

/** For who reads flows without a look at each job of them. @throws CommandError NOPERM */
export function requireEveryKeyRead(engine: Engine, user: User): void {
  if (user.isUnrestricted) return
  requirePrefix(user, '', KeyAccess.Read)
  requireCommands(engine, user, readingCommands(''))
}

/** @throws CommandError NOPERM */
export function requireAllQueuesRead(engine: Engine, user: User, prefix: string): void {
  if (user.isUnrestricted) return
  requirePrefix(user, `${prefix}:`, KeyAccess.Read)
  requireCommands(engine, user, readingCommands(`${prefix}:`))
}

/**
 * The queues of a job's parents, up to the root of its flow. A job that is not there has none.
 *
 * @throws CommandError NOPERM; Problem 409 when there are too many, or a job names its parent in two ways
 */
export async function requireAncestorsWrite(engine: Engine, user: User, queue: QueueId, jobId: string): Promise<void> {
  if (user.isUnrestricted) return
  let key = keyPrefix(queue) + jobId
  for (let i = 0; i < ANCESTORS_MAX; i++) {
    const reply = await engine.call(engine.system, ['HMGET', key, 'parentKey', 'parent', 'deid'])
    const [parentKey, parent, deduplicationId] = reply instanceof Array ? reply : []
    if (i === 0 && typeof deduplicationId === 'string') await requireOwnNext(engine, user, queue, deduplicationId)
    const found = parentOf(String(parentKey ?? ''), String(parent ?? ''))
    if (found === NO_PARENT) return
    const parsed = found === null ? null : parseJobKey(found)
    if (found === null || parsed === null) throw new Problem(409, `Job ${jobId} has a parent that is none`)
    requireQueueWrite(engine, user, parsed.queue)
    key = found
  }
  throw new Problem(409, `The flow of job ${jobId} is deeper than ${ANCESTORS_MAX}`)
}

/**
 * The job that is to follow a duplicate (`keepLastIfActive`) has no parent; one that somebody gave it would be changed when
 * it is made.
 *
 * @throws Problem 409
 */
export async function requireOwnNext(
  engine: Engine,
  user: User,
  queue: QueueId,
  deduplicationId: string,
): Promise<void> {
  if (user.isUnrestricted) return
  const next = `${keyPrefix(queue)}dn:${deduplicationId}`
  const reply = await engine.call(engine.system, ['HMGET', next, 'pk', 'pd', 'pdk'])
  if (!(reply instanceof Array) || reply.every((field) => field === null)) return
  throw new Problem(409, `The job that follows the duplicates of ${deduplicationId} has a parent`)
}

const NO_PARENT = ''

/** The key of a job's parent by the two fields that name it, which BullMQ uses in turn; null when they differ. */
function parentOf(parentKey: string, parent: string): string | null {
  if (parent === '') return parentKey
  try {
    const { id, queueKey } = JSON.parse(parent) as Readonly<Record<string, unknown>>
    return `${String(queueKey)}:${String(id)}` === parentKey ? parentKey : null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null
    throw error
  }
}

/** Who removes a job with children removes those, wherever they are. @throws CommandError NOPERM */
export async function requireChildrenWrite(engine: Engine, user: User, queue: QueueId, jobId: string): Promise<void> {
  if (user.isUnrestricted) return
  const key = keyPrefix(queue) + jobId
  const related = ['dependencies', 'processed', 'failed', 'unsuccessful'].map((what) => `${key}:${what}`)
  const found = await engine.call(engine.system, ['EXISTS', ...related])
  if (found !== 0) requireEveryKeyWrite(engine, user)
}

function readingCommands(base: string): readonly CommandWords[] {
  return [
    ['HGETALL', `${base}meta`],
    ['LRANGE', `${base}wait`, '0', '-1'],
    ['LLEN', `${base}wait`],
    ['ZRANGE', `${base}completed`, '0', '-1'],
    ['ZCARD', `${base}completed`],
  ]
}

function writingCommands(base: string): readonly CommandWords[] {
  return [
    ['HSET', `${base}1`, 'f', 'v'],
    ['LPUSH', `${base}wait`, 'm'],
    ['LREM', `${base}wait`, '1', 'm'],
    ['ZADD', `${base}completed`, '1', 'm'],
    ['ZREM', `${base}completed`, 'm'],
    ['XADD', `${base}events`, '*', 'f', 'v'],
    ['DEL', `${base}1`],
  ]
}
