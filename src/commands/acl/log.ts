/**
 * ACL LOG [count | RESET]
 *
 * Reply: entries, newest first (10 by default), each a map; RESET: OK. Errors: a count that is no integer.
 * Source: Valkey src/acl.c `aclCommand`.
 */
import type { AccessLogEntry } from '../../access/log.ts'
import type { Args } from '../../resp/args.ts'
import { subcommandSyntax } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { aclCommand, For } from './acl-command.ts'

const COUNT_DEFAULT = 10

export const log = aclCommand(For.Administrators, {
  name: 'log',
  summary: 'Returns the newest events that were denied, or forgets them.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of entries that are replied.',
  arity: -2,
  handler: logHandler,
})

function logHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw subcommandSyntax(args.text(1), args.text(0))
  const { accessLog } = ctx.server
  if (args.count === 3 && args.is(2, 'RESET')) {
    accessLog.reset()
    reply.ok()
    return
  }
  const count = args.count === 3 ? args.integer(2) : COUNT_DEFAULT
  const entries = accessLog.latest(Math.max(0, count))
  reply.array(entries.length)
  for (const entry of entries) replyEntry(ctx, reply, entry)
}

function replyEntry(ctx: CommandContext, reply: ReplySink, entry: AccessLogEntry): void {
  reply.map(10)
  reply.bulkText('count')
  reply.integer(entry.count)
  reply.bulkText('reason')
  reply.bulkText(entry.reason)
  reply.bulkText('context')
  reply.bulkText(entry.context)
  reply.bulkText('object')
  reply.bulkText(entry.object)
  reply.bulkText('username')
  reply.bulkText(entry.userName)
  reply.bulkText('age-seconds')
  reply.double((ctx.now - entry.updatedMs) / 1000)
  reply.bulkText('client-info')
  reply.bulkText(entry.clientInfo)
  reply.bulkText('entry-id')
  reply.integer(entry.id)
  reply.bulkText('timestamp-created')
  reply.integer(entry.createdMs)
  reply.bulkText('timestamp-last-updated')
  reply.integer(entry.updatedMs)
}
