/** The commands of connections. SELECT is with the other commands about databases. */
import type { CommandDefinition } from '../define.ts'
import { auth } from './auth.ts'
import { client } from './client.ts'
import { hello } from './hello.ts'
import { echo, ping, quit } from './ping.ts'
import { reset } from './reset.ts'

export const connectionCommands: readonly CommandDefinition[] = [auth, client, echo, hello, ping, quit, reset]
