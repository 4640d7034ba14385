/** Logging a session in. Source: Valkey src/acl.c `ACLAuthenticateUser`. */
import type { Args } from '../../resp/args.ts'
import { WRONGPASS } from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import { ClientFlag } from '../session.ts'

/** Makes the session one of the user with this name, if the argument is its password. @throws WRONGPASS */
export function authenticate(ctx: CommandContext, args: Args, name: string, passwordAt: number): void {
  const user = ctx.server.users.authenticate(name, args.text(passwordAt))
  if (user === null) {
    ctx.server.access.loginDenied(ctx.session, args.text(0), name)
    throw WRONGPASS
  }
  ctx.session.user = user
  ctx.session.flags |= ClientFlag.Authenticated
}
