/** Memory that is given up goes back to the system. */
import { spawnSync } from 'node:child_process'
import { expect, test, vi } from 'vitest'
import { addonPath } from '../../src/files/addon.ts'
import { MemoryProbe } from '../../src/observe/memory.ts'
import { loadNativeHeap } from '../../src/standalone/native-heap.ts'

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

test('growth is told at first and from 8 MB on, counted from what is left afterwards', () => {
  const rss = vi.spyOn(process.memoryUsage, 'rss')
  const arena = { usedBytes: 0, reservedBytes: 0, outsideBytes: 0 }
  const probe = new MemoryProbe({ arena, buffersBytes: () => 0 })
  let nowMs = 0
  const hasGrown = (mb: number): boolean => {
    rss.mockReturnValue(mb * MB)
    nowMs += 1000
    return probe.hasGrown(nowMs)
  }
  // What the start has left; 90 is what remains of it.
  expect(hasGrown(100)).toBe(true)
  expect(hasGrown(90)).toBe(false)
  expect(hasGrown(97)).toBe(false)
  expect(hasGrown(98)).toBe(true)
  expect(hasGrown(95)).toBe(false)
  // It counts from the least that was seen.
  expect(hasGrown(60)).toBe(false)
  expect(hasGrown(67)).toBe(false)
  expect(hasGrown(68)).toBe(true)
  // While it goes on growing the end is waited for, and no longer than ten seconds.
  expect(hasGrown(70)).toBe(false)
  expect(hasGrown(80)).toBe(false)
  expect(hasGrown(90)).toBe(false)
  expect(hasGrown(91)).toBe(true)
  expect(hasGrown(80)).toBe(false)
  for (let second = 0; second < 3; second++) expect(hasGrown(80 + second * 2)).toBe(false)
  for (let second = 0; second < 10; second++) expect(hasGrown(88 + second * 2)).toBe(false)
  expect(hasGrown(110)).toBe(true)
  rss.mockRestore()
})

test('five seconds after growth was told it is told once more, for what was still in use', () => {
  const rss = vi.spyOn(process.memoryUsage, 'rss').mockReturnValue(100 * MB)
  const probe = new MemoryProbe({
    arena: { usedBytes: 0, reservedBytes: 0, outsideBytes: 0 },
    buffersBytes: () => 0,
  })
  expect(probe.hasGrown(1000)).toBe(true)
  for (let second = 2; second < 6; second++) expect(probe.hasGrown(second * 1000)).toBe(false)
  expect(probe.hasGrown(6000)).toBe(true)
  for (let second = 7; second < 30; second++) expect(probe.hasGrown(second * 1000)).toBe(false)
  rss.mockRestore()
})

const heap = loadNativeHeap()

test.runIf(heap !== null)(
  'freed native memory is returned while the loop goes on, also when it is asked for twice',
  async () => {
    heap!.keepLittle()
    heap!.returnFree()
    heap!.returnFree()
    await new Promise((resolve) => setImmediate(resolve))
    heap!.returnFree()
  },
)

test.runIf(heap !== null)('pages of the program that are not in use leave the process, and come back', () => {
  // A process of its own: here nobody knows which pages other tests have used, or given back.
  const program = `
    const { readFileSync } = require('node:fs')
    const programMb = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1]) / 1024
    const heap = require(${JSON.stringify(addonPath('heap'))})
    const before = programMb()
    heap.returnFree()
    // What is done on another thread keeps the loop going until it is over.
    process.once('beforeExit', () => {
      const returned = before - programMb()
      process.stdout.write(returned + ' ' + new Intl.NumberFormat('de').format(1234.5))
    })`
  const { stdout, status } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' })
  expect(status).toBe(0)
  const [returned = '', number] = stdout.split(' ')
  expect(Number(returned)).toBeGreaterThan(10)
  // A part of Node that was not used before.
  expect(number).toBe('1.234,5')
})
