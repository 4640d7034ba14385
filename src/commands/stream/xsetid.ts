/**
 * XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
 *
 * Sets what a stream knows besides its entries; used when a stream is rebuilt.
 *
 * Reply: OK. Errors: ID, options, missing key, WRONGTYPE, then values that contradict the entries; in this order.
 * Source: Valkey src/t_stream.c `xsetidCommand`, src/commands/xsetid.json.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import {
  ENTRIES_ADDED_BELOW_LENGTH,
  ENTRIES_ADDED_NEGATIVE,
  NO_SUCH_KEY,
  SYNTAX_ERROR,
  XSETID_BELOW_DELETED,
  XSETID_BELOW_GIVEN_DELETED,
  XSETID_BELOW_TOP,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { findStream, parseCounter, parseId } from './stream-access.ts'

const NOT_GIVEN = -1

const lastId = new StreamId()
const maxDeletedId = new StreamId()
const newest = new StreamId()

export const xsetid = defineCommand({
  name: 'xsetid',
  summary: 'Sets the last ID of a stream, and its counters.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: -3,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.Fast,
  categories: AclCategory.Stream,
  keys: keyAt(1, 'RW', 'update'),
  handler: xsetidHandler,
})

function xsetidHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const entriesAdded = parseArguments(args)
  const stream = findStream(ctx, args, 1)
  if (stream === null) throw NO_SUCH_KEY
  if (lastId.compare(stream.maxDeletedId) < 0) throw XSETID_BELOW_DELETED
  if (stream.newestEntryId(newest)) {
    if (lastId.compare(newest) < 0) throw XSETID_BELOW_TOP
    if (entriesAdded !== NOT_GIVEN && stream.length > entriesAdded) throw ENTRIES_ADDED_BELOW_LENGTH
  }
  stream.lastId.copy(lastId)
  if (entriesAdded !== NOT_GIVEN) stream.entriesAdded = entriesAdded
  if (!maxDeletedId.isMin()) stream.maxDeletedId.copy(maxDeletedId)
  ctx.markDirty(1)
  ctx.notify(args, 1, Notify.Stream, 'xsetid')
  reply.ok()
}

/** Reads both IDs; returns the number of entries, or NOT_GIVEN. */
function parseArguments(args: Args): number {
  let entriesAdded: number = NOT_GIVEN
  maxDeletedId.setMin()
  parseId(args, 2, lastId)
  for (let i = 3; i < args.count; i += 2) {
    if (i + 1 < args.count && args.is(i, 'ENTRIESADDED')) {
      entriesAdded = parseCounter(args, i + 1)
      if (entriesAdded < 0) throw ENTRIES_ADDED_NEGATIVE
    } else if (i + 1 < args.count && args.is(i, 'MAXDELETEDID')) {
      parseId(args, i + 1, maxDeletedId)
      if (lastId.compare(maxDeletedId) < 0) throw XSETID_BELOW_GIVEN_DELETED
    } else {
      throw SYNTAX_ERROR
    }
  }
  return entriesAdded
}
