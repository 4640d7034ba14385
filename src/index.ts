/**
 * Library entry: a broker inside a program.
 *
 *     import { createBroker, ioredisOptions } from 'millrace'
 *     const broker = await createBroker({ dataDir: './data' })
 *     await broker.call('XADD', 'orders', '*', 'item', 'tea')
 *     const queue = new Queue('mail', { connection: ioredisOptions(broker) })
 *     await broker.close()
 */
export type { ConfigOptions } from './config/config.ts'
export { QueuePrefixError } from './gateway/queues/prefix.ts'
export { RedisUrlError } from './gateway/remote/engine-url.ts'
export { createBroker, LocalBroker, type MessageListener } from './library/broker.ts'
export { bullmqConnection } from './library/bullmq.ts'
export { type IoredisOptions, ioredisOptions } from './library/ioredis.ts'
export type { BrokerLogger, CreateBrokerOptions } from './library/options.ts'
export { createRedisClient, queuePrefix, type RedisClientOptions } from './library/redis-client.ts'
export { CommandError, type ReplyValue } from './resp/value-sink.ts'
export { type Argument, BrokerClosedError } from './server/in-process.ts'

export type { Subscription } from './server/subscriptions.ts'
