/**
 * XLEN key
 *
 * Reply: integer, the number of entries; 0 for a missing key. Errors: WRONGTYPE.
 * Source: Valkey src/t_stream.c `xlenCommand`, src/commands/xlen.json.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { readStream } from './stream-access.ts'

export const xlen = defineCommand({
  name: 'xlen',
  summary: 'Returns the number of entries in a stream.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RO'),
  handler: xlenHandler,
})

function xlenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const stream = readStream(ctx, args, 1)
  reply.integer(stream === null ? 0 : stream.length)
}
