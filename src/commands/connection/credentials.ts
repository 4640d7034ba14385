/**
 * Checking who a client is. There is one user, `default`, whose password is `requirepass`; without one any password does.
 * Source: Valkey src/acl.c `ACLAuthenticateUser`.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { WRONGPASS } from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import { ClientFlag } from '../session.ts'

export const DEFAULT_USER = 'default'

/** Logs the session in. @throws WRONGPASS */
export function authenticate(ctx: CommandContext, user: string, password: string): void {
  if (user !== DEFAULT_USER || !isPassword(ctx.server.password, password)) {
    ctx.server.stats.deniedLogins++
    throw WRONGPASS
  }
  ctx.session.user = DEFAULT_USER
  ctx.session.flags |= ClientFlag.Authenticated
}

/** Compares digests, so that the time taken tells nothing about the password. */
function isPassword(expected: string, given: string): boolean {
  return expected === '' || timingSafeEqual(digest(expected), digest(given))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest()
}
