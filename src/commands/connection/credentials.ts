/** Logging a session in. Source: Valkey src/acl.c `ACLAuthenticateUser`. */
import { WRONGPASS } from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import { ClientFlag } from '../session.ts'

/** Makes the session one of this user. @throws WRONGPASS */
export function authenticate(ctx: CommandContext, name: string, password: string): void {
  const user = ctx.server.users.authenticate(name, password)
  if (user === null) {
    ctx.server.stats.deniedLogins++
    throw WRONGPASS
  }
  ctx.session.user = user
  ctx.session.flags |= ClientFlag.Authenticated
}
