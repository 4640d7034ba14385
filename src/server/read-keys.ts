/**
 * The keys that a command has read, remembered for a client that caches them. Hot path: rememberKeys, while such clients
 * are there.
 */
import { keyArguments } from '../commands/key-extraction.ts'
import { Command } from '../commands/registry.ts'
import { ClientFlag } from '../commands/session.ts'
import type { Tracking } from '../pubsub/tracking.ts'
import type { Args } from '../resp/args.ts'
import type { ReplyError } from '../resp/errors.ts'
import type { Client } from './client.ts'

/** After a command has read, or has failed to: also what is no value may be cached. */
export function rememberKeys(tracking: Tracking, client: Client, command: Command, args: Args): void {
  if (!tracking.remembers(client)) return
  if (command.soleKey > 0) {
    remember(tracking, client, args, command.soleKey)
    return
  }
  for (const { index } of keyArguments(command, args) ?? []) remember(tracking, client, args, index)
}

function remember(tracking: Tracking, client: Client, args: Args, i: number): void {
  tracking.remember(client, args.buffer, args.start(i), args.length(i))
}

/**
 * What CLIENT CACHING has said is for the next command or transaction: it is over unless that is still under way.
 * Source: Valkey src/networking.c `resetClient`.
 */
export function endCaching(client: Client, command: Command | ReplyError): void {
  if ((client.flags & (ClientFlag.Multi | ClientFlag.Blocked)) !== 0) return
  if (command instanceof Command && command.container?.aclName === 'client') return
  client.tracking!.isCachingGiven = false
}
