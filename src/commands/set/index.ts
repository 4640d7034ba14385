/** The commands of sets. */
import type { CommandDefinition } from '../define.ts'
import { sadd } from './sadd.ts'
import { sdiff, sdiffcard, sdiffstore } from './sdiff.ts'
import { sinter, sintercard, sinterstore } from './sinter.ts'
import { scard, sismember, smembers, smismember } from './smembers.ts'
import { smove } from './smove.ts'
import { spop } from './spop.ts'
import { srandmember } from './srandmember.ts'
import { srem } from './srem.ts'
import { sscan } from './sscan.ts'
import { sunion, sunioncard, sunionstore } from './sunion.ts'

export const setCommands: readonly CommandDefinition[] = [
  sadd,
  scard,
  sdiff,
  sdiffcard,
  sdiffstore,
  sinter,
  sintercard,
  sinterstore,
  sismember,
  smembers,
  smismember,
  smove,
  spop,
  srandmember,
  srem,
  sscan,
  sunion,
  sunioncard,
  sunionstore,
]
