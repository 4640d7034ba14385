/**
 * XGROUP CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]
 * XGROUP SETID key group <id | $> [ENTRIESREAD entries-read]
 * XGROUP DESTROY key group
 * XGROUP CREATECONSUMER key group consumer
 * XGROUP DELCONSUMER key group consumer
 * XGROUP HELP
 *
 * Errors, in this order: options, WRONGTYPE, missing key, NOGROUP (but for CREATE and DESTROY), argument count, ID,
 * BUSYGROUP.
 * Source: Valkey src/t_stream.c `xgroupCommand`, src/commands/xgroup-*.json.
 */
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { BUSYGROUP, ENTRIES_READ_NEGATIVE, noGroup, subcommandSyntax, XGROUP_KEY_MISSING } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { ConsumerGroup, ENTRIES_READ_UNKNOWN } from '../../structures/consumer-group.ts'
import { Kind } from '../../structures/kind.ts'
import { Stream } from '../../structures/stream.ts'
import { StreamId } from '../../structures/stream-id.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { replyHelp } from '../help.ts'
import { findGroup, findStream, parseCounter, parseId, parseIdOrEnd } from './stream-access.ts'
import { createConsumer, findConsumer } from './stream-effects.ts'

const DOLLAR = 36
const CREATE_ARGS_MAX = 8

const HELP = [
  'CREATE <key> <groupname> <id|$> [option]',
  '    Create a new consumer group. Options are:',
  '    * MKSTREAM',
  '      Create the empty stream if it does not exist.',
  '    * ENTRIESREAD entries_read',
  "      Set the group's entries_read counter (internal use).",
  'CREATECONSUMER <key> <groupname> <consumer>',
  '    Create a new consumer in the specified group.',
  'DELCONSUMER <key> <groupname> <consumer>',
  '    Remove the specified consumer.',
  'DESTROY <key> <groupname>',
  '    Remove the specified group.',
  'SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]',
  '    Set the current group ID and entries_read counter.',
]

/** Parsed options, reused by every call. */
const options = { isCreatingStream: false, entriesRead: ENTRIES_READ_UNKNOWN as number }
const id = new StreamId()

const create = defineCommand({
  name: 'create',
  summary: 'Creates a consumer group.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: -5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RW', 'insert'),
  handler: createHandler,
})

const setId = defineCommand({
  name: 'setid',
  summary: 'Sets the last delivered ID of a consumer group.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: -5,
  flags: CommandFlag.Write,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RW', 'update'),
  handler: setIdHandler,
})

const destroy = defineCommand({
  name: 'destroy',
  summary: 'Removes a consumer group with all that is pending in it.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: 4,
  flags: CommandFlag.Write,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RW', 'delete'),
  handler: destroyHandler,
})

const createConsumerCommand = defineCommand({
  name: 'createconsumer',
  summary: 'Creates a consumer in a consumer group.',
  group: 'stream',
  since: '6.2.0',
  complexity: 'O(log N) in the consumers of the group.',
  arity: 5,
  flags: CommandFlag.Write | CommandFlag.DenyOom,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RW', 'insert'),
  handler: createConsumerHandler,
})

const deleteConsumer = defineCommand({
  name: 'delconsumer',
  summary: 'Removes a consumer from its group, with all that is pending for it.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(M log N) for M entries that are pending for it, of N in the group.',
  arity: 5,
  flags: CommandFlag.Write,
  categories: AclCategory.Stream,
  keys: keyAt(2, 'RW', 'delete'),
  handler: deleteConsumerHandler,
})

const help = defineCommand({
  name: 'help',
  summary: 'Shows the subcommands of XGROUP.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'O(1)',
  arity: 2,
  flags: CommandFlag.Loading | CommandFlag.Stale,
  categories: AclCategory.Stream,
  handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
})

