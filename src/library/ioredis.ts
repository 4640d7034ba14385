/** Connects ioredis, and what builds on it (BullMQ), to a broker in the same process, without a socket. */
import { type IoredisOptions, inProcessOptions } from '../server/in-process-ioredis.ts'
import type { LocalBroker } from './broker.ts'

export type { IoredisOptions } from '../server/in-process-ioredis.ts'

/**
 * Options for ioredis to use a broker in this process: `new Redis({ ...ioredisOptions(broker) })`, or BullMQ's
 * `connection: ioredisOptions(broker)`. Duplicated clients use it too. A lost connection is opened again; after
 * `broker.close()` clients end, and their commands are rejected.
 */
export function ioredisOptions(broker: LocalBroker): IoredisOptions {
  return inProcessOptions(broker)
}
