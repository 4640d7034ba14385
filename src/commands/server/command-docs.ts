/**
 * What COMMAND DOCS replies about a command: what its definition says, and its arguments.
 * Source: Valkey src/server.c `addReplyCommandDocs`.
 */
import type { ReplySink } from '../../resp/reply.ts'
import type { Command } from '../registry.ts'
import { type CommandArgument, parseSyntax } from './command-arguments.ts'
import { replyStatusSet } from './command-info.ts'
import { COMMAND_SYNTAX } from './command-syntax.ts'

/** Replies the documentation of a command, its subcommands included. */
export function replyCommandDocs(reply: ReplySink, command: Command): void {
  const { summary, since, group, complexity, deprecated } = command.definition
  const { subcommands } = command
  const syntax = COMMAND_SYNTAX[command.aclName]
  reply.map(4 + (deprecated === undefined ? 0 : 3) + (syntax === undefined ? 0 : 1) + (subcommands === null ? 0 : 1))
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
  if (syntax !== undefined) {
    reply.bulkText('arguments')
    new ArgumentWriter(reply, command.definition.keys?.length ?? 0).list(parseSyntax(syntax))
  }
  if (subcommands === null) return
  reply.bulkText('subcommands')
  reply.map(subcommands.size)
  for (const sub of subcommands.values()) {
    reply.bulkText(sub.fullName)
    replyCommandDocs(reply, sub)
  }
}

/** Writes the arguments of one command: keys count, each belongs to a key spec. */
class ArgumentWriter {
  private readonly reply: ReplySink
  private readonly specs: number
  private keys = 0

  constructor(reply: ReplySink, specs: number) {
    this.reply = reply
    this.specs = specs
  }

  list(parts: readonly CommandArgument[]): void {
    this.reply.array(parts.length)
    for (const part of parts) this.argument(part)
  }

  private argument({ name, type, token, isOptional, isMultiple, repeatsToken, parts }: CommandArgument): void {
    const { reply } = this
    const isComposite = type === 'oneof' || type === 'block'
    const isShown = !isComposite && type !== 'pure-token'
    const hasSpec = type === 'key' && this.specs > 0
    const flags = [
      ...(isOptional ? ['optional'] : []),
      ...(isMultiple ? ['multiple'] : []),
      ...(repeatsToken ? ['multiple_token'] : []),
    ]
    reply.map(2 + [isShown, hasSpec, token !== null, flags.length > 0, isComposite].filter((isThere) => isThere).length)
    replyPair(reply, 'name', name)
    replyPair(reply, 'type', type)
    if (isShown) replyPair(reply, 'display_text', name)
    if (hasSpec) {
      reply.bulkText('key_spec_index')
      reply.integer(Math.min(this.keys++, this.specs - 1))
    }
    if (token !== null) replyPair(reply, 'token', token)
    if (flags.length > 0) {
      reply.bulkText('flags')
      replyStatusSet(reply, flags)
    }
    if (!isComposite) return
    reply.bulkText('arguments')
    this.list(parts)
  }
}

function replyPair(reply: ReplySink, name: string, value: string): void {
  reply.bulkText(name)
  reply.bulkText(value)
}
