/**
 * Writes docs/COMPATIBILITY.md: `node docs/generate-compatibility.ts`.
 *
 * The prose is in compatibility.template.md; its `{{names}}` are replaced by what is made here from the registry of
 * commands, the table of directives and constants of the code, so that none of it is written twice.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { CATEGORY_NAMES, FLAG_NAMES } from '../src/commands/define.ts'
import { commandFamilies } from '../src/commands/index.ts'
import { REDIS_COMMANDS } from '../src/commands/redis-commands.ts'
import { type Command, Registry } from '../src/commands/registry.ts'
import { EffectKind } from '../src/config/directive.ts'
import { directives } from '../src/config/directives.ts'
import { REDIS_VERSION } from '../src/config/version.ts'
import { ARGUMENTS_MAX, INLINE_BYTES_MAX } from '../src/resp/decoder.ts'
import { NESTING_MAX } from '../src/scripting/lua/lib-arguments.ts'
import { LARGE_MIN_BYTES } from '../src/storage/arena.ts'

const TITLES: Readonly<Record<string, string>> = {
  generic: 'Keys',
  string: 'Strings',
  hash: 'Hashes',
  list: 'Lists',
  set: 'Sets',
  'sorted-set': 'Sorted sets',
  stream: 'Streams',
  pubsub: 'Publish and subscribe',
  transactions: 'Transactions',
  scripting: 'Scripts and functions',
  connection: 'Connections',
  server: 'Server',
  bitmap: 'Bitmaps',
  hyperloglog: 'HyperLogLog',
  geo: 'Geo',
  cluster: 'Cluster',
  sentinel: 'Sentinel',
}

function namesOf(group: string): string[] {
  return REDIS_COMMANDS[group]!.trim().split(/\s+/)
}

/** A name as people write it: `XGROUP CREATE`. */
function shown(fullName: string): string {
  return `\`${fullName.replace('|', ' ').toUpperCase()}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

/** The words for the bits that are set. */
function words(bits: number, names: readonly (readonly [number, string])[]): string {
  return names
    .filter(([bit]) => (bits & bit) !== 0)
    .map(([, name]) => name)
    .join(', ')
}

/** All commands that can be called: a container stands for its subcommands. */
function callable(registry: Registry): Command[] {
  return [...registry.all()]
    .flatMap((command) => (command.subcommands === null ? [command] : [command, ...command.subcommands.values()]))
    .sort((a, b) => (a.fullName < b.fullName ? -1 : 1))
}

function isBareContainer(command: Command): boolean {
  return command.subcommands !== null && command.fullName !== 'command'
}

function commandRow(command: Command): string {
  const { since, complexity, deprecated } = command.definition
  const note =
    deprecated === undefined ? '' : `<br>deprecated since ${deprecated.since}: use ${cell(deprecated.replacedBy)}`
  const columns = [
    shown(command.fullName) + note,
    since,
    String(command.arity),
    words(command.flags, FLAG_NAMES),
    words(command.categories, CATEGORY_NAMES),
    cell(complexity),
  ]
  return `| ${columns.join(' | ')} |\n`
}

function commandTables(commands: readonly Command[]): string {
  let text = ''
  for (const [group, title] of Object.entries(TITLES)) {
    const rows = commands.filter((command) => command.definition.group === group && !isBareContainer(command))
    if (rows.length === 0) continue
    text += `### ${title}\n\n`
    text += '| Command | Since | Arity | Flags | ACL categories | Complexity |\n| --- | --- | --- | --- | --- | --- |\n'
    text += `${rows.map(commandRow).join('')}\n`
  }
  return text.trimEnd()
}

/** Names that are missing; a container of which all is missing is one entry: `ACL` (CAT, DELUSER …). */
function missingNames(group: string, known: ReadonlySet<string>): string[] {
  const missing = namesOf(group).filter((name) => !known.has(name))
  const gone = new Set(missing)
  const below = (container: string): string[] =>
    missing.filter((name) => name.startsWith(`${container}|`)).map((name) => name.split('|')[1]!.toUpperCase())
  return missing
    .filter((name) => !gone.has(name.split('|')[0]!) || !name.includes('|'))
    .map((name) => (below(name).length === 0 ? shown(name) : `${shown(name)} (${below(name).join(', ')})`))
}

function missingTable(commands: readonly Command[]): string {
  const known = new Set(commands.map((command) => command.fullName))
  let text = '| Group | Commands |\n| --- | --- |\n'
  for (const [group, title] of Object.entries(TITLES)) {
    const missing = missingNames(group, known)
    if (missing.length > 0) text += `| ${title} | ${missing.join(', ')} |\n`
  }
  return text.trimEnd()
}

/** How many of Redis' commands are there, as `193 of 379`; subcommands count, containers do not. */
function countText(commands: readonly Command[]): string {
  const known = new Set(commands.map((command) => command.fullName))
  const all = Object.keys(TITLES).flatMap(namesOf)
  const containers = new Set(all.filter((name) => name.includes('|')).map((name) => name.split('|')[0]!))
  const counted = all.filter((name) => name === 'command' || !containers.has(name))
  return `${counted.filter((name) => known.has(name)).length} of ${counted.length}`
}

/** Directives of one effect, those with the same reason in one line. */
function directiveList(kind: number, isFatal: boolean): string {
  const byReason = new Map<string, string[]>()
  for (const [name, { effect }] of Object.entries(directives)) {
    if (effect.kind !== kind || effect.isFatal !== isFatal) continue
    byReason.set(effect.reason, [...(byReason.get(effect.reason) ?? []), `\`${name}\``])
  }
  return [...byReason].map(([reason, names]) => `- ${names.join(', ')}: ${reason}`).join('\n')
}

function defaultsList(): string {
  return Object.entries(directives)
    .filter(([, directive]) => directive.differsFromRedis !== null)
    .map(([name, { initial, differsFromRedis }]) => {
      const text = Array.isArray(initial) ? initial.join(' ') : initial === true ? 'yes' : String(initial)
      return `- \`${name} ${text}\`: ${differsFromRedis}.`
    })
    .join('\n')
}

/** The content of docs/COMPATIBILITY.md. */
export function compatibilityPage(): string {
  const commands = callable(new Registry(commandFamilies))
  const parts: Readonly<Record<string, string>> = {
    version: REDIS_VERSION,
    count: countText(commands),
    commands: commandTables(commands),
    missing: missingTable(commands),
    inert: directiveList(EffectKind.Inert, false),
    warned: directiveList(EffectKind.Later, false),
    refused: directiveList(EffectKind.Later, true),
    defaults: defaultsList(),
    argumentsMax: ARGUMENTS_MAX.toLocaleString('en'),
    inlineKib: String(INLINE_BYTES_MAX / 1024),
    largeKib: String(LARGE_MIN_BYTES / 1024),
    luaNesting: NESTING_MAX.toLocaleString('en'),
  }
  const template = readFileSync(new URL('compatibility.template.md', import.meta.url), 'utf8')
  return template.replace(/\{\{(\w+)\}\}/g, (_match, name: string) => {
    const part = parts[name]
    if (part === undefined) throw new Error(`The template names {{${name}}}, which is not made here`)
    return part
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('COMPATIBILITY.md', import.meta.url), compatibilityPage())
}
