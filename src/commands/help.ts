/** The HELP subcommand of containers: usage lines as status replies. Source: Valkey src/networking.c addReplyHelp. */
import type { ReplySink } from '../resp/reply.ts'

/** Replies the help of a container (its name as the client gave it) with the lines of its subcommands. */
export function replyHelp(reply: ReplySink, container: string, lines: readonly string[]): void {
  reply.array(lines.length + 3)
  reply.status(`${container.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`)
  for (const line of lines) reply.status(line)
  reply.status('HELP')
  reply.status('    Print this help.')
}
