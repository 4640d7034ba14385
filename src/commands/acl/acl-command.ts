/** What the subcommands of ACL have in common. */
import type { Args } from '../../resp/args.ts'
import { type CommandDefinition, CommandFlag, defineCommand, type Handler } from '../define.ts'

const FLAGS = CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale

/** Whom a subcommand is for. */
export const For = { Everybody: 0, Administrators: 1 } as const
export type For = (typeof For)[keyof typeof For]

interface Details {
  readonly name: string
  readonly summary: string
  readonly since: string
  readonly complexity: string
  readonly arity: number
  readonly tips?: readonly string[]
  readonly sensitiveArguments?: (args: Args) => number[]
  readonly handler: Handler
}

export const ALL_NODES = ['request_policy:all_nodes', 'response_policy:all_succeeded']

export function aclCommand(users: For, details: Details): CommandDefinition {
  const flags = users === For.Administrators ? FLAGS | CommandFlag.Admin : FLAGS
  return defineCommand({ group: 'server', flags, categories: 0, ...details })
}
