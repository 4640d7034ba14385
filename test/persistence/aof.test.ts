/** The writing side of the append-only file: what waits for what while the disk is slow, takes part of a write, or fails. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FileDone, Files } from '../../src/files/files.ts'
import { Aof, APPEND_SLACK_BYTES, FsyncPolicy } from '../../src/persistence/aof.ts'
import { checksumOf, writeChecksum } from '../../src/persistence/aof-annotations.ts'
import { FaultyFiles } from '../durability/support/faulty-files.ts'
import { TestLog } from '../support/broker.ts'
import { temporaryDirectory } from '../support/server-process.ts'

type WriteDone = (error: Error | null, written: number) => void

/** A disk whose operations on the thread pool end when they are let, in order. */
class SlowDisk extends Files {
  readonly syncs: (() => void)[] = []
  readonly writes: (() => void)[] = []
  /** What the next writes on the thread pool take at most. */
  writeBytesMax = Number.POSITIVE_INFINITY
  writeError: Error | null = null
  syncError: Error | null = null
  /** What was written on this thread, with its offset. */
  readonly written: string[] = []

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    if (this.writeError !== null) throw this.writeError
    this.written.push(`${buffer.latin1Slice(start, start + length)} at ${offset}`)
    return super.write(fd, buffer, start, Math.min(length, this.writeBytesMax), offset)
  }

  override writeLater(
    fd: number,
    buffer: Buffer,
    start: number,
    length: number,
    offset: number,
    done: WriteDone,
  ): void {
    this.writes.push(() => {
      let bytes = 0
      try {
        bytes = this.write(fd, buffer, start, length, offset)
      } catch (error) {
        done(error as Error, 0)
        return
      }
      done(null, bytes)
    })
  }

  override syncContentLater(_fd: number, done: FileDone): void {
    this.syncs.push(() => done(this.syncError))
  }
}

let directory = ''
let path = ''
let disk: SlowDisk
let log: TestLog
let aof: Aof
let progress = 0

function open(policy: number, pendingBytesMax = 1_000_000): void {
  disk = new SlowDisk()
  log = new TestLog()
  progress = 0
  const fd = disk.open(path, 'w+', 0o644)
  aof = new Aof(fd, 0, 0, {
    files: disk,
    log,
    policy,
    pendingBytesMax,
    onProgress: () => progress++,
  })
}

/** Appends and returns how many bytes there are now. */
function append(text: string, effects = 0, nowMs = 0): number {
  const buffer = Buffer.alloc(text.length + APPEND_SLACK_BYTES)
  buffer.write(text, 'latin1')
  aof.append(buffer, 0, text.length, effects, nowMs)
  return aof.acceptedBytes
}

/** The checksum line for these bytes. */
function checksumOfText(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  const line = Buffer.alloc(APPEND_SLACK_BYTES)
  const end = writeChecksum(line, 0, checksumOf(bytes, 0, bytes.length, 0), bytes.length)
  return line.toString('latin1', 0, end)
}

function content(): string {
  return readFileSync(path, 'latin1')
}

beforeEach(() => {
  directory = temporaryDirectory()
  path = join(directory, 'log')
})

afterEach(() => {
  for (const write of disk.writes.splice(0)) write()
  aof.abandon()
  rmSync(directory, { recursive: true, force: true })
})

