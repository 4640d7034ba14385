/**
 * The manifest of a multi-part append-only file: which files make up the log, in order.
 *
 * One line a file, `file NAME seq N type b|i|h` (base, incremental, history). The base is loaded first, then the
 * incremental files by sequence number; the last one is appended to. It is replaced atomically: written aside, synced,
 * renamed. Source: Valkey 7.2 src/aof.c aofLoadManifestFromFile.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { splitQuoted } from '../bytes/quoting.ts'

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
}

/** Longest line that Redis reads. */
const LINE_BYTES_MAX = 1024

/** A manifest that cannot be used; the message names file and line. */
export class ManifestError extends Error {}

/** Reads a manifest; null when the file does not exist. @throws ManifestError for anything malformed */
export function readManifest(path: string): Manifest | null {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  const lines = text.split('\n')
  if (lines.at(-1) !== '') throw new ManifestError(`Cannot read AOF manifest ${path}: the last line has no end`)
  lines.pop()
  if (lines.length === 0) throw new ManifestError(`Cannot read AOF manifest ${path}: it is empty`)
  let base: ManifestFile | null = null
  const incremental: ManifestFile[] = []
  lines.forEach((line, index) => {
    const fail = (reason: string): never => {
      throw new ManifestError(`Cannot read AOF manifest ${path}: line ${index + 1}: ${reason}: '${line}'`)
    }
    if (line.length > LINE_BYTES_MAX) fail('too long')
    if (line.startsWith('#')) return
    const file = parseLine(line)
    if (file === null) fail('expected file NAME seq N type b|i|h')
    else if (file.name.includes('/')) fail('a file name must not hold a path')
    else if (file.type === 'b') {
      if (base !== null) fail('a second base file')
      base = file
    } else if (file.type === 'i') {
      if (file.sequence <= (incremental.at(-1)?.sequence ?? 0)) fail('sequence numbers must ascend')
      incremental.push(file)
    }
  })
  return { base, incremental }
}

/** Writes a manifest and makes it durable before it takes the place of the old one. */
export function writeManifest(path: string, manifest: Manifest): void {
  const files = manifest.base === null ? manifest.incremental : [manifest.base, ...manifest.incremental]
  const text = files.map((file) => `file ${quoteName(file.name)} seq ${file.sequence} type ${file.type}\n`).join('')
  const temporary = join(dirname(path), `temp-${process.pid}.manifest`)
  const fd = openSync(temporary, 'w')
  try {
    writeSync(fd, text, null, 'latin1')
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
  syncDirectory(dirname(path))
}

/** Makes creations and renames in a directory durable. Windows has no such call and needs none. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function quoteName(name: string): string {
  return /[\s"'\\]/.test(name) ? `"${name.replace(/["\\]/g, '\\$&')}"` : name
}

function parseLine(line: string): ManifestFile | null {
  const words = splitQuoted(line)
  if (words === null || words.length < 6 || words.length % 2 !== 0) return null
  let name: string | null = null
  let sequence = 0
  let type = ''
  for (let i = 0; i < words.length; i += 2) {
    const key = words[i]!.toLowerCase()
    const value = words[i + 1]!
    if (key === 'file') name = value
    else if (key === 'seq') sequence = /^[0-9]+$/.test(value) ? Number(value) : 0
    else if (key === 'type') type = value
  }
  if (name === null || sequence === 0 || (type !== 'b' && type !== 'i' && type !== 'h')) return null
  return { name, sequence, type }
}
