/** Memory that is given up goes back to the system. */
import { expect, test } from 'vitest'
import { MemoryProbe } from '../../src/observe/memory.ts'

const MB = 1024 * 1024

test('what was given up is returned once it is much, and not again and again', () => {
  const arena = { usedBytes: 0, reservedBytes: 0, outsideBytes: 0 }
  let buffersBytes = 0
  const probe = new MemoryProbe({ arena, buffersBytes: () => buffersBytes })
  const hold = (bytes: number): void => {
    buffersBytes = bytes
    probe.notePeak()
  }
  hold(500 * MB)
  expect(probe.mustReturn(1000)).toBe(false)
  hold(437 * MB)
  expect(probe.mustReturn(2000)).toBe(false)
  hold(436 * MB)
  expect(probe.mustReturn(3000)).toBe(true)
  expect(probe.mustReturn(3000)).toBe(false)
  // Soon after only when the time has come.
  hold(300 * MB)
  expect(probe.mustReturn(12_999)).toBe(false)
  expect(probe.mustReturn(13_000)).toBe(true)
  hold(290 * MB)
  expect(probe.mustReturn(90_000)).toBe(false)
  arena.reservedBytes = 100 * MB
  hold(290 * MB)
  arena.reservedBytes = 0
  arena.outsideBytes = 10 * MB
  hold(290 * MB)
  expect(probe.mustReturn(91_000)).toBe(true)
})