describe('under everysec', () => {
  test('bytes are written at once, and replies wait for nothing', () => {
    open(FsyncPolicy.EverySecond)
    append('one')
    expect(content()).toBe('one')
    expect(aof.releasedBytes).toBe(3)
    expect(disk.syncs).toHaveLength(0)
  })

  test('while a sync is under way writes go to the thread pool, in order, and their replies wait', () => {
    open(FsyncPolicy.EverySecond)
    append('one ')
    aof.tick()
    expect(disk.syncs).toHaveLength(1)
    append('two ')
    append('three ')
    append('four ')
    expect(content()).toBe('one ')
    expect(aof.releasedBytes).toBe(4)
    expect(disk.writes).toHaveLength(1)
    disk.writes.shift()!()
    expect(content()).toBe('one two ')
    expect(aof.releasedBytes).toBe(8)
    // What has gathered goes in one write.
    disk.writes.shift()!()
    expect(content()).toBe('one two three four ')
    expect(aof.releasedBytes).toBe(aof.acceptedBytes)
    disk.syncs.shift()!()
    append('five')
    expect(content()).toBe('one two three four five')
    expect(disk.writes).toHaveLength(0)
  })

  test('replies wait for two seconds, then go out; that is counted and logged', () => {
    open(FsyncPolicy.EverySecond)
    append('one')
    aof.tick()
    append('two')
    aof.checkDelay(1000)
    aof.checkDelay(2900)
    expect(aof.releasedBytes).toBe(3)
    expect(aof.delayedSyncs).toBe(0)
    aof.checkDelay(3000)
    expect(aof.releasedBytes).toBe(6)
    expect(aof.delayedSyncs).toBe(1)
    expect(progress).toBe(1)
    append('three')
    expect(aof.releasedBytes).toBe(11)
    aof.checkDelay(5000)
    expect(aof.delayedSyncs).toBe(2)
    while (disk.writes.length > 0) disk.writes.shift()!()
    expect(content()).toBe('onetwothree')
    append('four')
    aof.checkDelay(5100)
    expect(aof.releasedBytes).toBe(11)
  })

  test('writes that make progress are not late, however long there is always one under way', () => {
    open(FsyncPolicy.EverySecond)
    append('one')
    aof.tick()
    for (let ms = 0; ms < 10_000; ms += 1000) {
      append('x')
      aof.checkDelay(ms)
      disk.writes.shift()!()
    }
    expect(aof.delayedSyncs).toBe(0)
  })

  test('what waits is bounded: beyond it writes are refused until it is written', () => {
    open(FsyncPolicy.EverySecond, 10)
    append('one')
    aof.tick()
    append('under way')
    append('x'.repeat(10))
    expect(aof.error).toBeNull()
    append('y')
    expect(aof.error).toBe('the disk is too slow, 11 bytes wait to be written')
    disk.writes.shift()!()
    expect(aof.error).not.toBeNull()
    disk.writes.shift()!()
    expect(aof.error).toBeNull()
    expect(content()).toBe(`oneunder way${'x'.repeat(10)}y`)
  })

  test('a write on the thread pool that takes a part is continued; one that fails is tried again', () => {
    open(FsyncPolicy.EverySecond)
    append('one ')
    aof.tick()
    disk.writeBytesMax = 2
    append('three')
    disk.writes.shift()!()
    expect(content()).toBe('one th')
    disk.writeError = new Error('ENOSPC')
    disk.writes.shift()!()
    expect(aof.error).toBe('ENOSPC')
    // The failure is known: nothing more is to be waited for.
    expect(aof.releasedBytes).toBe(aof.acceptedBytes)
    append(' four')
    expect(disk.writes).toHaveLength(0)
    aof.tick()
    expect(aof.error).toBe('ENOSPC')
    disk.writeError = null
    disk.writeBytesMax = 100
    disk.writes.shift()!()
    expect(aof.error).toBeNull()
    expect(content()).toBe('one three four')
  })

  test('effects count as durable with the sync that began after they were written', () => {
    open(FsyncPolicy.EverySecond)
    append('one', 1)
    aof.tick()
    append('two', 2)
    disk.writes.shift()!()
    disk.syncs.shift()!()
    expect(aof.syncedEffects).toBe(1)
    aof.tick()
    disk.syncs.shift()!()
    expect(aof.syncedEffects).toBe(2)
  })

  test('the end waits for the write that is under way', () => {
    open(FsyncPolicy.EverySecond)
    append('one')
    aof.tick()
    append('two')
    append('three')
    // As the thread pool would, which does not need the loop.
    const { sizeOf } = disk
    disk.sizeOf = (fd) => {
      if (disk.writes.length > 0) {
        disk.writes.length = 0
        Files.prototype.write.call(disk, fd, Buffer.from('two'), 0, 3, 3)
      }
      return sizeOf.call(disk, fd)
    }
    expect(aof.close()).toBe(true)
    expect(content()).toBe('onetwothree')
  })
})

describe('under always', () => {
  test('replies wait for the sync; no-appendfsync-on-rewrite makes them wait for the write only', () => {
    open(FsyncPolicy.Always)
    append('one')
    aof.sync()
    expect(aof.releasedBytes).toBe(0)
    append('two')
    expect(content()).toBe('onetwo')
    disk.syncs.shift()!()
    expect(aof.releasedBytes).toBe(3)
    // The next one covers what has come meanwhile.
    expect(disk.syncs).toHaveLength(1)
    disk.syncs.shift()!()
    expect(aof.releasedBytes).toBe(6)
    aof.isSyncPaused = true
    append('three')
    aof.sync()
    expect(disk.syncs).toHaveLength(0)
    expect(aof.releasedBytes).toBe(11)
  })

  test('a failed sync is an error until one has succeeded, and nothing counts as durable', () => {
    open(FsyncPolicy.Always)
    append('one')
    aof.sync()
    disk.syncError = new Error('EIO')
    disk.syncs.shift()!()
    expect(aof.error).toBe('fdatasync: EIO')
    expect(aof.releasedBytes).toBe(0)
    disk.syncError = null
    aof.tick()
    disk.syncs.shift()!()
    expect(aof.error).toBeNull()
    expect(aof.releasedBytes).toBe(3)
  })

  test('nothing is durable while the directory is not', () => {
    open(FsyncPolicy.Always)
    aof.directoryError = 'Cannot sync the directory'
    append('one')
    aof.sync()
    expect(disk.syncs).toHaveLength(0)
    expect(aof.error).toBe('Cannot sync the directory')
  })
})

