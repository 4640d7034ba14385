/** ACL: the container of the commands about users, and its HELP. Source: Valkey src/acl.c `aclCommand`. */
import { subcommandSyntax } from '../../resp/errors.ts'
import { type CommandDefinition, defineCommand } from '../define.ts'
import { helpSubcommand } from '../help.ts'
import { load, save } from './file.ts'
import { log } from './log.ts'
import { cat, dryrun, genpass } from './permissions.ts'
import { resttoken, token } from './token.ts'
import { deluser, getuser, list, setuser, users, whoami } from './users.ts'

const HELP = [
  'CAT [<category>]',
  '    List the commands in <category>, or all categories.',
  'DELUSER <username> [<username> ...]',
  '    Delete users.',
  'DRYRUN <username> <command> [<arg> ...]',
  '    Tell whether a user may run a command, without running it.',
  'GETUSER <username>',
  '    Return the rules of a user.',
  'GENPASS [<bits>]',
  '    Return a random password, of 256 bits by default.',
  'LIST',
  '    Return all users with their rules.',
  'LOAD',
  '    Load the users from the ACL file.',
  'LOG [<count> | RESET]',
  '    Return the newest events that were denied, or forget them.',
  'RESTTOKEN <username> <password>',
  '    Issue a token of the HTTP doors.',
  'SAVE',
  '    Write the users to the ACL file.',
  'SETUSER <username> <attribute> [<attribute> ...]',
  '    Create or change a user.',
  'TOKEN CREATE <username> [NAME <name>] [EX <seconds>] [READONLY]',
  '    Issue a token of the HTTP doors.',
  'TOKEN LIST [<username>]',
  '    Return what is known about tokens.',
  'TOKEN REVOKE <id>',
  '    Make a token void.',
  'USERS',
  '    Return the names of all users.',
  'WHOAMI',
  '    Return the name of the user of this connection.',
]

const help = helpSubcommand({ group: 'server', since: '6.0.0', categories: 0, lines: HELP })

export const acl = defineCommand({
  name: 'acl',
  summary: 'A container for commands about users and their rights.',
  group: 'server',
  since: '6.0.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    cat,
    deluser,
    dryrun,
    genpass,
    getuser,
    help,
    list,
    load,
    log,
    resttoken,
    save,
    setuser,
    token,
    users,
    whoami,
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

export const aclCommands: readonly CommandDefinition[] = [acl]
