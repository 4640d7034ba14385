import { closeSync } from 'node:fs'
import { devNull } from 'node:os'
import { expect, test } from 'vitest'
import { SYSTEM_FILES } from '../../src/files/files.ts'

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
