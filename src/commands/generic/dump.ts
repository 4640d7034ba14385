/**
 * DUMP key
 *
 * Returns the value of a key in the format of RDB files, for RESTORE here or on a Redis. The version is `rdb-version`.
 *
 * Reply: bulk string; null when the key is missing. Errors: the version has no type for streams.
 * Source: Valkey src/cluster.c `dumpCommand`.
 */
import { DumpCompression, DumpWriter } from '../../persistence/rdb/dump.ts'
import { SnapshotError } from '../../persistence/snapshot-format.ts'
import type { Args } from '../../resp/args.ts'
import { cannotDump } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'

/** Handlers are synchronous: one writer is enough, made anew for another version or another server in the process. */
let writer: DumpWriter | null = null

export const dump = defineCommand({
  name: 'dump',
  summary: 'Returns the serialized representation of the value of a key.',
  group: 'generic',
  since: '2.6.0',
  complexity: 'O(N) for the N bytes of the value.',
  arity: 2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Keyspace,
  tips: ['nondeterministic_output'],
  keys: keyAt(1),
  handler: dumpHandler,
})

function dumpHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const row = ctx.db.read(args, 1)
  if (row === NO_ROW) {
    reply.nil()
    return
  }
  const payload = dumpRow(ctx, row)
  reply.bulk(payload.bytes, 0, payload.length)
  payload.release()
}

/** Makes the payload of the value of a row; the caller releases it. @throws what `cannotDump` makes */
export function dumpRow(ctx: CommandContext, row: number): DumpWriter {
  const version = ctx.config.number('rdb-version')
  if (writer === null || writer.version !== version || writer.arena !== ctx.arena) {
    writer = new DumpWriter(ctx.arena, version)
  }
  try {
    writer.write(ctx.db, row, ctx.config.bool('rdbcompression') ? DumpCompression.Lzf : DumpCompression.None)
  } catch (error) {
    if (error instanceof SnapshotError) throw cannotDump(error.message)
    throw error
  }
  return writer
}
