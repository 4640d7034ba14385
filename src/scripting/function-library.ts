/**
 * What a library of functions is, and the first line of its source, which says its engine and its name:
 * `#!lua name=mylib`. Source: Redis src/functions.c `functionExtractLibMetaData`, `functionsVerifyName`.
 */
import { splitQuoted } from '../bytes/quoting.ts'
import type { LuaFunction } from './lua/value.ts'

/** A library or function that is refused; `message` is the error's text after `ERR `. */
export class FunctionError extends Error {}

export interface LibraryFunction {
  readonly name: string
  /** What was said about it when it was registered, or null. */
  readonly description: string | null
  /** Bits of ScriptFlag. */
  readonly flags: number
  readonly callback: LuaFunction
}

export interface FunctionLibrary {
  readonly name: string
  /** The source with its first line, as it was loaded. */
  readonly source: string
  /** Functions by their names, in the order in which they were registered. */
  readonly functions: ReadonlyMap<string, LibraryFunction>
}

/** What the first line of a library says. */
export interface LibraryHeader {
  /** As it was written; engines are told apart without regard to case. */
  readonly engine: string
  readonly name: string
  /** The code: the source without the first line, whose line break stays, so that line numbers hold. */
  readonly body: string
}

const ENGINE_START = '#!'
const NAME_START = 'name='

/** Reads the first line of a library. @throws FunctionError */
export function parseLibraryHeader(source: string): LibraryHeader {
  if (!source.startsWith(ENGINE_START)) throw new FunctionError('Missing library metadata')
  const end = source.indexOf('\n')
  const words = end < 0 || source.lastIndexOf('\0', end) >= 0 ? null : splitQuoted(source.slice(0, end))
  if (words === null || words[0] === undefined) throw new FunctionError('Invalid library metadata')
  let name: string | null = null
  for (const word of words.slice(1)) {
    if (word.slice(0, NAME_START.length).toLowerCase() !== NAME_START) {
      throw new FunctionError(`Invalid metadata value given: ${word}`)
    }
    if (name !== null) throw new FunctionError('Invalid metadata value, name argument was given multiple times')
    name = word.slice(NAME_START.length)
  }
  if (name === null) throw new FunctionError('Library name was not given')
  return { engine: words[0].slice(ENGINE_START.length), name, body: source.slice(end) }
}

/** Names of libraries, and of functions too, which have the same error. @throws FunctionError */
export function checkName(name: string): void {
  if (/^[A-Za-z0-9_]+$/.test(name)) return
  throw new FunctionError(
    'Library names can only contain letters, numbers, or underscores(_) and must be at least one character long',
  )
}
