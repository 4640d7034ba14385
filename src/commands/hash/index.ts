/** The commands of hashes. */
import type { CommandDefinition } from '../define.ts'
import { hdel } from './hdel.ts'
import { hexists, hget, hmget, hstrlen } from './hget.ts'
import { hgetall, hkeys, hlen, hvals } from './hgetall.ts'
import { hincrby, hincrbyfloat } from './hincrby.ts'
import { hrandfield } from './hrandfield.ts'
import { hscan } from './hscan.ts'
import { hmset, hset, hsetnx } from './hset.ts'

export const hashCommands: readonly CommandDefinition[] = [
  hdel,
  hexists,
  hget,
  hgetall,
  hincrby,
  hincrbyfloat,
  hkeys,
  hlen,
  hmget,
  hmset,
  hrandfield,
  hscan,
  hset,
  hsetnx,
  hstrlen,
  hvals,
]
