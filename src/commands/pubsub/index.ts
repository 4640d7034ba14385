/** The commands of publish and subscribe. */
import type { CommandDefinition } from '../define.ts'
import { publish, spublish } from './publish.ts'
import { pubsub } from './pubsub.ts'
import { subscribeCommands } from './subscribe.ts'

export const pubsubCommands: readonly CommandDefinition[] = [...subscribeCommands, publish, pubsub, spublish]
