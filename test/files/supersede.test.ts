import { existsSync, fstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FileDone, Files, SYSTEM_FILES } from '../../src/files/files.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'supersede-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('a file that supersedes another has its name and its own content', () => {
  const [next, current] = [join(directory, 'next'), join(directory, 'current')]
  writeFileSync(next, 'new')
  writeFileSync(current, 'old')
  SYSTEM_FILES.supersede(next, current)
  expect(readFileSync(current, 'utf8')).toBe('new')
  expect(existsSync(next)).toBe(false)
})

test('a file can supersede one that is not there', () => {
  writeFileSync(join(directory, 'next'), 'new')
  SYSTEM_FILES.supersede(join(directory, 'next'), join(directory, 'current'))
  expect(readFileSync(join(directory, 'current'), 'utf8')).toBe('new')
})

test('a file that cannot supersede another leaves it, and throws', () => {
  writeFileSync(join(directory, 'current'), 'old')
  expect(() => SYSTEM_FILES.supersede(join(directory, 'missing'), join(directory, 'current'))).toThrow('ENOENT')
  expect(readFileSync(join(directory, 'current'), 'utf8')).toBe('old')
})

test.skipIf(process.platform === 'win32')('space of the file that was superseded is given free later', async () => {
  const current = join(directory, 'current')
  writeFileSync(join(directory, 'next'), 'new')
  writeFileSync(current, 'old')
  const files = new WatchedFiles()
  files.supersede(join(directory, 'next'), current)
  // The file has no name any more, and is there until it is closed.
  expect(files.closing).toEqual([{ content: 'old', links: 0 }])
  await files.closed
})

/** Notes what is about to be closed on the thread pool. */
class WatchedFiles extends Files {
  readonly closing: { content: string; links: number }[] = []
  readonly closed: Promise<void>
  private tellClosed: () => void = () => {}

  constructor() {
    super()
    this.closed = new Promise((tell) => {
      this.tellClosed = tell
    })
  }

  override closeLater(fd: number, done: FileDone): void {
    this.closing.push({ content: readFileSync(fd, 'utf8'), links: fstatSync(fd).nlink })
    super.closeLater(fd, (error) => {
      done(error)
      if (error === null) this.tellClosed()
    })
  }
}
