/**
 * ACL CAT [category] | DRYRUN user command [arg ...] | GENPASS [bits]
 *
 * Reply: CAT: names of categories, or of the commands in one; DRYRUN: OK, or why the user may not make the call;
 * GENPASS: hexadecimal digits. Errors: an unknown category, user or command; arity; a number of bits out of range.
 * Source: Valkey src/acl.c `aclCommand`.
 */
import { randomBytes } from 'node:crypto'
import type { Args } from '../../resp/args.ts'
import {
  commandNotFound,
  err,
  GENPASS_BITS,
  subcommandSyntax,
  unknownCategory,
  userNotFound,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CATEGORY_NAMES } from '../define.ts'
import type { Command } from '../registry.ts'
import { aclCommand, For } from './acl-command.ts'
import { authorize } from './authorize.ts'

const PASSWORD_BITS_DEFAULT = 256
const PASSWORD_BITS_MAX = 4096
const BITS_PER_DIGIT = 4

export const cat = aclCommand(For.Everybody, {
  name: 'cat',
  summary: 'Returns the categories of commands, or the commands in one.',
  since: '6.0.0',
  complexity: 'O(1)',
  arity: -2,
  handler: catHandler,
})

export const dryrun = aclCommand(For.Administrators, {
  name: 'dryrun',
  summary: 'Tells whether a user may run a command, without running it.',
  since: '7.0.0',
  complexity: 'O(1)',
  arity: -4,
  handler: dryrunHandler,
})

export const genpass = aclCommand(For.Everybody, {
  name: 'genpass',
  summary: 'Returns a random password.',
  since: '6.0.0',
  complexity: 'O(1)',
  arity: -2,
  handler: genpassHandler,
})

function catHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw subcommandSyntax(args.text(1), args.text(0))
  if (args.count === 2) {
    reply.array(CATEGORY_NAMES.length)
    for (const [, name] of CATEGORY_NAMES) reply.bulkText(name)
    return
  }
  const category = ctx.registry.category(args.text(2).toLowerCase())
  if (category === 0) throw unknownCategory(args.text(2))
  const names: string[] = []
  for (const command of ctx.registry.controlled()) {
    for (const each of [command, ...(command.subcommands?.values() ?? [])])
      if ((each.categories & category) !== 0) names.push(each.aclName)
  }
  reply.array(names.length)
  for (const name of names) reply.bulkText(name)
}

function dryrunHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const user = ctx.server.users.find(args.text(2))
  if (user === null) throw userNotFound(args.text(2))
  const call = args.from(3)
  const command = resolve(ctx, call)
  if (command === null) throw commandNotFound(args.text(3))
  if (!command.accepts(call.count)) throw err(`wrong number of arguments for '${command.fullName}' command`)
  const denial = authorize(user, command, call)
  if (denial === null) reply.ok()
  else reply.bulkText(denial.detail)
}

/** The command of a call with its subcommand, null when there is none. */
function resolve(ctx: CommandContext, call: Args): Command | null {
  const command = ctx.registry.find(call)
  if (command === null || command.subcommands === null || call.count < 2) return command
  return command.subcommands.get(call.text(1).toLowerCase()) ?? null
}

function genpassHandler(_ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw subcommandSyntax(args.text(1), args.text(0))
  const bits = args.count === 3 ? args.integer(2) : PASSWORD_BITS_DEFAULT
  if (bits <= 0 || bits > PASSWORD_BITS_MAX) throw GENPASS_BITS
  const digits = Math.ceil(bits / BITS_PER_DIGIT)
  reply.bulkText(
    randomBytes(Math.ceil(digits / 2))
      .toString('hex')
      .slice(0, digits),
  )
}
