/**
 * REPLCONF [LISTENING-PORT port] [IP-ADDRESS ip] [CAPA capability] [RDB-ONLY 0 | 1] [RDB-FILTER-ONLY names] …
 * REPLCONF ACK offset [FACK offset] | GETACK *
 *
 * What a replica says of itself before it asks for data, and how far it has come afterwards. ACK: how much of the stream
 * it has executed; FACK: how much of it is in its append-only file. Capabilities that are not known are passed over.
 *
 * Reply: OK; none to ACK and GETACK. Errors: an option without a value, or unknown; values.
 * Source: Valkey 7.2 src/replication.c `replconfCommand`.
 */
import { splitQuoted } from '../../bytes/quoting.ts'
import { type PayloadContent, type Replica, ReplicaCapability } from '../../replication/replica.ts'
import type { Args } from '../../resp/args.ts'
import {
  MISSING_FILTER_VALUES,
  NUMLOCAL_OUT_OF_RANGE,
  replicaAddressTooLong,
  SYNTAX_ERROR,
  unknownReplconfOption,
  unsupportedFilter,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'
import { ClientFlag } from '../session.ts'

/** Longest address, in bytes (NET_HOST_STR_LEN). */
const ADDRESS_BYTES_MAX = 255

export const replconf = defineCommand({
  name: 'replconf',
  summary: 'Tells about a replica, and how far it has come. For replicas.',
  group: 'server',
  since: '3.0.0',
  complexity: 'O(1)',
  arity: -1,
  flags: CommandFlag.Admin | CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale | CommandFlag.AllowBusy,
  categories: 0,
  handler: replconfHandler,
})

function replconfHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count % 2 === 0) throw SYNTAX_ERROR
  for (let i = 1; i < args.count; i += 2) {
    if (args.is(i, 'ACK')) {
      acknowledge(ctx, args, i)
      return
    }
    if (args.is(i, 'GETACK')) {
      ctx.server.following.acknowledge()
      return
    }
    describe(ctx.server.replication.replicaOf(ctx.session), args, i)
  }
  reply.ok()
}

/** Nothing is ever answered: the connection carries the stream. */
function acknowledge(ctx: CommandContext, args: Args, i: number): void {
  if ((ctx.session.flags & ClientFlag.Replica) === 0) return
  const offset = offsetOf(args, i + 1)
  if (offset === null) return
  const hasAofOffset = args.count > i + 3 && args.is(i + 2, 'FACK')
  const aofOffset = hasAofOffset ? offsetOf(args, i + 3) : null
  if (hasAofOffset && aofOffset === null) return
  ctx.server.replication.acknowledge(ctx.session, offset, aofOffset)
}

function offsetOf(args: Args, i: number): number | null {
  const text = args.text(i)
  return /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : null
}

/** Takes over one pair of option and value. */
function describe(replica: Replica, args: Args, i: number): void {
  const value = i + 1
  if (args.is(i, 'LISTENING-PORT')) replica.listeningPort = args.integer(value)
  else if (args.is(i, 'IP-ADDRESS')) {
    const bytes = args.length(value)
    if (bytes > ADDRESS_BYTES_MAX) throw replicaAddressTooLong(bytes)
    replica.address = args.text(value)
  } else if (args.is(i, 'CAPA')) {
    if (args.is(value, 'EOF')) replica.capabilities |= ReplicaCapability.Eof
    else if (args.is(value, 'PSYNC2')) replica.capabilities |= ReplicaCapability.Psync2
  } else if (args.is(i, 'RDB-ONLY')) {
    const wanted = args.integer(value)
    if (wanted !== 0 && wanted !== 1) throw NUMLOCAL_OUT_OF_RANGE
    replica.isRdbOnly = wanted === 1
  } else if (args.is(i, 'RDB-FILTER-ONLY')) replica.content = contentOf(args.text(value))
  else throw unknownReplconfOption(args.text(i))
}

function contentOf(names: string): PayloadContent {
  const words = splitQuoted(names)
  if (words === null) throw MISSING_FILTER_VALUES
  for (const word of words) if (word.toLowerCase() !== 'functions') throw unsupportedFilter(word)
  return { hasData: false, hasFunctions: words.length > 0 }
}
