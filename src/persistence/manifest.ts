/**
 * The manifest of a multi-part append-only file: which files make up the log, in order.
 *
 * One line a file, `file NAME seq N type b|h|i`. The base (b) is loaded first, then the incremental files (i) by sequence
 * number; the last one is appended to. History files (h) are no longer needed and about to be removed. A manifest is never
 * changed: each step makes a new one, which is used once it is on the disk.
 *
 *     appendonly.aof.2.base.rdb  b      names: appendfilename . sequence . base|incr . format
 *     appendonly.aof.1.base.rdb  h
 *     appendonly.aof.1.incr.aof  h
 *     appendonly.aof.2.incr.aof  i
 *
 * A changed bit in a type would leave out a file that counts, and have it removed, or have an old one loaded again. A
 * manifest is refused that no rewrite can have left (`withFile`, `historyProblem`).
 *
 * Names are byte strings. Source: Valkey 7.2 src/aof.c aofLoadManifestFromFile, getAofManifestAsString.
 */
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { quote, splitQuoted } from '../bytes/quoting.ts'
import { decodePath } from '../config/path-text.ts'
import { systemErrorText } from '../config/system-error.ts'
import { type Files, SYSTEM_FILES } from '../files/files.ts'
import { type Replacement, type ReplaceOptions, replaceFile, replaceFileLater } from '../files/replace-file.ts'

export interface ManifestFile {
  readonly name: string
  readonly sequence: number
  /** b base, i incremental, h history (no longer needed). */
  readonly type: 'b' | 'i' | 'h'
}

export interface Manifest {
  readonly base: ManifestFile | null
  /** In ascending order of their sequence numbers. */
  readonly incremental: readonly ManifestFile[]
  /** What is to be removed, newest first. */
  readonly history: readonly ManifestFile[]
  /** The highest sequence numbers that were given to files. */
  readonly baseSequence: number
  readonly incrementalSequence: number
}

export const EMPTY_MANIFEST: Manifest = {
  base: null,
  incremental: [],
  history: [],
  baseSequence: 0,
  incrementalSequence: 0,
}

/** Longest line that Redis reads, with its end. */
const LINE_BYTES_MAX = 1024
const FILE_MODE = 0o644

/** A manifest that cannot be used; the message names file and line. */
export class ManifestError extends Error {}

/** The file name of the manifest of the log with this base name (`appendfilename`). */
export function manifestName(fileName: string): string {
  return `${fileName}.manifest`
}

/** Reads a manifest; null when the file does not exist. @throws ManifestError for anything malformed */
export function readManifest(path: string): Manifest | null {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw new ManifestError(`Cannot read the AOF manifest ${path}: ${systemErrorText(error)}`)
  }
  return parseManifest(text, path)
}

/** @throws ManifestError, which names `path` */
export function parseManifest(text: string, path: string): Manifest {
  if (text === '') throw new ManifestError(`Found an empty AOF manifest: ${path}`)
  const lines = text.split('\n')
  const hasEnd = lines.at(-1) === ''
  if (hasEnd) lines.pop()
  let manifest = EMPTY_MANIFEST
  lines.forEach((line, index) => {
    if (line.startsWith('#')) return
    const isLast = index === lines.length - 1
    const problem = (isLast && !hasEnd) || line.length >= LINE_BYTES_MAX ? TOO_LONG : null
    const parsed = problem ?? parseLine(line)
    const next = typeof parsed === 'string' ? parsed : withFile(manifest, parsed)
    if (typeof next === 'string') {
      throw new ManifestError(`Reading the manifest file ${path}, at line ${index + 1}: ${next} >>> '${line.trim()}'`)
    }
    manifest = next
  })
  const problem = historyProblem(manifest)
  if (problem !== null) throw new ManifestError(`Reading the manifest file ${path}: ${problem}`)
  return manifest
}

/** The text of a manifest: base, history, incremental files. */
export function manifestText({ base, history, incremental }: Manifest): string {
  const files = base === null ? [...history, ...incremental] : [base, ...history, ...incremental]
  return files.map((file) => `file ${quoteName(file.name)} seq ${file.sequence} type ${file.type}\n`).join('')
}

/**
 * Writes a manifest in place of the old one.
 * @throws NotDurableError when it is in place, but may not outlive a power cut; anything else: the old one is there
 */
export function writeManifest(path: string, manifest: Manifest, files: Files = SYSTEM_FILES): void {
  replaceFile(path, bytesOf(manifest), optionsFor(path, files))
}

/** As `writeManifest`; what it would throw later is told to `done`. @throws the system's error */
export function writeManifestLater(
  path: string,
  manifest: Manifest,
  files: Files,
  done: (error: Error | null) => void,
): Replacement {
  return replaceFileLater(path, bytesOf(manifest), optionsFor(path, files), done)
}

function bytesOf(manifest: Manifest): Buffer {
  return Buffer.from(manifestText(manifest), 'latin1')
}

function optionsFor(path: string, files: Files): Required<ReplaceOptions> {
  return { mode: FILE_MODE, temporary: join(dirname(path), `temp-${basename(path)}`), files }
}

