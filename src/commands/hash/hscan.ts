/**
 * HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]
 *
 * Walks the fields of a hash in several calls. A packed hash is returned whole.
 *
 * Reply: the next cursor, 0 at the end, and a flat array of fields and values (of fields that match); with NOVALUES (7.4)
 * of fields alone.
 * Errors: invalid cursor; WRONGTYPE; syntax (not for a missing key).
 * Source: Valkey src/t_hash.c `hscanCommand`, src/db.c `scanGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyElement } from '../reply-element.ts'
import { parseScanCursor, ScanOptions, ScanScope, scanBottom, scanTop } from '../scan-options.ts'
import { readHash } from './hash-access.ts'

export const hscan = defineCommand({
  name: 'hscan',
  summary: 'Walks the fields and values of a hash in several calls.',
  group: 'hash',
  since: '2.8.0',
  complexity: 'O(1) for each call, O(N) for a whole walk, where N is the number of fields.',
  arity: -3,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Hash,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: hscanHandler,
})

const options = new ScanOptions()
const field = new Element()
const value = new Element()

function hscanHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const cursor = parseScanCursor(args, 2)
  const hash = readHash(ctx, args, 1)
  const size = hash.size()
  if (size > 0) options.parse(args, 3, ScanScope.Fields)
  const { isWithoutValues } = options
  const isPacked = hash.dict === null
  const top = isPacked ? size : scanTop(cursor, size)
  const bottom = isPacked ? 0 : scanBottom(top, options)
  reply.array(2)
  reply.bulkInteger(bottom)
  const mark = reply.begin()
  const pairs = hash.walk()
  pairs.moveTo(bottom)
  pairs.endAt(top)
  let shown = 0
  while (pairs.advance(field, value)) {
    if (options.pattern !== null && !options.matches(field.text())) continue
    replyElement(reply, field)
    shown++
    if (isWithoutValues) continue
    replyElement(reply, value)
    shown++
  }
  reply.closeArray(mark, shown)
}