export const xgroup = defineCommand({
  name: 'xgroup',
  summary: 'Consumer groups: creating, changing and removing them and their consumers.',
  group: 'stream',
  since: '5.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [create, createConsumerCommand, deleteConsumer, destroy, help, setId],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function createHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseCreateOptions(args)
  let stream = findStream(ctx, args, 2)
  if (stream === null && !options.isCreatingStream) throw XGROUP_KEY_MISSING
  if (args.count > CREATE_ARGS_MAX) throw subcommandSyntax(args.text(1), args.text(0))
  if (!args.isByte(4, DOLLAR)) parseId(args, 4, id)
  else if (stream === null) id.setMin()
  else id.copy(stream.lastId)

  if (stream !== null && findGroup(stream, args, 3) !== null) throw BUSYGROUP
  const group = new ConsumerGroup(ctx.arena, args.text(3), id, options.entriesRead)
  if (stream === null) {
    stream = new Stream(ctx.arena)
    ctx.db.addObject(args, 2, Kind.Stream, stream)
    stream.addGroup(group)
    ctx.changed(args, 2, Notify.Stream, 'xgroup-create')
  } else {
    stream.addGroup(group)
    announce(ctx, args, 'xgroup-create')
  }
  reply.ok()
}

function setIdHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  parseSetIdOptions(args)
  const stream = streamOf(ctx, args)
  const group = groupOf(stream, args)
  // More than one ENTRIESREAD is refused only here, once key and group are known.
  if (args.count !== 5 && args.count !== 7) throw subcommandSyntax(args.text(1), args.text(0))
  if (args.isByte(4, DOLLAR)) id.copy(stream.lastId)
  else parseIdOrEnd(args, 4, id)
  group.lastId.copy(id)
  group.entriesRead = options.entriesRead
  announce(ctx, args, 'xgroup-setid')
  reply.ok()
}

function destroyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const stream = streamOf(ctx, args)
  const index = stream.groupIndex(args.buffer, args.start(3), args.length(3))
  if (index < 0) {
    reply.integer(0)
    return
  }
  stream.removeGroup(index)
  announce(ctx, args, 'xgroup-destroy')
  // Consumers that wait in XREADGROUP run it again and get NOGROUP.
  if (ctx.db.blocked.size > 0) {
    const key = args.text(2)
    if (ctx.db.blocked.has(key)) ctx.keyspace.ready(ctx.db, key)
  }
  reply.integer(1)
}

function createConsumerHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const group = groupOf(streamOf(ctx, args), args)
  if (findConsumer(group, args, 4) !== null) {
    reply.integer(0)
    return
  }
  createConsumer(ctx, args, 2, group, 4)
  reply.integer(1)
}

function deleteConsumerHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const group = groupOf(streamOf(ctx, args), args)
  const consumer = findConsumer(group, args, 4)
  if (consumer === null) {
    reply.integer(0)
    return
  }
  reply.integer(consumer.pending.size)
  group.removeConsumer(consumer)
  announce(ctx, args, 'xgroup-delconsumer')
}

/** Announces a change of the key's groups: its entries are the same, so neither WATCH nor readers hear of it. */
function announce(ctx: CommandContext, args: Args, event: string): void {
  ctx.markDirty(1)
  ctx.notify(args, 2, Notify.Stream, event)
}

function streamOf(ctx: CommandContext, args: Args): Stream {
  const stream = findStream(ctx, args, 2)
  if (stream === null) throw XGROUP_KEY_MISSING
  return stream
}

function groupOf(stream: Stream, args: Args): ConsumerGroup {
  const group = findGroup(stream, args, 3)
  if (group === null) throw noGroup(args.text(3), args.text(2))
  return group
}

function parseCreateOptions(args: Args): void {
  options.isCreatingStream = false
  options.entriesRead = ENTRIES_READ_UNKNOWN
  for (let i = 5; i < args.count; i++) {
    if (args.is(i, 'MKSTREAM')) options.isCreatingStream = true
    else i = parseEntriesRead(args, i)
  }
}

function parseSetIdOptions(args: Args): void {
  options.entriesRead = ENTRIES_READ_UNKNOWN
  for (let i = 5; i < args.count; i++) i = parseEntriesRead(args, i)
}

/** Returns the index of the option's value. */
function parseEntriesRead(args: Args, i: number): number {
  if (!args.is(i, 'ENTRIESREAD') || i + 1 >= args.count) throw subcommandSyntax(args.text(1), args.text(0))
  options.entriesRead = parseCounter(args, i + 1)
  if (options.entriesRead < 0 && options.entriesRead !== ENTRIES_READ_UNKNOWN) throw ENTRIES_READ_NEGATIVE
  return i + 1
}
