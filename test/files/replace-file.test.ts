/** Whatever fails while a file is replaced, there is the old content or the new one, and the caller knows which. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Tokens } from '../../src/access/tokens.ts'
import { Files } from '../../src/files/files.ts'
import { NotDurableError, replaceFile } from '../../src/files/replace-file.ts'
import { temporaryDirectory } from '../support/server-process.ts'

type Step = 'open' | 'write' | 'sync' | 'close' | 'rename' | 'syncDirectory'

/** Files of which one step fails. */
class FailingFiles extends Files {
  failing: Step | null
  /** Bytes that one write takes at most. */
  writeBytesMax = Number.POSITIVE_INFINITY

  constructor(failing: Step | null) {
    super()
    this.failing = failing
  }

  override open(path: string, flags: string, mode: number): number {
    this.fail('open')
    return super.open(path, flags, mode)
  }

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    this.fail('write')
    return super.write(fd, buffer, start, Math.min(length, this.writeBytesMax), offset)
  }

  override sync(fd: number): void {
    this.fail('sync')
    super.sync(fd)
  }

  override close(fd: number): void {
    super.close(fd)
    this.fail('close')
  }

  override rename(from: string, to: string): void {
    this.fail('rename')
    super.rename(from, to)
  }

  override syncDirectory(path: string): void {
    this.fail('syncDirectory')
    super.syncDirectory(path)
  }

  private fail(step: Step): void {
    if (step === this.failing) throw Object.assign(new Error(`EIO: i/o error, ${step}`), { code: 'EIO' })
  }
}

let directory = ''
let path = ''

beforeEach(() => {
  directory = temporaryDirectory()
  path = join(directory, 'file')
  writeFileSync(path, 'old')
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

test.each<Step>([
  'open',
  'write',
  'sync',
  'close',
  'rename',
])('a failing %s leaves the old content and nothing else', (step) => {
  expect(() => replaceFile(path, Buffer.from('new'), { mode: 0o600, files: new FailingFiles(step) })).toThrow(
    `EIO: i/o error, ${step}`,
  )
  expect(readFileSync(path, 'utf8')).toBe('old')
  expect(readdirSync(directory)).toEqual(['file'])
})

test('a directory that cannot be synced is told apart: the new content counts', () => {
  const files = new FailingFiles('syncDirectory')
  let thrown: unknown = null
  try {
    replaceFile(path, Buffer.from('new'), { mode: 0o600, files })
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(NotDurableError)
  expect(thrown).toMatchObject({
    code: 'EIO',
    message: `Cannot sync the directory of ${path}: EIO: i/o error, syncDirectory`,
  })
  expect(readFileSync(path, 'utf8')).toBe('new')
  expect(readdirSync(directory)).toEqual(['file'])
})

test('short writes are continued until all is written', () => {
  const files = new FailingFiles(null)
  files.writeBytesMax = 3
  const bytes = Buffer.from('x'.repeat(100))
  replaceFile(path, bytes, { mode: 0o600, files })
  expect(readFileSync(path)).toEqual(bytes)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a write that takes nothing is an error, not an endless loop', () => {
  const files = new FailingFiles(null)
  files.writeBytesMax = 0
  expect(() => replaceFile(path, Buffer.from('new'), { mode: 0o600, files })).toThrow('it took 0 of 3 bytes')
  expect(readFileSync(path, 'utf8')).toBe('old')
  expect(readdirSync(directory)).toEqual(['file'])
})

test('a temporary file of a given name that a crash has left is overwritten', () => {
  const temporary = join(directory, 'temp-file')
  writeFileSync(temporary, 'left behind, and longer')
  replaceFile(path, Buffer.from('new'), { mode: 0o600, temporary })
  expect(readFileSync(path, 'utf8')).toBe('new')
  expect(readdirSync(directory)).toEqual(['file'])
})

test('a path that is a directory is refused and keeps its content', () => {
  mkdirSync(join(directory, 'folder', 'inner'), { recursive: true })
  expect(() => replaceFile(join(directory, 'folder'), Buffer.from('new'), { mode: 0o600 })).toThrow(
    /EISDIR|ENOTEMPTY|EEXIST/,
  )
  expect(readdirSync(directory).sort()).toEqual(['file', 'folder'])
})

test('a token whose revocation is in the file stays revoked, though the caller hears of the directory', () => {
  const files = new FailingFiles(null)
  const tokens = new Tokens(join(directory, 'tokens.json'), () => {}, files)
  const options = { name: '', expiresMs: null, isReadOnly: false }
  const first = tokens.issue('ann', options, 1)
  files.failing = 'syncDirectory'
  expect(() => tokens.revoke(first.id)).toThrow('Cannot sync the directory')
  expect(tokens.verify(first.token, 1)).toBeNull()
  files.failing = null
  const second = tokens.issue('ann', options, 1)
  files.failing = 'rename'
  expect(() => tokens.revoke(second.id)).toThrow('Cannot write tokens')
  expect(tokens.verify(second.token, 1)).not.toBeNull()
})
