/**
 * XACK key group id [id ...]
 *
 * Removes entries from the pending entries list (PEL) of the group and of the consumer that owns each.
 *
 * Reply: integer, how many of the IDs were pending. Errors: WRONGTYPE, then invalid ID.
 * Source: Valkey src/t_stream.c `xackCommand`, src/commands/xack.json. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findGroup, IdList, parseId, readStream } from './stream-access.ts'

const ids = new IdList()
const id = new StreamId()

export const xack = defineCommand({
  name: 'xack',
  summary: 'Acknowledges pending entries of a consumer group.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(log N) for each ID in a list of N pending entries.',
  arity: -4,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update'),
  handler: xackHandler,
})

function xackHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const stream = readStream(ctx, args, 1)
  const group = stream === null ? null : findGroup(stream, args, 2)
  // A missing key or group is 0 here, not -NOGROUP as in XCLAIM, and it is decided before the IDs are read: even
  // malformed IDs get 0.
  if (group === null) {
    reply.integer(0)
    return
  }
  // All IDs are parsed before one is acknowledged: an error must leave the PEL untouched.
  ids.clear()
  for (let i = 3; i < args.count; i++) {
    parseId(args, i, id)
    ids.push(id)
  }
  let acknowledged = 0
  for (let i = 0; i < ids.count; i++) {
    ids.get(i, id)
    if (group.pending.acknowledge(id)) acknowledged++
  }
  if (acknowledged > 0) ctx.markDirty(acknowledged)
  reply.integer(acknowledged)
}
