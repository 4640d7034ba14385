import type { CommandDefinition } from '../define.ts'
import { evalCommand, evalRo, evalsha, evalshaRo } from './eval.ts'
import { fcall, fcallRo } from './fcall.ts'
import { functionCommand } from './function.ts'
import { script } from './script.ts'

export const scriptingCommands: readonly CommandDefinition[] = [
  evalCommand,
  evalsha,
  evalRo,
  evalshaRo,
  fcall,
  fcallRo,
  functionCommand,
  script,
]
