/** The commands of scripts. */
import type { CommandDefinition } from '../define.ts'
import { evalCommand, evalRo, evalsha, evalshaRo } from './eval.ts'
import { script } from './script.ts'

export const scriptingCommands: readonly CommandDefinition[] = [evalCommand, evalsha, evalRo, evalshaRo, script]
