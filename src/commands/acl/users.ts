/**
 * ACL SETUSER user [rule ...] | DELUSER user ... | GETUSER user | LIST | USERS | WHOAMI
 *
 * Reply: SETUSER: OK; DELUSER: how many there were; GETUSER: map of flags, passwords (SHA-256) and the rules of each
 * selector, null for a user that does not exist; LIST: users as lines of a configuration; USERS, WHOAMI: names.
 * Errors: those of the rules (access/rules.ts); a name with blanks; deleting the default user.
 * Source: Valkey src/acl.c `aclCommand`.
 */
import { userLine } from '../../access/acl-file.ts'
import {
  describeChannels,
  describeCommands,
  describeKeys,
  isOneWord,
  RuleError,
  userFlags,
} from '../../access/rules.ts'
import type { Selector } from '../../access/selector.ts'
import { DEFAULT_USER } from '../../access/users.ts'
import type { Args } from '../../resp/args.ts'
import { DEFAULT_USER_STAYS, err, INVALID_USER_NAME } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { ALL_NODES, aclCommand, For } from './acl-command.ts'

export const setuser = aclCommand(For.Administrators, {
  name: 'setuser',
  summary: 'Creates a user, or changes what it may do.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of rules.',
  arity: -3,
  tips: ALL_NODES,
  sensitiveArguments: (args) => Array.from({ length: args.count - 2 }, (_, i) => i + 2),
  handler: setuserHandler,
})

export const deluser = aclCommand(For.Administrators, {
  name: 'deluser',
  summary: 'Deletes users, revokes their tokens and closes their connections.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of connections and tokens.',
  arity: -3,
  tips: ALL_NODES,
  handler: deluserHandler,
})

export const getuser = aclCommand(For.Administrators, {
  name: 'getuser',
  summary: 'Returns the rules of a user.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of rules that the user has.',
  arity: 3,
  handler: getuserHandler,
})

export const list = aclCommand(For.Administrators, {
  name: 'list',
  summary: 'Returns all users with their rules, as lines of a configuration.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of users.',
  arity: 2,
  handler: listHandler,
})

export const users = aclCommand(For.Administrators, {
  name: 'users',
  summary: 'Returns the names of all users.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of users.',
  arity: 2,
  handler: usersHandler,
})

export const whoami = aclCommand(For.Everybody, {
  name: 'whoami',
  summary: 'Returns the name of the user of this connection.',
  since: '6.0.0',
  complexity: 'O(1)',
  arity: 2,
  handler: (ctx, _args, reply) => reply.bulkText(ctx.session.user.name),
})

function setuserHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const name = args.text(2)
  if (!isOneWord(name)) throw INVALID_USER_NAME
  const rules: string[] = []
  for (let i = 3; i < args.count; i++) rules.push(args.text(i))
  try {
    ctx.server.users.set(name, rules)
  } catch (error) {
    if (error instanceof RuleError) throw err(error.message)
    throw error
  }
  reply.ok()
}

function deluserHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const names: string[] = []
  for (let i = 2; i < args.count; i++) names.push(args.text(i))
  if (names.includes(DEFAULT_USER)) throw DEFAULT_USER_STAYS
  reply.integer(names.filter((name) => ctx.server.users.delete(name)).length)
}

function getuserHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const user = ctx.server.users.find(args.text(2))
  if (user === null) {
    reply.nil()
    return
  }
  const [root, ...others] = user.selectors
  reply.map(6)
  reply.bulkText('flags')
  const flags = userFlags(user)
  reply.set(flags.length)
  for (const flag of flags) reply.bulkText(flag)
  reply.bulkText('passwords')
  reply.array(user.passwordHashes.length)
  for (const hash of user.passwordHashes) reply.bulkText(hash)
  replySelector(reply, root!)
  reply.bulkText('selectors')
  reply.array(others.length)
  for (const selector of others) {
    reply.map(3)
    replySelector(reply, selector)
  }
}

/** Three pairs of a map. */
function replySelector(reply: ReplySink, selector: Selector): void {
  reply.bulkText('commands')
  reply.bulkText(describeCommands(selector))
  reply.bulkText('keys')
  reply.bulkText(describeKeys(selector))
  reply.bulkText('channels')
  reply.bulkText(describeChannels(selector))
}

function listHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  reply.array(ctx.server.users.count)
  for (const user of ctx.server.users) reply.bulkText(userLine(user))
}

function usersHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  reply.array(ctx.server.users.count)
  for (const user of ctx.server.users) reply.bulkText(user.name)
}
