/** Limits of realtime clients. What happens when one is reached stands beside it, and in docs/REALTIME.md. */

export interface RealtimeLimits {
  /** Pause between two heartbeats, in ms. Who shows no life between two of them is cut off. */
  readonly heartbeatMs: number
  /** Bytes that may wait for a client before channel messages overflow: close 4408, or they are dropped and counted. */
  readonly bufferBytesMax: number
  /** Subscriptions of one client; the next ones get the error LIMIT. */
  readonly subscriptionsMax: number
  /** So many subscriptions beyond the limit close the connection: 4429. */
  readonly refusalsMax: number
  /** Consumptions of one client; the next one gets the error LIMIT. */
  readonly consumptionsMax: number
  /** Consumptions of all clients together: each holds a session of the engine while it waits. More get the error LIMIT. */
  readonly allConsumptionsMax: number
  /** Channels, patterns and key patterns with subscribers, of all clients together; more get the error LIMIT. */
  readonly topicsMax: number
  /** Streams that are followed, by all clients together; more get the error LIMIT. */
  readonly feedsMax: number
  /** Messages a second that one client may send, for a while up to twice as many; then close 4429. */
  readonly messagesPerSecondMax: number
  /** Requests of one client under way. Others wait, and the client is not read from. */
  readonly requestsMax: number
  /** Blocking commands of one client under way; the next one gets the error LIMIT. */
  readonly blockingCallsMax: number
  /** A blocking command called by a client ends after this time, in ms, as by its timeout. */
  readonly blockingCallMs: number
  /** Time in which a client answers the close of its connection, in ms; then it is cut off. */
  readonly closeMs: number
}

export const REALTIME_LIMITS: RealtimeLimits = {
  heartbeatMs: 25_000,
  bufferBytesMax: 1024 * 1024,
  subscriptionsMax: 1000,
  refusalsMax: 100,
  consumptionsMax: 16,
  allConsumptionsMax: 2000,
  topicsMax: 100_000,
  feedsMax: 10_000,
  messagesPerSecondMax: 5000,
  requestsMax: 64,
  blockingCallsMax: 16,
  blockingCallMs: 30_000,
  closeMs: 2000,
}

/** Unacknowledged entries that a consumption may ask for. */
export const CREDIT_MAX = 1000
/** Longest name of a channel, pattern, key, group or consumer, in chars. */
export const NAME_LENGTH_MAX = 4096
/** Streams of one SSE request: its event ID has to hold a position for each. */
export const SSE_STREAMS_MAX = 32
/**
 * A larger message or entry is not pushed, in bytes: its JSON could be longer than a JavaScript string may be. Messages are
 * dropped and counted; a stream or consumption with such an entry ends.
 */
export const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
/** Entries of one push, in bytes; one entry may be larger. */
export const PUSH_BYTES_MAX = 8 * 1024 * 1024
/** Entries read at once for one client that catches up. */
export const PAGE_ENTRIES = 64
