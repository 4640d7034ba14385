/** Which commands may wait for their reply. Hot path: asked for each command. */
import { CommandFlag } from '../../commands/define.ts'
import type { CommandWords, Engine } from '../engine.ts'

export class WaitingCommands {
  /** In lower case. */
  private readonly names: ReadonlySet<string>

  constructor({ registry }: Engine) {
    const blocking = [...registry.all()].filter(({ flags }) => (flags & CommandFlag.Blocking) !== 0)
    this.names = new Set(blocking.map(({ name }) => name))
  }

  has(words: CommandWords): boolean {
    return this.names.has(String(words[0]).toLowerCase())
  }

  /** Whether one of the commands is one. */
  hasOneOf(commands: readonly CommandWords[]): boolean {
    for (let i = 0; i < commands.length; i++) if (this.has(commands[i]!)) return true
    return false
  }
}
