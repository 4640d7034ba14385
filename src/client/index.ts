/**
 * `millrace/client`: the realtime client for browsers and Node 22 or newer. It needs nothing but WebSocket and fetch.
 *
 *     import { connect } from 'millrace/client'
 *     const client = connect({ url: 'http://127.0.0.1:7379' })
 *     await client.subscribe('news', ({ data }) => console.log(data))
 *     for await (const entry of client.stream('orders', { from: '0' })) console.log(entry.id, entry.fields)
 *
 * The gateway serves it as one module for pages, at `/client.js` (src/gateway/realtime/client-module.ts): names of
 * top-level things must differ between the files.
 */
export {
  type AppendOptions,
  connect,
  type KeyEvent,
  type QueueOptions,
  RealtimeClient,
  type Reply,
  type StreamOptions,
  type SubscribeOptions,
} from './client.ts'
export type { ConnectOptions } from './connection.ts'
export type { ConsumeOptions, Consumer, Delivery, EntryHandler } from './consumer.ts'
export { RealtimeError } from './errors.ts'
export type { ClientEvents, ConnectionState } from './events.ts'
export { Entry, type Message } from './payload.ts'
export type { EntryListener, StreamSubscription } from './stream.ts'
export type { Subscription } from './subscriptions.ts'
