/** The HELP subcommand of containers: usage lines as status replies. Source: Valkey src/networking.c addReplyHelp. */
import type { ReplySink } from '../resp/reply.ts'
import { type CommandDefinition, CommandFlag, defineCommand } from './define.ts'

/** The subcommand HELP of a container, which replies these lines. */
export function helpSubcommand({
  group,
  since,
  categories,
  lines,
}: Pick<CommandDefinition, 'group' | 'since' | 'categories'> & {
  readonly lines: readonly string[]
}): CommandDefinition {
  return defineCommand({
    name: 'help',
    summary: 'Returns a description of the subcommands.',
    group,
    since,
    complexity: 'O(1)',
    arity: 2,
    flags: CommandFlag.Loading | CommandFlag.Stale,
    categories,
    handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), lines),
  })
}

/** Replies the help of a container (its name as the client gave it) with the lines of its subcommands. */
export function replyHelp(reply: ReplySink, container: string, lines: readonly string[]): void {
  reply.array(lines.length + 3)
  reply.status(`${container.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`)
  for (const line of lines) reply.status(line)
  reply.status('HELP')
  reply.status('    Print this help.')
}
