/**
 * The house keeps its order: a room imports only from itself and from rooms below (docs/ARCHITECTURE.md), there are no
 * import cycles, and nobody switches the type checker off.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const SRC = join(ROOT, 'src')

/** Rooms from the ground up; those of one row do not import each other's values unless listed in ROW_FRIENDS. */
const ROWS: readonly (readonly string[])[] = [
  ['bytes', 'client', 'files'],
  ['config'],
  ['storage'],
  ['resp', 'transport'],
  ['structures'],
  ['keyspace'],
  ['observe'],
  ['access', 'scripting', 'persistence', 'pubsub', 'replication'],
  ['commands'],
  ['server'],
  ['gateway'],
  ['library', 'tools'],
  ['standalone'],
  ['boot', 'index.ts'],
]

interface Import {
  readonly from: string
  readonly to: string
  /** Erased at run time. */
  readonly isType: boolean
}

function sourceFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  const imports: Import[] = []
  for (const match of text.matchAll(
    /^\s*(?:import|export)\s+(type\s+)?(\{[^}]*\}|[^'"{]*?)?\s*(?:from\s+)?['"](\.[^'"]+)['"]/gm,
  )) {
    const names = (match[2] ?? '').replace(/[{}\s]+/g, ' ').trim()
    const allTypes =
      names !== '' && names.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '))
    imports.push({ from: file, to: resolve(dirname(file), match[3]!), isType: match[1] !== undefined || allTypes })
  }
  for (const match of text.matchAll(/\bimport\(\s*['"](\.[^'"]+)['"]\s*\)/g)) {
    imports.push({ from: file, to: resolve(dirname(file), match[1]!), isType: false })
  }
  return imports
}

function roomOf(file: string): string {
  return relative(SRC, file).split(sep)[0]!
}

function rowOf(room: string): number {
  const row = ROWS.findIndex((rooms) => rooms.includes(room))
  if (row < 0) throw new Error(`Room ${room} stands in no row: add it to ROWS and to docs/ARCHITECTURE.md`)
  return row
}

const imports = sourceFiles(SRC).flatMap(importsOf)

describe('imports', () => {
  test('point downwards', () => {
    const upwards = imports.filter(({ from, to }) => {
      const [a, b] = [roomOf(from), roomOf(to)]
      return a !== b && rowOf(b) >= rowOf(a)
    })
    expect(upwards.map(({ from, to }) => `${relative(SRC, from)} → ${relative(SRC, to)}`)).toEqual([])
  })

  test('make no cycle', () => {
    const targets = new Map<string, string[]>()
    for (const { from, to, isType } of imports) {
      if (isType) continue
      targets.set(from, [...(targets.get(from) ?? []), to])
    }
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].map((f) => relative(SRC, f)).join(' → '))
        return
      }
      if (done.has(file)) return
      for (const target of targets.get(file) ?? []) visit(target, [...path, file])
      done.add(file)
    }
    for (const file of targets.keys()) visit(file, [])
    expect(cycles).toEqual([])
  })

  test('from outside src go to the library entry only', () => {
    const outside = ['workers', 'examples'].flatMap((room) => sourceFiles(join(ROOT, room)).flatMap(importsOf))
    const deep = outside.filter(({ to }) => to.startsWith(SRC) && to !== join(SRC, 'index.ts'))
    expect(deep.map(({ from, to }) => `${relative(ROOT, from)} → ${relative(SRC, to)}`)).toEqual([])
  })
})

test('no source switches the type checker off', () => {
  const offenders = ['src', 'workers', 'examples', 'bench'].flatMap((room) =>
    sourceFiles(join(ROOT, room)).filter((file) =>
      /@ts-(ignore|nocheck|expect-error)|:\s*any\b|\bas any\b/.test(stripComments(readFileSync(file, 'utf8'))),
    ),
  )
  expect(offenders.map((file) => relative(ROOT, file))).toEqual([])
})

/** Comments may speak of "any"; directives to the checker are comments too and stay. */
function stripComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/(?! @ts).*$/gm, '')
}
