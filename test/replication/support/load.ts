/** Random commands whose effects a primary tells its replicas. */
import { nextCommands } from '../../differential/generator.ts'
import type { Random } from '../../differential/random.ts'

/**
 * redis-server 7.0 changes data by these and does not tell its replicas: PFDEBUG and PFCOUNT between encodings, BITFIELD
 * when it makes a string longer for an operation that then fails.
 */
const UNTOLD = /^(pf|bitfield)/i

export function randomBatch(random: Random, size: number): string[][] {
  const commands: string[][] = []
  while (commands.length < size) {
    for (const command of nextCommands(random)) if (!UNTOLD.test(command[0] ?? '')) commands.push(command)
  }
  return commands
}
