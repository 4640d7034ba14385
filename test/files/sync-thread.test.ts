/** The thread that makes files durable, where it was built: order, errors, and the end of requests. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SyncThread } from '../../src/files/sync-thread.ts'
import { temporaryDirectory } from '../support/server-process.ts'

// One for all: there is one for each thread of JavaScript.
const thread = SyncThread.start()

let directory = ''
let fd = -1

beforeEach(() => {
  directory = temporaryDirectory()
  fd = openSync(join(directory, 'file'), 'w')
})

afterEach(() => {
  closeSync(fd)
  rmSync(directory, { recursive: true })
})

function synced(of: number): Promise<Error | null> {
  return new Promise((resolve) => {
    expect(thread!.sync(of, resolve)).toBe(true)
  })
}

describe.runIf(thread !== null)('the thread', () => {
  test('tells of the end of a sync', async () => {
    writeSync(fd, 'x')
    expect(await synced(fd)).toBeNull()
    expect(await synced(fd)).toBeNull()
  })

  test('ends requests in their order, also those that end together', async () => {
    const ended: number[] = []
    await Promise.all([1, 2, 3, 4].map((i) => synced(fd).then(() => ended.push(i))))
    expect(ended).toEqual([1, 2, 3, 4])
  })

  test('goes on when a callback asks for the next', async () => {
    let left = 20
    await new Promise<void>((resolve) => {
      const next = (error: Error | null): void => {
        expect(error).toBeNull()
        if (--left === 0) resolve()
        else expect(thread!.sync(fd, next)).toBe(true)
      }
      thread!.sync(fd, next)
    })
  })

  test('tells the error of the system, to all that came before it was known, and begins afresh then', async () => {
    const closed = openSync(join(directory, 'closed'), 'w')
    closeSync(closed)
    const errors = await Promise.all([synced(closed), synced(closed)])
    expect(errors.map((error) => (error as NodeJS.ErrnoException).code)).toEqual(['EBADF', 'EBADF'])
    expect(await synced(fd)).toBeNull()
  })

  test('takes no other file while a request is under way', async () => {
    const other = openSync(join(directory, 'other'), 'w')
    const first = synced(fd)
    expect(thread!.sync(other, () => {})).toBe(false)
    expect(await first).toBeNull()
    expect(await synced(other)).toBeNull()
    closeSync(other)
  })

  test('does not take a file for the one that was closed while its request was under way, whose number it has', async () => {
    const path = join(directory, 'other')
    const before = openSync(path, 'w')
    // However that ends.
    const first = synced(before)
    thread!.closed(fd)
    thread!.closed(before)
    closeSync(before)
    const other = openSync(path, 'w')
    expect(other).toBe(before)
    expect(thread!.sync(other, () => {})).toBe(false)
    await first
    expect(await synced(other)).toBeNull()
    thread!.closed(other)
    expect(await synced(other)).toBeNull()
    closeSync(other)
  })

  test('lets what has ended be collected before the loop comes to it, and tells it once', async () => {
    let ends = 0
    thread!.sync(fd, () => ends++)
    while (ends === 0) thread!.collect()
    thread!.collect()
    await synced(fd)
    expect(ends).toBe(1)
  })

  test('there is one for each thread of JavaScript', () => {
    expect(SyncThread.start()).toBeNull()
  })
})
