/** The docs say what is true: generated pages are up to date, definitions are complete, nothing is left unsaid. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { compatibilityPage } from '../../docs/generate-compatibility.ts'
import type { CommandDefinition } from '../../src/commands/define.ts'
import { commandFamilies } from '../../src/commands/index.ts'
import { FURTHER_COMMANDS, REDIS_COMMANDS } from '../../src/commands/redis-commands.ts'
import { EffectKind } from '../../src/config/directive.ts'
import { directives } from '../../src/config/directives.ts'
import { knownDifferences } from '../differential/known-differences.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

function textsIn(folder: string, without: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !without.test(file))
    .map((file) => readFileSync(file, 'utf8'))
}

function page(name: string): string {
  return readFileSync(join(ROOT, 'docs', name), 'utf8')
}

/** All definitions with their full names. */
function definitions(): [string, CommandDefinition][] {
  return commandFamilies
    .flat()
    .flatMap((definition): [string, CommandDefinition][] => [
      [definition.name, definition],
      ...(definition.subcommands ?? []).map((sub): [string, CommandDefinition] => [
        `${definition.name}|${sub.name}`,
        sub,
      ]),
    ])
}

describe('docs/COMPATIBILITY.md', () => {
  test('is what the registry, the directives and the template generate', () => {
    // Only the lines that differ: the page is long.
    const generated = compatibilityPage().split('\n')
    const committed = page('COMPATIBILITY.md').split('\n')
    const outdated = committed.filter((line) => !generated.includes(line))
    const missing = generated.filter((line) => !committed.includes(line))
    expect({ outdated, missing }, 'run node docs/generate-compatibility.ts').toEqual({ outdated: [], missing: [] })
    expect(committed.length).toBe(generated.length)
  })

  test('names every known difference', () => {
    const text = page('COMPATIBILITY.md')
    expect(knownDifferences.map(({ title }) => title).filter((title) => !text.includes(title))).toEqual([])
  })
})

describe('every command', () => {
  test('has a summary, a version, a complexity and a group', () => {
    const incomplete = definitions().filter(
      ([, { summary, since, complexity, group }]) =>
        !/^[A-Z].*\.$/.test(summary) || !/^\d+\.\d+\.\d+$/.test(since) || complexity === '' || group === undefined,
    )
    expect(incomplete.map(([name]) => name)).toEqual([])
  })

  test('is one of Redis 7.2, in the same group, or listed as a further one', () => {
    const groups = new Map<string, string>()
    for (const [group, names] of [...Object.entries(REDIS_COMMANDS), ...Object.entries(FURTHER_COMMANDS)]) {
      for (const name of names.trim().split(/\s+/)) groups.set(name, group)
    }
    const others = definitions().filter(([name, { group }]) => groups.get(name) !== group)
    expect(others.map(([name, { group }]) => `${name}: ${group}`)).toEqual([])
  })

  test('is mentioned in a test', () => {
    const tests = textsIn('test', /known-differences|\/tidy\//).join('\n')
    const untested = commandFamilies.flat().filter(({ name }) => !new RegExp(`\\b${name}\\b`, 'i').test(tests))
    expect(untested.map(({ name }) => name)).toEqual([])
  })
})

test('every directive that is said to have an effect is read', () => {
  const sources = textsIn('src', /\/config\/directives\//).join('\n')
  const unread = Object.entries(directives).filter(
    ([name, { effect }]) => effect.kind === EffectKind.Effective && !sources.includes(`'${name}'`),
  )
  expect(unread.map(([name]) => name)).toEqual([])
})

test('docs/ARCHITECTURE.md names every room of the house', () => {
  const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  for (const { name } of rooms) expect(page('ARCHITECTURE.md')).toContain(`${name}/`)
})
