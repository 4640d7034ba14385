/** Commands on keys of any type and on databases. */
import type { CommandDefinition } from '../define.ts'
import { copy } from './copy.ts'
import { dbsize } from './dbsize.ts'
import { del, unlink } from './del.ts'
import { dump } from './dump.ts'
import { exists, touch } from './exists.ts'
import { expire, expireat, pexpire, pexpireat } from './expire.ts'
import { flushall, flushdb } from './flush.ts'
import { keys } from './keys.ts'
import { migrate } from './migrate.ts'
import { move } from './move.ts'
import { object } from './object.ts'
import { persist } from './persist.ts'
import { randomkey } from './randomkey.ts'
import { rename, renamenx } from './rename.ts'
import { restore, restoreAsking } from './restore.ts'
import { scan } from './scan.ts'
import { select } from './select.ts'
import { sort, sortRo } from './sort.ts'
import { swapdb } from './swapdb.ts'
import { expiretime, pexpiretime, pttl, ttl } from './ttl.ts'
import { type } from './type.ts'
import { waitaof } from './waitaof.ts'

export const genericCommands: readonly CommandDefinition[] = [
  copy,
  dbsize,
  del,
  dump,
  exists,
  expire,
  expireat,
  expiretime,
  flushall,
  flushdb,
  keys,
  migrate,
  move,
  object,
  persist,
  pexpire,
  pexpireat,
  pexpiretime,
  pttl,
  randomkey,
  rename,
  renamenx,
  restore,
  restoreAsking,
  scan,
  select,
  sort,
  sortRo,
  swapdb,
  touch,
  ttl,
  type,
  unlink,
  waitaof,
]
