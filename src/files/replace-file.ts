/**
 * Replacing a small file as a whole: after a crash at any moment there is the old content or the new one. Cold.
 *
 *     write aside ─▶ fsync ─▶ rename ─▶ fsync of the directory
 *       └────── fails: the old content counts ──────┘   └── fails: the new content counts, see NotDurableError
 */
import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { type Files, SYSTEM_FILES } from './files.ts'
import { asError, messageOf } from './thrown.ts'

export interface ReplaceOptions {
  /** Permissions of the new file. */
  readonly mode: number
  /** Path of the temporary file, in the same directory; one that a crash left there is overwritten. Default: a new name. */
  readonly temporary?: string
  readonly files?: Files
}

/**
 * The new content has taken the place of the old one, but after a power cut the old one may be back: the directory could
 * not be synced. Whoever keeps the content in memory must go on with the new one.
 */
export class NotDurableError extends Error {
  /** The system's code, such as EIO; empty without one. */
  readonly code: string

  constructor(path: string, cause: unknown) {
    super(`Cannot sync the directory of ${path}: ${messageOf(cause)}`, { cause })
    this.code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  }
}

/**
 * Writes `bytes` into a file aside, syncs it and renames it to `path`.
 * @throws NotDurableError when only the last step failed; any other error means that nothing has changed
 */
export function replaceFile(path: string, bytes: Uint8Array, options: ReplaceOptions): void {
  const files = options.files ?? SYSTEM_FILES
  const temporary = options.temporary ?? `${path}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    const fd = files.open(temporary, options.temporary === undefined ? 'wx' : 'w', options.mode)
    try {
      writeAll(files, fd, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
      files.sync(fd)
    } finally {
      files.close(fd)
    }
    files.rename(temporary, path)
  } catch (error) {
    discard(files, temporary)
    throw error
  }
  try {
    files.syncDirectory(dirname(path))
  } catch (error) {
    throw new NotDurableError(path, error)
  }
}

/** A replacement under way. */
export interface Replacement {
  /** Gives it up: `done` is not called any more. Returns false when it is too late, because the new content counts. */
  cancel(): boolean
}

/** As `replaceFile`, with both syncs on the thread pool. `done` is called in a later turn. @throws as `replaceFile` */
export function replaceFileLater(
  path: string,
  bytes: Uint8Array,
  { mode, temporary, files }: Required<ReplaceOptions>,
  done: (error: Error | null) => void,
): Replacement {
  let isCancelled = false
  let isInPlace = false
  const fd = openWritten(files, temporary, bytes, mode)
  files.syncLater(fd, (error) => {
    let failure = error
    try {
      files.close(fd)
    } catch (problem) {
      failure ??= asError(problem)
    }
    if (isCancelled) return
    try {
      if (failure !== null) throw failure
      files.rename(temporary, path)
    } catch (problem) {
      discard(files, temporary)
      done(asError(problem))
      return
    }
    isInPlace = true
    files.syncDirectoryLater(dirname(path), (problem) =>
      done(problem === null ? null : new NotDurableError(path, problem)),
    )
  })
  return {
    cancel: () => {
      if (isInPlace) return false
      isCancelled = true
      discard(files, temporary)
      return true
    },
  }
}

/** Creates a file with this content. @throws the system's error; then there is none */
function openWritten(files: Files, path: string, bytes: Uint8Array, mode: number): number {
  const fd = files.open(path, 'w', mode)
  try {
    writeAll(files, fd, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    return fd
  } catch (error) {
    files.close(fd)
    discard(files, path)
    throw error
  }
}

/** Writes all bytes, in as many calls as the system wants. @throws also when a write takes nothing */
export function writeAll(files: Files, fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const written = files.write(fd, bytes, at, bytes.length - at, at)
    if (written === 0) throw new Error(`Cannot write to a file: it took ${at} of ${bytes.length} bytes`)
    at += written
  }
}

function discard(files: Files, temporary: string): void {
  try {
    files.remove(temporary)
  } catch {
    // What is left has a name that nobody reads. The error that led here says more than this one.
  }
}
