/** Directives about Redis Cluster. Only `cluster-enabled` changes what the server is; the rest only tunes it. */
import { bool, DirectiveFlag, int, later, memory, oneOf, optionalText, text, unsupported } from '../directive.ts'
import { INT_MAX, LONG_MAX, ULONG_MAX } from '../number-text.ts'

const { Hidden, Immutable } = DirectiveFlag
const NO_CLUSTER = 'cluster mode is not built yet'
const HOST_NAME_MAX = 256

const tuning = later(NO_CLUSTER)

function refuseHostName(name: string): string | null {
  if (name.length >= HOST_NAME_MAX) return `Hostnames must be less than ${HOST_NAME_MAX} characters`
  if (/^[A-Za-z0-9.-]*$/.test(name)) return null
  return 'Hostnames may only contain alphanumeric characters, hyphens or dots'
}

/** Bytes that separate fields in nodes.conf. Source: Valkey src/cluster_legacy.c `isValidAuxChar`. */
const NODE_NAME_REFUSED = /[!#$%&()*+:;<>?@[\]^{|}~]/

function refuseNodeName(name: string): string | null {
  return NODE_NAME_REFUSED.test(name) ? 'Announced human node name contained invalid character' : null
}

export const clusterDirectives = {
  'cluster-enabled': bool(false, 'Makes the server a node of a cluster.', {
    flags: Immutable,
    effect: unsupported(NO_CLUSTER),
  }),
  'cluster-config-file': text('nodes.conf', 'File in which the node keeps the state of the cluster.', {
    flags: Immutable,
    effect: tuning,
  }),
  'cluster-port': int(0, 0n, 65535n, 'Port of the cluster bus. 0: `port` + 10000.', {
    flags: Immutable,
    effect: tuning,
  }),
  'cluster-node-timeout': int(15000, 0n, LONG_MAX, 'After how long a silent node counts as failed.', {
    unit: 'milliseconds',
    effect: tuning,
  }),
  'cluster-ping-interval': int(0, 0n, LONG_MAX, 'Interval of pings between nodes.', { flags: Hidden, effect: tuning }),
  'cluster-replica-validity-factor': int(10, 0n, INT_MAX, 'How old the data of a replica to promote may be.', {
    alias: 'cluster-slave-validity-factor',
    effect: tuning,
  }),
  'cluster-replica-no-failover': bool(false, 'Never promotes this replica by itself.', {
    alias: 'cluster-slave-no-failover',
    effect: tuning,
  }),
  'cluster-migration-barrier': int(1, 0n, INT_MAX, 'Replicas that a primary keeps when others have none.', {
    effect: tuning,
  }),
  'cluster-allow-replica-migration': bool(true, 'Lets replicas move to primaries without one.', { effect: tuning }),
  'cluster-require-full-coverage': bool(true, 'Refuses all keys while a slot is without a node.', { effect: tuning }),
  'cluster-allow-reads-when-down': bool(false, 'Answers reads while the cluster is down.', { effect: tuning }),
  'cluster-allow-pubsubshard-when-down': bool(true, 'Delivers messages while the cluster is down.', {
    effect: tuning,
  }),
  'cluster-link-sendbuf-limit': memory(0, 0n, ULONG_MAX, 'Pending output to a node. 0: no limit.', { effect: tuning }),
  'cluster-announce-ip': optionalText('Address that is told to clients and nodes.', { effect: tuning }),
  'cluster-announce-port': int(0, 0n, 65535n, 'Port that is told to clients and nodes.', { effect: tuning }),
  'cluster-announce-tls-port': int(0, 0n, 65535n, 'TLS port that is told to clients and nodes.', { effect: tuning }),
  'cluster-announce-bus-port': int(0, 0n, 65535n, 'Bus port that is told to nodes.', { effect: tuning }),
  'cluster-announce-hostname': optionalText('Host name that is told to clients and nodes.', {
    effect: tuning,
    check: refuseHostName,
  }),
  'cluster-announce-human-nodename': optionalText('Name of the node for logs.', {
    effect: tuning,
    check: refuseNodeName,
  }),
  'cluster-preferred-endpoint-type': oneOf(
    ['ip', 'hostname', 'unknown-endpoint'],
    'ip',
    'What redirections name: address, host name or nothing.',
    { effect: tuning },
  ),
}