/** With a new base file of this format; the base that it replaces is history. */
export function withNewBase(manifest: Manifest, fileName: string, format: 'rdb' | 'aof'): Manifest {
  const sequence = freeSequence(manifest, manifest.baseSequence, (n) => `${fileName}.${n}.base.${format}`)
  const base: ManifestFile = { name: `${fileName}.${sequence}.base.${format}`, sequence, type: 'b' }
  const history = manifest.base === null ? manifest.history : [asHistory(manifest.base), ...manifest.history]
  return { ...manifest, base, history, baseSequence: sequence }
}

/** With a further incremental file, to which the log goes on. */
export function withNewIncremental(manifest: Manifest, fileName: string): Manifest {
  const sequence = freeSequence(manifest, manifest.incrementalSequence, (n) => `${fileName}.${n}.incr.aof`)
  const file: ManifestFile = { name: `${fileName}.${sequence}.incr.aof`, sequence, type: 'i' }
  return { ...manifest, incremental: [...manifest.incremental, file], incrementalSequence: sequence }
}

/** All incremental files but the last `keptCount` are history: the base holds what they hold. */
export function withIncrementalAsHistory(manifest: Manifest, keptCount: 0 | 1): Manifest {
  const { incremental } = manifest
  const count = Math.max(0, incremental.length - keptCount)
  const history = [...incremental.slice(0, count).map(asHistory), ...manifest.history]
  return { ...manifest, incremental: incremental.slice(count), history }
}

export function withoutHistory(manifest: Manifest): Manifest {
  return { ...manifest, history: [] }
}

/** The files of a log, in the order in which they are loaded. */
export function filesToLoad({ base, incremental }: Manifest): readonly ManifestFile[] {
  return base === null ? incremental : [base, ...incremental]
}

/** A number whose name no file of the manifest has: a new file must not be one that is about to be removed. */
function freeSequence(manifest: Manifest, last: number, nameOf: (sequence: number) => string): number {
  let sequence = last + 1
  while (manifest.history.some(({ name }) => name === nameOf(sequence))) sequence++
  return sequence
}

function asHistory(file: ManifestFile): ManifestFile {
  return { ...file, type: 'h' }
}

const BAD_FORMAT = 'Invalid AOF manifest file format'
const TOO_LONG = 'The AOF manifest file contains too long line'

/** What the files are that a rewrite has made history; bases of older versions have other names. */
const INCREMENTAL_NAME = /\.[0-9]+\.incr\.aof$/
const BASE_NAME = /\.[0-9]+\.base\.(?:aof|rdb)$/

/** The manifest with one more line; what is wrong with that as text. */
function withFile(manifest: Manifest, file: ManifestFile): Manifest | string {
  const { base, history, incremental } = manifest
  if (file.type === 'b' && base !== null) return 'Found duplicate base file information'
  if (file.type === 'i' && file.sequence <= manifest.incrementalSequence) return 'Found a non-monotonic sequence number'
  if (file.name === base?.name || [...history, ...incremental].some(({ name }) => name === file.name))
    return 'Found the same file twice'
  const otherName = file.type === 'b' ? INCREMENTAL_NAME : BASE_NAME
  if (file.type !== 'h' && otherName.test(file.name)) return 'The type is not that of the file name'
  if (file.type === 'b') return { ...manifest, base: file, baseSequence: file.sequence }
  if (file.type === 'h') {
    if (incremental.length > 0) return 'Found history behind files that count'
    return { ...manifest, history: [...history, file] }
  }
  return { ...manifest, incremental: [...incremental, file], incrementalSequence: file.sequence }
}

/**
 * What is wrong with the history, or null. What a rewrite makes history ends with the base that it replaces; only the first
 * one of a log without a base has none to replace.
 */
function historyProblem({ base, history, incremental }: Manifest): string | null {
  const oldest = history.at(-1)
  if (oldest === undefined || !INCREMENTAL_NAME.test(oldest.name)) return null
  if (base?.sequence === 1 && incremental.length > 0) return null
  return `Found ${quoteName(oldest.name)} as history without the base that was replaced with it`
}

function parseLine(line: string): ManifestFile | string {
  const words = splitQuoted(line)
  // More than the six words that we know may come from later versions.
  if (words === null || words.length < 6 || words.length % 2 !== 0) return BAD_FORMAT
  let name = ''
  let sequence = 0
  let type = ''
  for (let i = 0; i < words.length; i += 2) {
    const key = words[i]!.toLowerCase()
    const value = words[i + 1]!
    if (key === 'file') name = value
    else if (key === 'seq') sequence = /^[0-9]{1,15}$/.test(value) ? Number(value) : 0
    else if (key === 'type') type = value.charAt(0)
  }
  if (/[/\\]/.test(name)) return "File can't be a path, just a filename"
  if (name === '' || sequence === 0 || type === '') return BAD_FORMAT
  if (type !== 'b' && type !== 'i' && type !== 'h') return 'Unknown AOF file type'
  return { name, sequence, type }
}

/** Quoted where a reader would not take it for one word otherwise (sdsneedsrepr). */
function quoteName(name: string): string {
  return /^[!#-&(-[\]-~]+$/.test(name) ? name : quote(name)
}

/** Path of a file of the log. */
export function logPath(folder: string, name: string): string {
  return join(folder, decodePath(name))
}
