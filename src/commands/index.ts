/** All command families. A new family is listed here. */
import { aclCommands } from './acl/index.ts'
import { bitmapCommands } from './bitmap/index.ts'
import { clusterCommands } from './cluster/index.ts'
import { connectionCommands } from './connection/index.ts'
import type { CommandDefinition } from './define.ts'
import { genericCommands } from './generic/index.ts'
import { geoCommands } from './geo/index.ts'
import { hashCommands } from './hash/index.ts'
import { hyperloglogCommands } from './hyperloglog/index.ts'
import { listCommands } from './list/index.ts'
import { pubsubCommands } from './pubsub/index.ts'
import { replicationCommands } from './replication/index.ts'
import { scriptingCommands } from './scripting/index.ts'
import { serverCommands } from './server/index.ts'
import { setCommands } from './set/index.ts'
import { streamCommands } from './stream/index.ts'
import { stringCommands } from './string/index.ts'
import { transactionCommands } from './transaction/index.ts'
import { zsetCommands } from './zset/index.ts'

export const commandFamilies: readonly (readonly CommandDefinition[])[] = [
  stringCommands,
  bitmapCommands,
  hyperloglogCommands,
  genericCommands,
  hashCommands,
  listCommands,
  setCommands,
  streamCommands,
  zsetCommands,
  geoCommands,
  transactionCommands,
  pubsubCommands,
  connectionCommands,
  serverCommands,
  aclCommands,
  scriptingCommands,
  replicationCommands,
  clusterCommands,
]
