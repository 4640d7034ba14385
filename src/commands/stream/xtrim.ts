/**
 * XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]
 *
 * Removes the oldest entries of a stream.
 *
 * Reply: integer, how many were removed. Errors: options, WRONGTYPE.
 * Source: Valkey src/t_stream.c `xtrimCommand`, src/commands/xtrim.json.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findStream } from './stream-access.ts'
import { TrimCaller, TrimOptions } from './trim-options.ts'

const options = new TrimOptions()

export const xtrim = defineCommand({
  name: 'xtrim',
  summary: 'Removes the oldest entries of a stream, down to a length or up to an ID.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(N) in the entries it removes; whole blocks of entries go at once.',
  arity: -4,
  flags: CommandFlag.Write,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'delete'),
  tips: ['nondeterministic_output'],
  handler: xtrimHandler,
})

function xtrimHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  options.parse(ctx, args, TrimCaller.Xtrim)
  const stream = findStream(ctx, args, 1)
  const removed = stream === null ? 0 : options.trim(stream)
  if (stream !== null && removed > 0) {
    ctx.changed(args, 1, Notify.Stream, 'xtrim')
    if (options.isApproximate) options.record(ctx, args, stream, null)
  }
  reply.integer(removed)
}
