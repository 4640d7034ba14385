/**
 * CLIENT ID | GETNAME | SETNAME name | SETINFO LIB-NAME|LIB-VER text | REPLY ON|OFF|SKIP | NO-EVICT ON|OFF |
 * NO-TOUCH ON|OFF | HELP, and the container with the subcommands of the other files.
 *
 * Reply: the ID; the name or null; OK; REPLY OFF and SKIP have none. Errors: invalid names, syntax.
 * Source: Valkey src/networking.c `clientCommand`, `clientSetinfoCommand`.
 */
import type { Args } from '../../resp/args.ts'
import {
  INVALID_CLIENT_NAME,
  invalidClientAttribute,
  SYNTAX_ERROR,
  subcommandSyntax,
  unrecognizedOption,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, type CommandDefinition, CommandFlag, defineCommand, type Handler } from '../define.ts'
import { replyHelp } from '../help.ts'
import { ClientFlag } from '../session.ts'
import { isClientAttribute } from './client-attribute.ts'
import { clientKill, clientUnblock } from './client-kill.ts'
import { clientInfoCommand, clientList } from './client-list.ts'
import { clientPause, clientUnpause } from './client-pause.ts'
import { clientCaching, clientGetredir, clientTracking, clientTrackinginfo } from './client-tracking.ts'

const HELP = [
  'CACHING (YES|NO)',
  '    Say whether keys of the next command are cached, with OPTIN or OPTOUT.',
  'GETREDIR',
  '    Return the ID of the connection that is told of changes instead of this one.',
  'GETNAME',
  '    Return the name of this connection.',
  'ID',
  '    Return the ID of this connection.',
  'INFO',
  '    Return what is known about this connection.',
  'KILL <ip:port>',
  '    Close the connection from <ip:port>.',
  'KILL <option> <value> [<option> <value> [...]]',
  '    Close all connections that match. Options are:',
  '    * ADDR (<ip:port>|<unixsocket>:0)',
  '      Connections from this address.',
  '    * LADDR (<ip:port>|<unixsocket>:0)',
  '      Connections to this address of the server.',
  '    * ID <client-id>',
  '      The connection with this ID.',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Connections of this type.',
  '    * USER <username>',
  '      Connections of this user.',
  '    * SKIPME (YES|NO)',
  '      Leave this connection open (default: yes).',
  'LIST [options ...]',
  '    Return what is known about connections. Options are:',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Connections of this type.',
  '    * ID <client-id> [<client-id> ...]',
  '      Connections with these IDs.',
  'UNPAUSE',
  '    End a pause.',
  'PAUSE <timeout> [WRITE|ALL]',
  '    Let all commands, or those that write, wait for <timeout> milliseconds.',
  'REPLY (ON|OFF|SKIP)',
  '    Say which replies this connection wants.',
  'SETNAME <name>',
  '    Name this connection.',
  'SETINFO <option> <value>',
  '    Tell about the client. Options are:',
  '    * LIB-NAME: name of its library.',
  '    * LIB-VER: version of its library.',
  'TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]',
  '         [OPTIN] [OPTOUT] [NOLOOP]',
  '    Say whether this connection is told when keys change that it has read.',
  'TRACKINGINFO',
  '    Return what this connection is told of.',
  'UNBLOCK <clientid> [TIMEOUT|ERROR]',
  '    Wake a client that waits in a blocking command.',
  'NO-EVICT (ON|OFF)',
  '    Keep this connection when memory for clients runs out.',
  'NO-TOUCH (ON|OFF)',
  '    Leave access times of keys as they are.',
]

const FLAGS = CommandFlag.NoScript | CommandFlag.Loading | CommandFlag.Stale

interface Details {
  readonly name: string
  readonly summary: string
  readonly since: string
  readonly arity: number
  readonly flags?: number
  readonly tips?: readonly string[]
  readonly handler: Handler
}

/** The subcommands of this file have these in common. */
function simple(details: Details): CommandDefinition {
  return defineCommand({
    group: 'connection',
    complexity: 'O(1)',
    flags: FLAGS,
    categories: AclCategory.Connection,
    ...details,
  })
}

