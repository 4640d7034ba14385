/** Copies that are kept of files before they are changed. */
import { closeSync, constants, copyFileSync, fsyncSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemErrorText } from '../config/system-error.ts'
import { SYSTEM_FILES } from '../files/files.ts'
import { ToolError } from './tool.ts'

/** How often another name is tried when there is a copy of the same second. */
const NAMES_MAX = 100

/**
 * Copies a file to `FILE.bak-TIME` beside it and makes that durable. Where the file system can, both share their blocks.
 * Returns the path. @throws ToolError when that fails: nothing may be changed then
 */
export function keepCopy(path: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '')
  for (let attempt = 1; attempt <= NAMES_MAX; attempt++) {
    const copy = `${path}.bak-${time}${attempt === 1 ? '' : `-${attempt}`}`
    try {
      copyFileSync(path, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue
      rmSync(copy, { force: true })
      throw failed(path, systemErrorText(error))
    }
    makeDurable(path, copy)
    return copy
  }
  throw failed(path, `there are ${NAMES_MAX} copies of ${time} already`)
}

function makeDurable(path: string, copy: string): void {
  try {
    const fd = openSync(copy, 'r+')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    SYSTEM_FILES.syncDirectory(dirname(copy))
  } catch (error) {
    throw failed(path, systemErrorText(error))
  }
}

function failed(path: string, reason: string): ToolError {
  return new ToolError(`Cannot keep a copy of ${path}, nothing was changed: ${reason}`)
}
