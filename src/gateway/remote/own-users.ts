/**
 * Users and tokens of a gateway whose data is elsewhere, and ACL, the command about them.
 *
 * They come from the configuration of the gateway, as those of a broker do, and are kept by a server without data and without
 * doors: nothing but ACL is ever run there. So its users are the same objects, with the same rules, files and errors.
 */
import type { User } from '../../access/user.ts'
import type { AccessContext } from '../../commands/context.ts'
import type { Config } from '../../config/config.ts'
import type { Log } from '../../observe/log.ts'
import type { AccessDenied } from '../../resp/errors.ts'
import type { Client } from '../../server/client.ts'
import { InProcess, refuseNothing } from '../../server/in-process.ts'
import { Server, SYSTEM_CLOCK } from '../../server/server.ts'
import { loadUsers } from '../../server/users.ts'
import type { CallDecode, CommandWords, ReplyValue } from '../engine.ts'

export class OwnUsers {
  readonly server: Server
  /** Stands for clients that are nobody yet. */
  private readonly anybody: Client

  /** @throws ConfigError, AclFileError, TokenFileError */
  constructor(config: Config, log: Log) {
    this.server = new Server({ config, log, clock: SYSTEM_CLOCK })
    this.anybody = this.server.createInternalClient(0)
    loadUsers(this.server.users, config, log)
  }

  /** Runs an ACL command. @throws CommandError */
  call(user: User, words: CommandWords, decode: CallDecode): Promise<ReplyValue> {
    const door = new InProcess(this.server, { respVersion: 2, user })
    const reply = new Promise<ReplyValue>((resolve, reject) => {
      door.enqueue({ args: words, decode, refuse: refuseNothing, isCancelled: false, done: resolve, failed: reject })
    })
    return reply.finally(() => door.destroy())
  }

  /** Notes wrong credentials, as AUTH does. */
  loginDenied(userName: string): void {
    this.server.access.loginDenied(this.anybody, 'HTTP', userName)
  }

  /** Notes a call that was refused: counted, and in ACL LOG. */
  accessDenied(user: User, denial: AccessDenied, context: AccessContext): void {
    const client = this.server.createInternalClient(0)
    client.user = user
    this.server.access.denied(client, denial, context)
  }

  close(): void {
    this.server.close()
  }
}