const ALL_NODES = ['request_policy:all_nodes', 'response_policy:all_succeeded']

export const client = defineCommand({
  name: 'client',
  summary: 'A container for commands about connections.',
  group: 'connection',
  since: '2.4.0',
  complexity: 'Depends on subcommand.',
  arity: -2,
  flags: 0,
  categories: 0,
  subcommands: [
    clientCaching,
    simple({
      name: 'getname',
      summary: 'Returns the name of this connection.',
      since: '2.6.9',
      arity: 2,
      handler: getnameHandler,
    }),
    clientGetredir,
    simple({
      name: 'help',
      summary: 'Returns a description of the subcommands.',
      since: '5.0.0',
      arity: 2,
      flags: CommandFlag.Loading | CommandFlag.Stale,
      handler: (_ctx, args, reply) => replyHelp(reply, args.text(0), HELP),
    }),
    simple({
      name: 'id',
      summary: 'Returns the ID of this connection.',
      since: '5.0.0',
      arity: 2,
      handler: (ctx, _args, reply) => reply.integer(ctx.session.id),
    }),
    clientInfoCommand,
    clientKill,
    clientList,
    simple({
      name: 'no-evict',
      summary: 'Says whether this connection may be closed when memory for clients runs out.',
      since: '7.0.0',
      arity: 3,
      flags: FLAGS | CommandFlag.Admin,
      handler: (ctx, args, reply) => switchMode(ctx, args, reply, ClientFlag.NoEvict),
    }),
    simple({
      name: 'no-touch',
      summary: 'Says whether commands of this connection renew access times of keys.',
      since: '7.2.0',
      arity: 3,
      handler: (ctx, args, reply) => switchMode(ctx, args, reply, ClientFlag.NoTouch),
    }),
    clientPause,
    simple({
      name: 'reply',
      summary: 'Says which replies this connection wants.',
      since: '3.2.0',
      arity: 3,
      handler: replyHandler,
    }),
    simple({
      name: 'setinfo',
      summary: 'Takes what the client says about its library.',
      since: '7.2.0',
      arity: 4,
      tips: ALL_NODES,
      handler: setinfoHandler,
    }),
    simple({
      name: 'setname',
      summary: 'Names this connection.',
      since: '2.6.9',
      arity: 3,
      tips: ALL_NODES,
      handler: setnameHandler,
    }),
    clientTracking,
    clientTrackinginfo,
    clientUnblock,
    clientUnpause,
  ],
  handler: (_ctx, args) => {
    throw subcommandSyntax(args.text(1), args.text(0))
  },
})

function getnameHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  if (ctx.session.name === '') reply.nil()
  else reply.bulkText(ctx.session.name)
}

function setnameHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const name = args.text(2)
  if (!isClientAttribute(name)) throw INVALID_CLIENT_NAME
  ctx.session.name = name
  reply.ok()
}

function setinfoHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isName = args.is(2, 'LIB-NAME')
  if (!isName && !args.is(2, 'LIB-VER')) throw unrecognizedOption(args.text(2))
  const value = args.text(3)
  if (!isClientAttribute(value)) throw invalidClientAttribute(args.text(2))
  if (isName) ctx.session.libName = value
  else ctx.session.libVersion = value
  reply.ok()
}

function replyHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const { session } = ctx
  if (args.is(2, 'ON')) {
    session.flags &= ~(ClientFlag.ReplyOff | ClientFlag.ReplySkip)
    reply.ok()
  } else if (args.is(2, 'OFF')) session.flags |= ClientFlag.ReplyOff
  else if (!args.is(2, 'SKIP')) throw SYNTAX_ERROR
  else if ((session.flags & ClientFlag.ReplyOff) === 0) session.flags |= ClientFlag.ReplySkipNext
}

function switchMode(ctx: CommandContext, args: Args, reply: ReplySink, flag: number): void {
  if (args.is(2, 'ON')) ctx.session.flags |= flag
  else if (args.is(2, 'OFF')) ctx.session.flags &= ~flag
  else throw SYNTAX_ERROR
  reply.ok()
}
