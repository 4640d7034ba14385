/**
 * XDEL key id [id ...]
 *
 * Deletes entries of a stream.
 *
 * Reply: integer, how many existed. Errors: WRONGTYPE, then invalid ID (a missing key is 0 whatever the IDs are).
 * Source: Valkey src/t_stream.c `xdelCommand`, src/commands/xdel.json.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findStream, IdList, parseId } from './stream-access.ts'

const ids = new IdList()
const id = new StreamId()

export const xdel = defineCommand({
  name: 'xdel',
  summary: 'Deletes entries of a stream by ID.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1) for each ID, whatever the size of the stream.',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'delete'),
  handler: xdelHandler,
})

function xdelHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const stream = findStream(ctx, args, 1)
  if (stream === null) {
    reply.integer(0)
    return
  }
  ids.clear()
  for (let i = 2; i < args.count; i++) {
    parseId(args, i, id)
    ids.push(id)
  }
  let deleted = 0
  let isFirstDeleted = false
  for (let i = 0; i < ids.count; i++) {
    ids.get(i, id)
    if (!stream.delete(id)) continue
    if (id.equals(stream.firstId)) isFirstDeleted = true
    deleted++
  }
  if (deleted > 0) {
    if (isFirstDeleted || stream.length === 0) stream.updateFirstId()
    ctx.changed(args, 1, Notify.Stream, 'xdel')
  }
  reply.integer(deleted)
}
