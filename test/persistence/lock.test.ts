/** The lock of an append-only file: one holder at a time, also where a full disk has no room for a file. */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LogLockedError, lockLog } from '../../src/persistence/lock.ts'
import { temporaryDirectory } from '../support/server-process.ts'

/** Above every process id that Linux gives. */
const NOBODY = '4194305 1\n'
/** Takes no bytes, as a full disk. */
const FULL = '/dev/full'

let directory = ''
let path = ''

beforeEach(() => {
  directory = temporaryDirectory()
  path = join(directory, 'log.lock')
})

afterEach(() => rmSync(directory, { recursive: true }))

/** From now on the next lock finds no room for what it writes. */
function fillDisk(): void {
  symlinkSync(FULL, `${path}.${process.pid}`)
}

test('a lock is a file that says who holds it, and is gone when it is given back', () => {
  const unlock = lockLog(path)
  expect(readFileSync(path, 'latin1')).toMatch(new RegExp(`^${process.pid} `))
  expect(() => lockLog(path)).toThrow(LogLockedError)
  unlock()
  expect(readdirSync(directory)).toEqual([])
})

test('a lock of a process that is gone is taken over', () => {
  writeFileSync(path, NOBODY)
  lockLog(path)()
  expect(readdirSync(directory)).toEqual([])
})

test.runIf(existsSync(FULL))('on a full disk a lock is a link that says who holds it', () => {
  fillDisk()
  const unlock = lockLog(path)
  expect(lstatSync(path).isSymbolicLink()).toBe(true)
  const holder = readlinkSync(path)
  expect(holder).toMatch(new RegExp(`^${process.pid} `))
  expect(() => lockLog(path)).toThrow(LogLockedError)
  unlock()
  expect(readdirSync(directory)).toEqual([])
})

test.runIf(existsSync(FULL))(
  'a link keeps others away while its process is there, and is taken over when it is gone',
  () => {
    const parent = readFileSync(`/proc/${process.ppid}/stat`, 'latin1')
    const started = parent.slice(parent.lastIndexOf(')') + 2).split(' ')[19]!
    symlinkSync(`${process.ppid} ${started}\n`, path)
    for (const fill of [() => {}, fillDisk]) {
      fill()
      expect(() => lockLog(path)).toThrow(`in use by process ${process.ppid}`)
    }
    for (const fill of [() => {}, fillDisk]) {
      rmSync(path, { force: true })
      symlinkSync(NOBODY, path)
      fill()
      lockLog(path)()
      expect(readdirSync(directory)).toEqual([])
    }
  },
)
