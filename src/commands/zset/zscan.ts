/**
 * ZSCAN key cursor [MATCH pattern] [COUNT count]
 *
 * Walks the members of a sorted set, with their scores, in several calls. A packed one is returned whole.
 *
 * Reply: the next cursor, 0 at the end, and an array of members (that match) and scores.
 * Errors: invalid cursor; WRONGTYPE; syntax (not for a missing key).
 * Source: Valkey src/t_zset.c `zscanCommand`, src/db.c `scanGenericCommand`.
 */
import { formatDouble17 } from '../../bytes/double.ts'
import type { Args } from '../../resp/args.ts'
import { doubleFormat, type ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { parseScanCursor, ScanOptions, ScanScope, scanBottom, scanTop } from '../scan-options.ts'
import { readZset } from './zset-access.ts'

export const zscan = defineCommand({
  name: 'zscan',
  summary: 'Walks the members and scores of a sorted set in several calls.',
  group: 'sorted-set',
  since: '2.8.0',
  complexity: 'O(1) for each call, O(N) for a whole walk, where N is the number of members.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.SortedSet,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: zscanHandler,
})

const options = new ScanOptions()
const member = new Element()

function zscanHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const cursor = parseScanCursor(args, 2)
  const zset = readZset(ctx, args, 1)
  const size = zset.size()
  if (size > 0) options.parse(args, 3, ScanScope.Collection)
  const isWhole = zset.big === null
  const top = isWhole ? size : scanTop(cursor, size)
  const bottom = isWhole ? 0 : scanBottom(top, options)
  reply.array(2)
  reply.bulkInteger(bottom)
  const format = doubleFormat(ctx.release)
  const mark = reply.begin()
  const members = zset.members
  if (size > 0) members.openForPicks(zset)
  let shown = 0
  for (let index = bottom; index < top; index++) {
    members.pick(index, member)
    if (options.pattern !== null && !options.matches(member.text())) continue
    replyElement(reply, member)
    // Scores are text here, also in RESP3; those of a big sorted set have 17 digits, as Redis prints a long double.
    reply.bulkText(isWhole ? format(members.score) : formatDouble17(members.score))
    shown++
  }
  reply.closeArray(mark, shown * 2)
}
