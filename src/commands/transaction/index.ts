/** The commands of transactions. */
import type { CommandDefinition } from '../define.ts'
import { exec } from './exec.ts'
import { discard, multi } from './multi.ts'
import { unwatch, watch } from './watch.ts'

export const transactionCommands: readonly CommandDefinition[] = [discard, exec, multi, unwatch, watch]
