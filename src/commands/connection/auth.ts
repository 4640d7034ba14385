/**
 * AUTH [username] password
 *
 * Reply: OK. Errors: WRONGPASS; one argument where no password is set; syntax.
 * Source: Valkey src/acl.c `authCommand`.
 */
import { DEFAULT_USER } from '../../access/users.ts'
import type { Args } from '../../resp/args.ts'
import { AUTH_WITHOUT_PASSWORD, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'
import { authenticate } from './credentials.ts'

export const auth = defineCommand({
  name: 'auth',
  summary: 'Logs the connection in.',
  group: 'connection',
  since: '1.0.0',
  complexity: 'O(1)',
  arity: -2,
  flags:
    CommandFlag.NoScript |
    CommandFlag.Loading |
    CommandFlag.Stale |
    CommandFlag.Fast |
    CommandFlag.NoAuth |
    CommandFlag.AllowBusy,
  categories: AclCategory.Connection,
  sensitiveArguments: authSecrets,
  handler: authHandler,
})

function authHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw SYNTAX_ERROR
  if (args.count === 2) {
    if (ctx.server.users.default.needsNoPassword) throw AUTH_WITHOUT_PASSWORD
    authenticate(ctx, args, DEFAULT_USER, 1)
  } else authenticate(ctx, args, args.text(1), 2)
  reply.ok()
}

function authSecrets(args: Args): number[] {
  return args.count === 2 ? [1] : [1, 2]
}
