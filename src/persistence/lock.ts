/**
 * The lock of an append-only file: two servers that append to one log would destroy it.
 *
 * It is a file beside the log which says who holds it: process id and the moment at which that process was started (on
 * Linux, as ids are used again). It is created by link(2), which fails when the file exists. The lock of a process that
 * is gone, as after SIGKILL, is taken over. Where a full disk has no room for its content it is a symbolic link to that:
 * what is in the log can be read all the same. On other machines and in other containers that share the directory nobody
 * can look a process up: there the lock counts as left behind.
 */
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { systemErrorText } from '../config/system-error.ts'

/** How often a lock that changes hands meanwhile is looked at again. */
const ATTEMPTS_MAX = 10

/** The log is in use. */
export class LogLockedError extends Error {}

/** Paths of the locks that this process holds. */
const held = new Set<string>()

/** Takes the lock at `path`. Returns the function that gives it back. @throws LogLockedError, or the system's error */
export function lockLog(path: string): () => void {
  const own = describeProcess(process.pid)
  if (held.has(path)) throw new LogLockedError(inUse(path, 'this process'))
  const temporary = `${path}.${process.pid}`
  try {
    write(temporary, own)
    take(path, temporary)
  } catch (error) {
    if (error instanceof LogLockedError) throw error
    throw new Error(`Cannot write the lock ${path}: ${systemErrorText(error)}`, { cause: error })
  } finally {
    rmSync(temporary, { force: true })
  }
  held.add(path)
  return () => {
    held.delete(path)
    if (readLock(path) === own) rmSync(path, { force: true })
  }
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content)
  } catch (error) {
    if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') throw error
    rmSync(path, { force: true })
    symlinkSync(content, path)
  }
}

function take(path: string, temporary: string): void {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    try {
      create(path, temporary)
      return
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const holder = readLock(path)
    if (holder === null) continue
    if (isAlive(holder)) throw new LogLockedError(inUse(path, `process ${Number.parseInt(holder, 10)}`))
    removeStale(path, holder)
  }
  throw new LogLockedError(inUse(path, 'a process that is starting'))
}

/** Creates the lock with its content, at once; a file system without links makes do with two steps. */
function create(path: string, temporary: string): void {
  try {
    linkSync(temporary, path)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw error
    writeFileSync(path, readFileSync(temporary), { flag: 'wx' })
  }
}

/** Removes a lock that was left behind. Only one process can rename it away; should it be new, it is put back. */
function removeStale(path: string, expected: string): void {
  const aside = `${path}.${process.pid}.stale`
  try {
    renameSync(path, aside)
    if (readLock(aside) !== expected) create(path, aside)
  } catch (error) {
    // Another process was quicker; the next look at the lock shows what it has done.
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function readLock(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return readLink(path)
    throw error
  }
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path, 'latin1')
  } catch (error) {
    // EINVAL: a file has come there meanwhile.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EINVAL') return null
    throw error
  }
}

/** Whether the process that a lock describes is running. Its own id is that of an earlier process: `held` knows better. */
function isAlive(holder: string): boolean {
  const pid = Number.parseInt(holder, 10)
  if (!(pid > 0) || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there, and belongs to somebody else.
    if (codeOf(error) === 'ESRCH') return false
  }
  return describeProcess(pid) === holder
}

/** `pid start-time`; the start time is in clock ticks since boot, empty where the system does not tell. */
function describeProcess(pid: number): string {
  let started = ''
  try {
    // The name, which may hold anything, is in parentheses; the start time is the 20th value behind it.
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1')
    started = status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    // No such file system, or no such process: the id alone has to do.
  }
  return `${pid} ${started}\n`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function inUse(path: string, holder: string): string {
  return `Cannot open the append-only file: it is in use by ${holder} (${path}). Two servers must not share a data directory`
}
