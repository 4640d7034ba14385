/**
 * SSCAN key cursor [MATCH pattern] [COUNT count]
 *
 * Walks the members of a set in several calls. An intset or packed set is returned whole.
 *
 * Reply: the next cursor, 0 at the end, and an array of members (that match).
 * Errors: invalid cursor; WRONGTYPE; syntax (not for a missing key).
 * Source: Valkey src/t_set.c `sscanCommand`, src/db.c `scanGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { parseScanCursor, ScanOptions, ScanScope, scanBottom, scanTop } from '../scan-options.ts'
import { readSet } from './set-access.ts'

export const sscan = defineCommand({
  name: 'sscan',
  summary: 'Walks the members of a set in several calls.',
  group: 'set',
  since: '2.8.0',
  complexity: 'O(1) for each call, O(N) for a whole walk, where N is the number of members.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: sscanHandler,
})

const options = new ScanOptions()
const member = new Element()

function sscanHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const cursor = parseScanCursor(args, 2)
  const set = readSet(ctx, args, 1)
  const size = set.size()
  if (size > 0) options.parse(args, 3, ScanScope.Collection)
  const isWhole = set.dict === null
  const top = isWhole ? size : scanTop(cursor, size)
  const bottom = isWhole ? 0 : scanBottom(top, options)
  reply.array(2)
  reply.bulkInteger(bottom)
  const mark = reply.begin()
  const members = set.walk()
  members.moveTo(bottom)
  let shown = 0
  for (let row = bottom; row < top; row++) {
    members.advance(member)
    if (options.pattern !== null && !options.matches(member.text())) continue
    replyElement(reply, member)
    shown++
  }
  reply.closeArray(mark, shown)
}
