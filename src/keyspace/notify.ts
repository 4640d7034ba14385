/** Event classes of keyspace notifications: the bits of `notify-keyspace-events`, under the name handlers use. */
export { KeyspaceEvent as Notify } from '../config/keyspace-events.ts'
