/**
 * ACL RESTTOKEN user password
 * ACL TOKEN CREATE user [NAME name] [EX seconds] [READONLY] | LIST [user] | REVOKE id
 *
 * Tokens of the HTTP doors. Redis has none; RESTTOKEN is Upstash's.
 *
 * Reply: RESTTOKEN: a token that stands for the user; CREATE: map of ID and token; LIST: maps, without what makes a token
 * valid; REVOKE: 1, or 0 when there is none. Errors: a wrong user or password; syntax; too many tokens; the file of
 * tokens cannot be written.
 * Source: Upstash Redis documentation, "REST API", "Rest Token ACL".
 */
import { type Token, TokenFileError, type TokenOptions, TooManyTokensError } from '../../access/tokens.ts'
import type { Args } from '../../resp/args.ts'
import {
  err,
  INVALID_TOKEN_NAME,
  invalidExpireTime,
  SYNTAX_ERROR,
  userNotFound,
  wrongTokenUser,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { aclCommand, For } from './acl-command.ts'

const NAME_BYTES_MAX = 256
/** A hundred years, in seconds: what is added to the time stays a safe integer. */
const EXPIRE_SECONDS_MAX = 3_155_760_000

export const resttoken = aclCommand(For.Administrators, {
  name: 'resttoken',
  summary: 'Issues a token of the HTTP doors for a user who proves to be that by its password.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of tokens.',
  arity: 4,
  sensitiveArguments: () => [2, 3],
  handler: resttokenHandler,
})

export const token = aclCommand(For.Administrators, {
  name: 'token',
  summary: 'Issues, lists and revokes tokens of the HTTP doors.',
  since: '7.2.0',
  complexity: 'O(N), N being the number of tokens.',
  arity: -3,
  handler: tokenHandler,
})

function resttokenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const name = args.text(2)
  const user = ctx.server.users.authenticate(name, args.text(3))
  if (user === null) {
    ctx.server.access.loginDenied(ctx.session, args.text(0), name)
    throw wrongTokenUser(name)
  }
  reply.bulkText(issue(ctx, user.name, { name: '', expiresMs: null, isReadOnly: false }).token)
}

function tokenHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.is(2, 'CREATE') && args.count >= 4) create(ctx, args, reply)
  else if (args.is(2, 'LIST') && args.count <= 4) listTokens(ctx, args, reply)
  else if (args.is(2, 'REVOKE') && args.count === 4) revoke(ctx, args, reply)
  else throw SYNTAX_ERROR
}

function create(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const options = parseOptions(ctx, args)
  const user = ctx.server.users.find(args.text(3))
  if (user === null) throw userNotFound(args.text(3))
  const issued = issue(ctx, user.name, options)
  reply.map(2)
  reply.bulkText('id')
  reply.bulkText(issued.id)
  reply.bulkText('token')
  reply.bulkText(issued.token)
}

/** @throws SYNTAX_ERROR, an invalid expire time, INVALID_TOKEN_NAME */
function parseOptions(ctx: CommandContext, args: Args): TokenOptions {
  let name = ''
  let expiresMs: number | null = null
  let isReadOnly = false
  for (let i = 4; i < args.count; i++) {
    const hasValue = i + 1 < args.count
    if (args.is(i, 'READONLY')) isReadOnly = true
    else if (args.is(i, 'NAME') && hasValue) name = args.text(++i)
    else if (args.is(i, 'EX') && hasValue) {
      const invalid = invalidExpireTime('acl|token')
      expiresMs = ctx.now + 1000 * args.integerIn(++i, 1, EXPIRE_SECONDS_MAX, invalid)
    } else throw SYNTAX_ERROR
  }
  if (name.length > NAME_BYTES_MAX) throw INVALID_TOKEN_NAME
  return { name, expiresMs, isReadOnly }
}

function issue(
  ctx: CommandContext,
  userName: string,
  options: TokenOptions,
): { readonly id: string; readonly token: string } {
  return orError(() => ctx.server.tokens.issue(userName, options, ctx.now))
}

function listTokens(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const tokens = ctx.server.tokens.list(args.count === 4 ? args.text(3) : null)
  reply.array(tokens.length)
  for (const each of tokens) replyToken(reply, each)
}

function replyToken(reply: ReplySink, { id, userName, name, isReadOnly, createdMs, expiresMs }: Token): void {
  reply.map(6)
  reply.bulkText('id')
  reply.bulkText(id)
  reply.bulkText('user')
  reply.bulkText(userName)
  reply.bulkText('name')
  reply.bulkText(name)
  reply.bulkText('readonly')
  reply.integer(isReadOnly ? 1 : 0)
  reply.bulkText('created')
  reply.integer(createdMs)
  reply.bulkText('expires')
  if (expiresMs === null) reply.nil()
  else reply.integer(expiresMs)
}

function revoke(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isRevoked = orError(() => ctx.server.tokens.revoke(args.text(3)))
  reply.integer(isRevoked ? 1 : 0)
}

/** What cannot be done for want of room or a disk is the client's to know. */
function orError<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof TokenFileError || error instanceof TooManyTokensError) throw err(error.message)
    throw error
  }
}
