/**
 * `millrace/client` as one ES module for browsers: its files one behind the other, without types and without the imports
 * between them. Made when it is first asked for.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { pathToFileURL } from 'node:url'
import { packageFile } from '../../files/package-files.ts'

const ENTRY = pathToFileURL(packageFile('src/client/index.ts'))
/** Imports and re-exports, which may go over several lines. */
const LINK = /^(?:import|export)\s+(type\s+)?(?:\{[^}]*\}|\*)\s*from\s*'(\.[^']+)'\n/gm
/** What the files export to each other. */
const EXPORTED = /^export (?=(?:abstract )?class |(?:async )?function |const )/gm

export interface ClientModule {
  readonly text: string
  readonly etag: string
}

let made: ClientModule | null = null

export function clientModule(): ClientModule {
  if (made === null) {
    const files = [...sources(ENTRY, new Map()).values()].join('\n').replace(EXPORTED, '')
    const text = `${stripTypeScriptTypes(files)}\nexport { ${exportedNames().join(', ')} }\n`
    made = { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` }
  }
  return made
}

/** What the entry exports that is no type. */
function exportedNames(): string[] {
  const values = [...readFileSync(ENTRY, 'utf8').matchAll(LINK)].filter(([, type]) => type === undefined)
  const names = values.flatMap(([link]) => link.slice(link.indexOf('{') + 1, link.indexOf('}')).split(','))
  return names.map((name) => name.trim()).filter((name) => name !== '' && !name.startsWith('type '))
}

/** The text of a file and of those that it imports, which come first. */
function sources(file: URL, found: Map<string, string>): Map<string, string> {
  if (found.has(file.href)) return found
  const text = readFileSync(file, 'utf8')
  for (const [, , name] of text.matchAll(LINK)) sources(new URL(name!, file), found)
  return found.set(file.href, text.replace(LINK, ''))
}