test('what a failed sync has left is written again before the next sync, which would do nothing for it', () => {
  open(FsyncPolicy.Always)
  append('durable ')
  aof.sync()
  disk.syncs.shift()!()
  append('lost')
  aof.sync()
  disk.syncError = new Error('EIO')
  disk.syncs.shift()!()
  disk.written.length = 0
  disk.writeError = new Error('EIO')
  aof.tick()
  expect(disk.syncs).toHaveLength(0)
  expect(aof.error).toBe('cannot write again what could not be synced: EIO')
  disk.writeError = null
  disk.syncError = null
  aof.tick()
  expect(disk.written).toEqual(['lost at 8'])
  disk.syncs.shift()!()
  expect(aof.error).toBeNull()
  expect(content()).toBe('durable lost')
})

test('the end trusts no sync beside one that is under way: that one may have been told of a failure', async () => {
  open(FsyncPolicy.Always)
  aof.abandon()
  const files = new FaultyFiles(directory, { at: 1, code: 'EIO', operations: ['syncContent'] })
  const fd = files.open(path, 'w+', 0o644)
  files.syncDirectory(directory)
  aof = new Aof(fd, 0, 0, { files, log, policy: FsyncPolicy.Always, onProgress: () => progress++ })
  append('accepted')
  // It fails, and tells so in a later turn.
  aof.sync()
  expect(aof.close()).toBe(true)
  expect(aof.releasedBytes).toBe(8)
  files.cutPower()
  expect(content()).toBe('accepted')
})

describe('a switch to another file', () => {
  test('writes nothing to the new file before the old one is durable', () => {
    open(FsyncPolicy.EverySecond)
    append('old')
    const next = join(directory, 'next')
    aof.switchTo(disk.open(next, 'w', 0o644))
    expect(aof.isSwitching).toBe(true)
    append('new')
    expect(readFileSync(next, 'latin1')).toBe('')
    expect(aof.releasedBytes).toBe(3)
    disk.syncError = new Error('EIO')
    disk.syncs.shift()!()
    expect(aof.error).toBe('fdatasync: EIO')
    disk.syncError = null
    aof.tick()
    disk.syncs.shift()!()
    expect(aof.isSwitching).toBe(false)
    disk.writes.shift()!()
    expect(readFileSync(next, 'latin1')).toBe('new')
    expect(content()).toBe('old')
    expect(aof.fileBytes).toBe(3)
  })

  test('needs no wait when all is durable, and goes on with a sync that is under way', () => {
    open(FsyncPolicy.Always)
    aof.switchTo(disk.open(join(directory, 'second'), 'w', 0o644))
    expect(aof.isSwitching).toBe(false)
    append('a')
    aof.sync()
    append('b')
    aof.switchTo(disk.open(join(directory, 'third'), 'w', 0o644))
    append('c')
    disk.syncs.shift()!()
    // It began before 'b' was written.
    expect(aof.isSwitching).toBe(true)
    expect(aof.releasedBytes).toBe(1)
    disk.syncs.shift()!()
    expect(aof.isSwitching).toBe(false)
    expect(aof.releasedBytes).toBe(2)
    disk.writes.shift()!()
    disk.syncs.shift()!()
    expect(aof.releasedBytes).toBe(3)
    expect(readFileSync(join(directory, 'second'), 'latin1')).toBe('ab')
    expect(readFileSync(join(directory, 'third'), 'latin1')).toBe('c')
  })
})

test('a file that is given up while a write to it is under way is closed behind that write', () => {
  open(FsyncPolicy.EverySecond)
  const close = disk.close.bind(disk)
  let closed = 0
  disk.close = (fd) => {
    closed++
    close(fd)
  }
  append('a')
  aof.tick()
  append('lost')
  aof.abandon()
  expect(closed).toBe(0)
  const other = join(directory, 'other')
  const fd = disk.open(other, 'w', 0o644)
  disk.writes.shift()!()
  expect(readFileSync(other, 'latin1')).toBe('')
  expect(closed).toBe(1)
  close(fd)
})

