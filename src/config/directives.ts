/**
 * The table of all directives: the only source for reading redis.conf, CONFIG GET, SET and REWRITE, and for
 * docs/CONFIGURATION.md. It knows every directive of Redis 7.2 (Valkey src/config.c `static_configs`), so that any
 * redis.conf can be read. Whether a directive does something is said by its `effect`.
 *
 * When a feature is built, change the `effect` of its directives; when you add a directive, also run
 * `node docs/generate-configuration.ts`.
 */
import type { Directive } from './directive.ts'
import { clusterDirectives } from './directives/cluster.ts'
import { gatewayDirectives } from './directives/gateway.ts'
import { memoryDirectives } from './directives/memory.ts'
import { networkDirectives } from './directives/network.ts'
import { operationDirectives } from './directives/operation.ts'
import { persistenceDirectives } from './directives/persistence.ts'
import { replicationDirectives } from './directives/replication.ts'
import { securityDirectives } from './directives/security.ts'

/** All directives by their names, in the order of CONFIG GET and CONFIG REWRITE. */
export const directives = {
  ...networkDirectives,
  ...persistenceDirectives,
  ...memoryDirectives,
  ...securityDirectives,
  ...operationDirectives,
  ...replicationDirectives,
  ...clusterDirectives,
  ...gatewayDirectives,
}

type Table = typeof directives

/** The name of a directive; aliases are not among them. */
export type DirectiveName = keyof Table

/** The type of the value of a directive. */
export type ValueOf<Name extends DirectiveName> = Table[Name]['initial']

/** The names of directives whose value is assignable to `V`. */
export type NameFor<V> = { [Name in DirectiveName]: ValueOf<Name> extends V ? Name : never }[DirectiveName]

/** A directive found by one of its names. */
export interface DirectiveEntry {
  /** The name it was found by, in lower case: its own or an alias. */
  readonly entryName: string
  readonly name: DirectiveName
  readonly directive: Directive<unknown>
}

function isDirectiveName(name: string): name is DirectiveName {
  return Object.hasOwn(directives, name)
}

/** Every name with its directive, an alias right behind the name it stands for. */
export const directiveEntries: readonly DirectiveEntry[] = Object.keys(directives)
  .filter(isDirectiveName)
  .flatMap((name) => {
    const directive: Directive<unknown> = directives[name]
    const names = directive.alias === null ? [name] : [name, directive.alias]
    return names.map((entryName) => ({ entryName, name, directive }))
  })

const byName: ReadonlyMap<string, DirectiveEntry> = new Map(directiveEntries.map((entry) => [entry.entryName, entry]))

/** Finds a directive by its name or alias, in any case; `null` if there is none. */
export function findDirective(name: string): DirectiveEntry | null {
  return byName.get(name.toLowerCase()) ?? null
}
