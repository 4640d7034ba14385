import { closeSync, rmSync } from 'node:fs'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SYSTEM_FILES } from '../../src/files/files.ts'
import { sleep } from '../../src/files/sleep.ts'
import { temporaryDirectory } from '../support/server-process.ts'

test('a write of more than 2 GiB takes a part, as any write may', async () => {
  const bytes = Buffer.allocUnsafeSlow(2 ** 31 + 100)
  const fd = SYSTEM_FILES.open(devNull, 'r+', 0o600)
  const written = SYSTEM_FILES.write(fd, bytes, 0, bytes.length, 0)
  expect(written).toBeGreaterThan(0)
  const outcome = await new Promise((resolve) => {
    SYSTEM_FILES.writeLater(fd, bytes, 0, bytes.length, 0, (error, bytesWritten) => resolve([error, bytesWritten]))
  })
  expect(outcome).toEqual([null, written])
  closeSync(fd)
})

test('a sync does not fail because another file of that number was closed before its own sync had begun', async () => {
  const directory = temporaryDirectory()
  const errors: (Error | null)[] = []
  for (let i = 0; i < 20; i++) {
    const closed = SYSTEM_FILES.open(join(directory, 'closed'), 'w', 0o600)
    SYSTEM_FILES.syncContentLater(closed, () => {})
    SYSTEM_FILES.close(closed)
    // The thread looks for it while there is none.
    sleep(1)
    const fd = SYSTEM_FILES.open(join(directory, 'file'), 'w', 0o600)
    errors.push(await new Promise((resolve) => SYSTEM_FILES.syncContentLater(fd, resolve)))
    SYSTEM_FILES.close(fd)
  }
  expect(errors.filter((error) => error !== null)).toEqual([])
  rmSync(directory, { recursive: true })
})
