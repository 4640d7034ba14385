/**
 * What the server does about rights besides checking them: counts and logs what was denied (ACL LOG), and sees to it that
 * nobody goes on with rights that a user has lost. Cold.
 */
import type { AccessEvent, AccessLog } from '../access/log.ts'
import { TokenFileError, type Tokens } from '../access/tokens.ts'
import type { User } from '../access/user.ts'
import type { Users } from '../access/users.ts'
import { clientInfo } from '../commands/connection/client-info.ts'
import { AccessContext, type AccessControl } from '../commands/context.ts'
import { ClientFlag, type Session } from '../commands/session.ts'
import type { Log } from '../observe/log.ts'
import type { ServerStats } from '../observe/stats.ts'
import { type AccessDenied, DenialReason } from '../resp/errors.ts'
import type { Client } from './client.ts'

/** How ACL LOG names what was denied, by DenialReason. */
const DENIAL_NAMES = ['command', 'key', 'channel'] as const

/** What the watch needs of the server. */
export interface AccessWatchHost {
  readonly users: Users
  readonly tokens: Tokens
  readonly accessLog: AccessLog
  readonly stats: ServerStats
  readonly log: Log
  readonly keyspace: { readonly now: number }
  sessions(): IterableIterator<Client>
  closeClient(client: Client): void
}

export class AccessWatch implements AccessControl {
  private readonly host: AccessWatchHost

  constructor(host: AccessWatchHost) {
    this.host = host
  }

  denied(client: Session, denial: AccessDenied, context: AccessContext): void {
    const { stats } = this.host
    if (denial.reason === DenialReason.Command) stats.deniedCommands++
    else if (denial.reason === DenialReason.Key) stats.deniedKeys++
    else stats.deniedChannels++
    const { object } = denial
    this.note(client, { reason: DENIAL_NAMES[denial.reason], context, object, userName: client.user.name })
  }

  loginDenied(client: Session, object: string, userName: string): void {
    this.host.stats.deniedLogins++
    const context = (client.flags & ClientFlag.Multi) === 0 ? AccessContext.TopLevel : AccessContext.Multi
    this.note(client, { reason: 'auth', context, object, userName })
  }

  private note(client: Session, event: Omit<AccessEvent, 'clientInfo'>): void {
    const { accessLog, keyspace } = this.host
    accessLog.add({ ...event, clientInfo: clientInfo(client, keyspace.now) }, keyspace.now)
  }

  /** The tokens of a user who is gone are void. */
  revokeTokens(user: User): void {
    try {
      this.host.tokens.revokeUser(user.name)
    } catch (error) {
      if (!(error instanceof TokenFileError)) throw error
      this.host.log.warning(error.message)
    }
  }

  /** Closes all connections of a user. */
  closeClientsOf(user: User): void {
    for (const client of [...this.host.sessions()]) {
      if (client.user.name !== user.name) continue
      // The one that is running is closed after its reply; it must do nothing more until then.
      client.user = this.host.users.default
      client.flags &= ~ClientFlag.Authenticated
      this.host.closeClient(client)
    }
  }

  /** Those who listen to what their user must not hear any more are closed. */
  closeStrayListeners(user: User): void {
    for (const client of [...this.host.sessions()]) {
      if (client.user.name === user.name && client.isSubscribed && !mayListen(client)) this.host.closeClient(client)
    }
  }
}

/** Whether a client's user may use all that the client has subscribed to. */
function mayListen({ user, channels, patterns, shardChannels }: Client): boolean {
  for (const pattern of patterns) if (!user.mayUsePattern(pattern)) return false
  for (const channel of channels) if (!user.mayUseChannel(channel)) return false
  for (const channel of shardChannels) if (!user.mayUseChannel(channel)) return false
  return true
}
