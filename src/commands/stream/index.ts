/** Stream commands. */
import type { CommandDefinition } from '../define.ts'
import { xack } from './xack.ts'
import { xadd } from './xadd.ts'
import { xautoclaim } from './xautoclaim.ts'
import { xcfgset, xidmprecord } from './xcfgset.ts'
import { xclaim } from './xclaim.ts'
import { xdel } from './xdel.ts'
import { xackdel, xdelex } from './xdelex.ts'
import { xgroup } from './xgroup.ts'
import { xinfo } from './xinfo.ts'
import { xlen } from './xlen.ts'
import { xnack } from './xnack.ts'
import { xpending } from './xpending.ts'
import { xrange, xrevrange } from './xrange.ts'
import { xread, xreadgroup } from './xread.ts'
import { xsetid } from './xsetid.ts'
import { xtrim } from './xtrim.ts'

export const streamCommands: readonly CommandDefinition[] = [
  xack,
  xackdel,
  xadd,
  xautoclaim,
  xcfgset,
  xclaim,
  xdel,
  xdelex,
  xgroup,
  xidmprecord,
  xinfo,
  xlen,
  xnack,
  xpending,
  xrange,
  xreadgroup,
  xread,
  xrevrange,
  xsetid,
  xtrim,
]
