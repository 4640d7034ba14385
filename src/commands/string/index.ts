/** String commands. */
import type { CommandDefinition } from '../define.ts'
import { get } from './get.ts'
import { psetex, set, setex, setnx } from './set.ts'

export const stringCommands: readonly CommandDefinition[] = [get, psetex, set, setex, setnx]