describe('annotations', () => {
  test('a checksum follows what has come when nothing more comes for a second, and a time stamp stands before the first record of one', () => {
    open(FsyncPolicy.No)
    aof.writesChecksums = true
    aof.writesTimestamps = true
    append('*1\r\n$1\r\na\r\n', 0, 5000)
    append('*1\r\n$1\r\nb\r\n', 0, 5999)
    // Something has come since the last tick.
    aof.tick()
    append('*1\r\n$1\r\nc\r\n', 0, 6000)
    aof.tick()
    expect(content()).toBe('#TS:5\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n#TS:6\r\n*1\r\n$1\r\nc\r\n')
    aof.tick()
    aof.tick()
    const records = '#TS:5\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n#TS:6\r\n*1\r\n$1\r\nc\r\n'
    expect(content()).toBe(`${records}${checksumOfText(records)}`)
    expect(aof.acceptedBytes).toBe(content().length)
  })

  test('a checksum follows the batch with which there are 16 KiB', () => {
    open(FsyncPolicy.No)
    aof.writesChecksums = true
    const part = 'x'.repeat(10_000)
    append(part)
    append(part)
    append(part)
    expect(content()).toBe(`${part}${part}${checksumOfText(part + part)}${part}`)
  })

  test('the last records have a checksum when the log is closed, and when checksums are given up', () => {
    open(FsyncPolicy.No)
    aof.writesChecksums = true
    append('a')
    aof.writesChecksums = false
    append('b')
    aof.writesChecksums = true
    append('c')
    expect(aof.close()).toBe(true)
    expect(content()).toBe(`a${checksumOfText('a')}bc${checksumOfText('c')}`)
  })

  test('what follows bytes without a checksum has one at once: who goes on behind a crash sums up what follows that', () => {
    open(FsyncPolicy.No)
    append('bare')
    aof.writesChecksums = true
    append('a')
    append('b')
    expect(content()).toBe(`barea${checksumOfText('a')}b`)
    // What a file ends with is too much, or nothing: nobody knows which.
    aof.abandon()
    writeFileSync(path, 'much')
    aof = new Aof(disk.open(path, 'r+', 0o644), 4, 0, {
      files: disk,
      log,
      policy: FsyncPolicy.No,
      onProgress: () => {},
    })
    aof.writesChecksums = true
    append('c')
    append('d')
    expect(content()).toBe(`muchc${checksumOfText('c')}d`)
  })

  test('under always a checksum line is synced at once: no reply waits for it', () => {
    open(FsyncPolicy.Always)
    aof.writesChecksums = true
    append('a')
    aof.tick()
    disk.syncs.shift()!()
    aof.tick()
    expect(content()).toBe(`a${checksumOfText('a')}`)
    expect(disk.syncs).toHaveLength(1)
  })

  test('the first checksum of a file that ended without one stands for that end as well, unless it comes too late', () => {
    const left = Buffer.from('left')
    const unsummed = { bytes: left.length, crc: checksumOf(left, 0, left.length, 0) }
    for (const [firstText, writesChecksums, expected] of [
      ['', true, 'left'],
      ['a', true, `lefta${checksumOfText('lefta')}`],
      ['a', false, 'lefta'],
    ] as const) {
      open(FsyncPolicy.No)
      writeFileSync(path, left)
      aof.abandon()
      aof = new Aof(disk.open(path, 'r+', 0o644), left.length, 0, {
        files: disk,
        log,
        policy: FsyncPolicy.No,
        unsummed,
        onProgress: () => {},
      })
      aof.writesChecksums = writesChecksums
      if (firstText !== '') append(firstText)
      aof.tick()
      aof.tick()
      expect(content()).toBe(expected)
      aof.writesChecksums = true
      append('b')
      expect(aof.close()).toBe(true)
      expect(content().slice(expected.length)).toBe(`b${checksumOfText(expected === 'left' ? 'leftb' : 'b')}`)
    }
    open(FsyncPolicy.No)
  })

  test('in another file checksums begin anew', () => {
    open(FsyncPolicy.No)
    aof.writesChecksums = true
    append('a')
    aof.endChecksum()
    const next = join(directory, 'next')
    aof.switchTo(disk.open(next, 'w+', 0o644))
    disk.syncs.shift()?.()
    append('b')
    aof.endChecksum()
    for (const write of disk.writes.splice(0)) write()
    expect(content()).toBe(`a${checksumOfText('a')}`)
    expect(readFileSync(next, 'latin1')).toBe(`b${checksumOfText('b')}`)
  })

  test('a time stamp that is durable says nothing of the effects behind it', () => {
    open(FsyncPolicy.EverySecond)
    aof.writesTimestamps = true
    append('a', 1, 5000)
    aof.tick()
    // While the sync is under way, the stamp and what it stands before go to the thread pool one after the other.
    append('b', 2, 6000)
    disk.writes.shift()!()
    disk.syncs.shift()!()
    aof.tick()
    disk.syncs.shift()!()
    expect(content()).toBe('#TS:5\r\na#TS:6\r\n')
    expect(aof.syncedEffects).toBe(1)
    disk.writes.shift()!()
    aof.tick()
    disk.syncs.shift()!()
    expect(aof.syncedEffects).toBe(2)
  })
})
