/**
 * Commands of Redis that are not there yet, as far as rules about users name them: `-module` or `+cluster|slots` in the
 * configuration of a Redis must not keep its users out. Such a rule is kept, shown and saved like any other. Cold.
 */
import type { ControlledCommand } from '../access/selector.ts'
import { REDIS_COMMANDS } from './redis-commands.ts'

class AbsentCommand implements ControlledCommand {
  readonly aclId: number
  readonly aclName: string
  /** It is in no category, as there is nothing that a category could allow. */
  readonly categories = 0
  readonly container: ControlledCommand | null
  readonly subcommands: ReadonlyMap<string, ControlledCommand> | null

  constructor(aclName: string, container: ControlledCommand | null, subcommands: readonly string[], ids: NextId) {
    this.aclId = ids()
    this.aclName = aclName
    this.container = container
    this.subcommands =
      subcommands.length === 0
        ? null
        : new Map(subcommands.map((name) => [name, new AbsentCommand(`${aclName}|${name}`, this, [], ids)]))
  }
}

/** Gives a number that no other command has. */
export type NextId = () => number

/** The commands of Redis that `find` does not find, by their names in lower case. */
export function absentCommands(
  find: (aclName: string) => ControlledCommand | null,
  ids: NextId,
): ReadonlyMap<string, ControlledCommand> {
  const absent = new Map<string, ControlledCommand>()
  const names = Object.values(REDIS_COMMANDS).flatMap((text) => text.trim().split(/\s+/))
  const below = (container: string): string[] =>
    names.filter((name) => name.startsWith(`${container}|`)).map((name) => name.slice(container.length + 1))
  for (const name of names) {
    if (name.includes('|') || find(name) !== null) continue
    const command = new AbsentCommand(name, null, below(name), ids)
    absent.set(name, command)
    for (const sub of command.subcommands?.values() ?? []) absent.set(sub.aclName, sub)
  }
  for (const name of names) {
    if (absent.has(name) || find(name) !== null) continue
    absent.set(name, new AbsentCommand(name, find(name.slice(0, name.indexOf('|'))), [], ids))
  }
  return absent
}
