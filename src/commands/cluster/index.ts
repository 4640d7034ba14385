/**
 * CLUSTER ADDSLOTS | ADDSLOTSRANGE | BUMPEPOCH | COUNT-FAILURE-REPORTS | COUNTKEYSINSLOT | …
 * ASKING
 * READONLY
 * READWRITE
 *
 * The commands of a cluster, on a server that is in none: all answer that cluster support is disabled, which is how
 * clients that look for a cluster learn that there is none. Source: Redis src/cluster.c with cluster-enabled no,
 * src/commands/cluster-*.json.
 */
import { CLUSTER_DISABLED } from '../../resp/errors.ts'
import { AclCategory, type CommandDefinition, CommandFlag, defineCommand } from '../define.ts'

const { Admin, Fast, Loading, NoAsyncLoading, NoScript, Stale } = CommandFlag
/** What changes the state of a node. */
const CHANGE = NoAsyncLoading | Admin | Stale
const NO_TIPS: readonly string[] = []
const VARIES = ['nondeterministic_output'] as const

function disabled(): never {
  throw CLUSTER_DISABLED
}

function subcommand(
  name: string,
  since: string,
  arity: number,
  flags: number,
  tips: readonly string[],
  complexity: string,
  summary: string,
): CommandDefinition {
  return defineCommand({
    name,
    summary,
    group: 'cluster',
    since,
    complexity,
    arity,
    flags,
    categories: 0,
    tips,
    handler: disabled,
  })
}

const SLOTS_GIVEN = 'O(N), N being the number of slots that are given.'
const SLOTS_IN_RANGES = 'O(N), N being the number of slots in the ranges.'
const NODES_KNOWN = 'O(N), N being the number of nodes.'
const REPLICAS_KNOWN = 'O(N), N being the number of replicas.'

const SUBCOMMANDS: readonly CommandDefinition[] = [
  subcommand('addslots', '3.0.0', -3, CHANGE, NO_TIPS, SLOTS_GIVEN, 'Gives hash slots to the node.'),
  subcommand('addslotsrange', '7.0.0', -4, CHANGE, NO_TIPS, SLOTS_IN_RANGES, 'Gives ranges of hash slots to the node.'),
  subcommand('bumpepoch', '3.0.0', 2, CHANGE, VARIES, 'O(1)', 'Advances the configuration epoch.'),
  subcommand(
    'count-failure-reports',
    '3.0.0',
    3,
    Admin | Stale,
    VARIES,
    'O(N), N being the number of reports.',
    'Counts the reports that a node has failed.',
  ),
  subcommand('countkeysinslot', '3.0.0', 3, Stale, NO_TIPS, 'O(1)', 'Counts the keys of a hash slot.'),
  subcommand('delslots', '3.0.0', -3, CHANGE, NO_TIPS, SLOTS_GIVEN, 'Takes hash slots from the node.'),
  subcommand(
    'delslotsrange',
    '7.0.0',
    -4,
    CHANGE,
    NO_TIPS,
    SLOTS_IN_RANGES,
    'Takes ranges of hash slots from the node.',
  ),
  subcommand('failover', '3.0.0', -2, CHANGE, NO_TIPS, 'O(1)', 'Makes a replica take over from its primary.'),
  subcommand('flushslots', '3.0.0', 2, CHANGE, NO_TIPS, 'O(1)', 'Takes all hash slots from the node.'),
  subcommand('forget', '3.0.0', 3, CHANGE, NO_TIPS, 'O(1)', 'Removes a node from those that are known.'),
  subcommand(
    'getkeysinslot',
    '3.0.0',
    4,
    Stale,
    VARIES,
    'O(N), N being the number of keys that are asked for.',
    'Returns keys of a hash slot.',
  ),
  subcommand('help', '5.0.0', 2, Loading | Stale, NO_TIPS, 'O(1)', 'Returns a description of the subcommands.'),
  subcommand('info', '3.0.0', 2, Stale, VARIES, 'O(1)', 'Describes the state of the node.'),
  subcommand(
    'keyslot',
    '3.0.0',
    3,
    Stale,
    NO_TIPS,
    'O(N), N being the length of the key.',
    'Returns the hash slot of a key.',
  ),
  subcommand('links', '7.0.0', 2, Stale, VARIES, NODES_KNOWN, 'Returns the connections between nodes.'),
  subcommand('meet', '3.0.0', -4, CHANGE, NO_TIPS, 'O(1)', 'Makes the node known to another one.'),
  subcommand('myid', '3.0.0', 2, Stale, NO_TIPS, 'O(1)', 'Returns the ID of the node.'),
  subcommand('myshardid', '7.2.0', 2, Stale, VARIES, 'O(1)', 'Returns the ID of the shard of the node.'),
  subcommand('nodes', '3.0.0', 2, Stale, VARIES, NODES_KNOWN, 'Returns the configuration of the cluster.'),
  subcommand('replicas', '5.0.0', 3, Admin | Stale, VARIES, REPLICAS_KNOWN, 'Returns the replicas of a node.'),
  subcommand('replicate', '3.0.0', 3, CHANGE, NO_TIPS, 'O(1)', 'Makes the node a replica of another one.'),
  subcommand(
    'reset',
    '3.0.0',
    -2,
    Admin | Stale | NoScript,
    NO_TIPS,
    'O(N), N being the number of nodes, besides what a FLUSHALL takes.',
    'Makes the node forget the cluster.',
  ),
  subcommand('saveconfig', '3.0.0', 2, CHANGE, NO_TIPS, 'O(1)', 'Writes the configuration to its file.'),
  subcommand('set-config-epoch', '3.0.0', 3, CHANGE, NO_TIPS, 'O(1)', 'Sets the configuration epoch.'),
  subcommand('setslot', '3.0.0', -4, CHANGE, NO_TIPS, 'O(1)', 'Says which node has a hash slot.'),
  subcommand('shards', '7.0.0', 2, Loading | Stale, VARIES, NODES_KNOWN, 'Returns shards with their slots and nodes.'),
  subcommand('slaves', '3.0.0', 3, Admin | Stale, VARIES, REPLICAS_KNOWN, 'Returns the replicas of a node.'),
  subcommand('slots', '3.0.0', 2, Loading | Stale, VARIES, NODES_KNOWN, 'Returns ranges of slots with their nodes.'),
]

export const cluster = defineCommand({
  name: 'cluster',
  summary: 'A container for commands of a cluster.',
  group: 'cluster',
  since: '3.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: SUBCOMMANDS,
  handler: disabled,
})

export const asking = connectionCommand('asking', Fast, 'Announces a command that was redirected by ASK.')
export const readonly = connectionCommand(
  'readonly',
  Fast | Loading | Stale,
  'Lets a replica of a cluster answer reads.',
)
export const readwrite = connectionCommand('readwrite', Fast | Loading | Stale, 'Takes READONLY back.')

function connectionCommand(name: string, flags: number, summary: string): CommandDefinition {
  return defineCommand({
    name,
    summary,
    group: 'cluster',
    since: '3.0.0',
    complexity: 'O(1)',
    arity: 1,
    flags,
    categories: AclCategory.Connection,
    handler: disabled,
  })
}

export const clusterCommands: readonly CommandDefinition[] = [cluster, asking, readonly, readwrite]
