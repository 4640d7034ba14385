/** Opening the files of a data directory, and telling by their first bytes what they are. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { systemErrorText } from '../config/system-error.ts'
import { RDB_MAGIC } from '../persistence/rdb/format.ts'
import { ToolError } from './tool.ts'

/** Bytes that tell what a file is: all comment lines that a manifest has in front, within reason. */
const HEAD_BYTES = 4096
/** Magic and version. */
const RDB_HEAD_BYTES = 9

export const FileKind = { Empty: 0, Rdb: 1, Manifest: 2, Commands: 3 } as const
export type FileKind = (typeof FileKind)[keyof typeof FileKind]

export interface DataFile {
  readonly path: string
  readonly fd: number
  readonly size: number
  /** Rdb: with commands behind it or without. */
  readonly kind: FileKind
}

/** Opens a file, uses it and closes it. @throws ToolError when it cannot be opened or read, or is no regular file */
export function withDataFile<T>(path: string, use: (file: DataFile) => T): T {
  const fd = openFile(path)
  try {
    return use({ path, fd, size: fstatSync(fd).size, kind: kindOf(path, fd) })
  } catch (error) {
    throw isReadError(error) ? new ToolError(`Cannot read file ${path}: ${systemErrorText(error)}`) : error
  } finally {
    closeSync(fd)
  }
}

function openFile(path: string): number {
  try {
    // Asked before it is opened: opening a named pipe waits for whoever writes to it.
    if (!statSync(path).isFile()) throw new ToolError(`Cannot open file ${path}: it is not a regular file`)
    return openSync(path, 'r')
  } catch (error) {
    if (error instanceof ToolError) throw error
    throw new ToolError(`Cannot open file ${path}: ${systemErrorText(error)}`)
  }
}

function isReadError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'read'
}

function kindOf(path: string, fd: number): FileKind {
  const head = Buffer.alloc(HEAD_BYTES)
  const text = head.latin1Slice(0, readSync(fd, head, 0, HEAD_BYTES, 0))
  // Also one that is empty: a server does not start with it.
  if (path.endsWith('.manifest')) return FileKind.Manifest
  if (text === '') return FileKind.Empty
  if (text.startsWith(RDB_MAGIC) && text.length >= RDB_HEAD_BYTES) return FileKind.Rdb
  return isManifestText(text) ? FileKind.Manifest : FileKind.Commands
}

/** A manifest has lines `file …` and comments; an append-only file may have comments (annotations) too. */
function isManifestText(text: string): boolean {
  const first = text.split('\n').find((line) => !line.startsWith('#'))
  return first?.startsWith('file ') === true
}
