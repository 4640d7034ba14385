/** The prefix of the keys of queues: which is chosen when none is given, and what a cluster asks of it. */

/** When none is given. */
const DEFAULT_PREFIX = 'bull'
/** The same in a cluster, where all keys of queues that work together must be in one slot. */
const DEFAULT_CLUSTER_PREFIX = '{bull}'
const HASH_TAG = /\{[^{}]+\}/

/** A cluster cannot have the prefix: its keys would be in many slots. */
export class QueuePrefixError extends Error {
  override readonly name = 'QueuePrefixError'
  readonly code = 'ERR_QUEUE_PREFIX'

  constructor() {
    super(`In a cluster the prefix must have a hash tag, like ${DEFAULT_CLUSTER_PREFIX}`)
  }
}

export interface PrefixChoice {
  /** Null: the default. */
  readonly given: string | null
  readonly isCluster: boolean
}

/** @throws QueuePrefixError */
export function choosePrefix({ given, isCluster }: PrefixChoice): string {
  if (given === null) return isCluster ? DEFAULT_CLUSTER_PREFIX : DEFAULT_PREFIX
  if (isCluster && !HASH_TAG.test(given)) throw new QueuePrefixError()
  return given
}
