/** The commands about the server itself. */
import type { CommandDefinition } from '../define.ts'
import { bgrewriteaof } from './bgrewriteaof.ts'
import { command } from './command.ts'
import { config } from './config.ts'
import { debug } from './debug.ts'
import { info } from './info.ts'
import { latency } from './latency.ts'
import { lolwut } from './lolwut.ts'
import { memory } from './memory.ts'
import { module } from './module.ts'
import { monitor } from './monitor.ts'
import { bgsave, lastsave, save } from './save.ts'
import { shutdown } from './shutdown.ts'
import { slowlog } from './slowlog.ts'
import { time } from './time.ts'

export const serverCommands: readonly CommandDefinition[] = [
  bgrewriteaof,
  bgsave,
  command,
  config,
  debug,
  info,
  lastsave,
  latency,
  lolwut,
  memory,
  module,
  monitor,
  save,
  shutdown,
  slowlog,
  time,
]
