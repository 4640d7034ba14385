/**
 * What COMMAND DOCS replies about a command: what its definition says. Source: Valkey src/server.c `addReplyCommandDocs`.
 */
import type { ReplySink } from '../../resp/reply.ts'
import type { Command } from '../registry.ts'
import { replyStatusSet } from './command-info.ts'

/** Replies the documentation of a command, its subcommands included. */
export function replyCommandDocs(reply: ReplySink, command: Command): void {
  const { summary, since, group, complexity, deprecated } = command.definition
  const { subcommands } = command
  reply.map(4 + (deprecated === undefined ? 0 : 3) + (subcommands === null ? 0 : 1))
  replyPair(reply, 'summary', summary)
  replyPair(reply, 'since', since)
  replyPair(reply, 'group', group)
  replyPair(reply, 'complexity', complexity)
  if (deprecated !== undefined) {
    reply.bulkText('doc_flags')
    replyStatusSet(reply, ['deprecated'])
    replyPair(reply, 'deprecated_since', deprecated.since)
    replyPair(reply, 'replaced_by', deprecated.replacedBy)
  }
  if (subcommands === null) return
  reply.bulkText('subcommands')
  reply.map(subcommands.size)
  for (const sub of subcommands.values()) {
    reply.bulkText(sub.fullName)
    replyCommandDocs(reply, sub)
  }
}

function replyPair(reply: ReplySink, name: string, value: string): void {
  reply.bulkText(name)
  reply.bulkText(value)
}
