/** When the next sync begins under `appendfsync always`, on a disk whose speed the test decides. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type FileDone, Files } from '../../src/files/files.ts'
import { Aof, APPEND_SLACK_BYTES, FsyncPolicy } from '../../src/persistence/aof.ts'
import { GroupCommit } from '../../src/server/group-commit.ts'
import { TestLog } from '../support/broker.ts'
import { temporaryDirectory } from '../support/server-process.ts'

/** A disk whose syncs end when they are let. */
class SlowDisk extends Files {
  readonly syncs: FileDone[] = []

  override syncContentLater(_fd: number, done: FileDone): void {
    this.syncs.push(done)
  }
}

/** Syncs after which it is decided anew. */
const SYNCS_MIN = 16
const CLIENTS = 10

let directory = ''
let disk: SlowDisk
let aof: Aof
let commit: GroupCommit
let effects = 0
let isTurnScheduled = false
let idleMs = 0

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate', 'setTimeout', 'performance'] })
  directory = temporaryDirectory()
  disk = new SlowDisk()
  effects = 0
  isTurnScheduled = false
  idleMs = 0
  aof = new Aof(disk.open(join(directory, 'log'), 'w+', 0o644), 0, 0, {
    files: disk,
    log: new TestLog(),
    policy: FsyncPolicy.Always,
    onProgress: () => commit.progressed(),
  })
  commit = new GroupCommit({
    aof,
    get isTurnScheduled(): boolean {
      return isTurnScheduled
    },
    loopIdleMs: () => idleMs,
  })
})

afterEach(() => {
  vi.useRealTimers()
  aof.abandon()
  rmSync(directory, { recursive: true, force: true })
})

/** A turn in which so many clients write something. */
function turn(clients: number): void {
  effects += clients
  const bytes = Buffer.alloc(clients + APPEND_SLACK_BYTES, 'x')
  aof.append(bytes, 0, clients, effects, 0)
  commit.turnEnded(aof)
}

/** The loop is at work for so long. */
function pass(ms: number): void {
  vi.advanceTimersByTime(ms)
}

/** The loop has nothing to do for so long. */
function rest(ms: number): void {
  idleMs += ms
  pass(ms)
}

/** The oldest sync ends. */
function endSync(error: Error | null = null): void {
  disk.syncs.shift()!(error)
}

/** Syncs of 4 ms during which the loop has nothing to do, as often as it takes to notice. */
function onSlowDisk(): void {
  for (let i = 0; i < SYNCS_MIN; i++) {
    turn(CLIENTS)
    rest(4)
    endSync()
  }
  expect(aof.gathersSyncs).toBe(true)
}

describe('on a disk that is quicker than the loop', () => {
  test('a sync begins with the first turn, and the next one when it has ended', () => {
    turn(1)
    expect(disk.syncs).toHaveLength(1)
    turn(CLIENTS)
    expect(disk.syncs).toHaveLength(1)
    endSync()
    expect(disk.syncs).toHaveLength(1)
    expect(aof.waitingEffects).toBe(CLIENTS)
    endSync()
    expect(aof.waitingEffects).toBe(0)
    expect(disk.syncs).toHaveLength(0)
  })

  test('after a sync that has failed turns begin none: it is tried again once a second', () => {
    turn(1)
    endSync(new Error('EIO'))
    for (let reads = 0; reads < 5; reads++) commit.turnEnded(aof)
    expect(disk.syncs).toHaveLength(0)
    aof.tick()
    expect(disk.syncs).toHaveLength(1)
    endSync()
    turn(1)
    expect(disk.syncs).toHaveLength(1)
  })

  test('that remains so however long it lasts', () => {
    for (let i = 0; i < SYNCS_MIN * 3; i++) {
      turn(CLIENTS)
      // The loop is at work while the sync is under way.
      pass(2)
      rest(1)
      turn(CLIENTS)
      endSync()
      endSync()
    }
    expect(aof.gathersSyncs).toBe(false)
  })
})

describe('on a disk that is slower than the loop', () => {
  test('the next sync waits until as many have written as before', () => {
    onSlowDisk()
    turn(CLIENTS - 1)
    expect(disk.syncs).toHaveLength(0)
    turn(1)
    expect(disk.syncs).toHaveLength(1)
  })

  test('those who have written while a sync was under way are waited for too', () => {
    onSlowDisk()
    turn(CLIENTS)
    turn(3)
    endSync()
    expect(disk.syncs).toHaveLength(0)
    turn(CLIENTS - 1)
    expect(disk.syncs).toHaveLength(0)
    turn(1)
    expect(disk.syncs).toHaveLength(1)
  })

  test('it does not wait longer than a part of what a sync takes', () => {
    onSlowDisk()
    turn(1)
    expect(disk.syncs).toHaveLength(0)
    pass(1)
    expect(disk.syncs).toHaveLength(0)
    pass(1)
    expect(disk.syncs).toHaveLength(1)
  })

  test('nobody waits who comes late', () => {
    onSlowDisk()
    pass(2)
    turn(1)
    expect(disk.syncs).toHaveLength(1)
  })

  test('what is written while a sync is under way is synced even if nothing follows', () => {
    onSlowDisk()
    turn(CLIENTS)
    turn(1)
    endSync()
    pass(2)
    expect(disk.syncs).toHaveLength(1)
    endSync()
    expect(aof.hasUnsynced).toBe(false)
  })

  test('a turn that is about to end decides in place of the clock', () => {
    onSlowDisk()
    turn(1)
    isTurnScheduled = true
    pass(2)
    expect(disk.syncs).toHaveLength(0)
    isTurnScheduled = false
    turn(1)
    expect(disk.syncs).toHaveLength(1)
  })

  test('a sync that fails is not tried again at once', () => {
    onSlowDisk()
    turn(CLIENTS)
    endSync(new Error('EIO'))
    pass(5)
    expect(disk.syncs).toHaveLength(0)
    aof.tick()
    expect(disk.syncs).toHaveLength(1)
  })

  test('waiting is given up when most do not come back in time', () => {
    onSlowDisk()
    turn(CLIENTS)
    for (let i = 0; i <= SYNCS_MIN; i++) {
      turn(CLIENTS / 2)
      rest(4)
      endSync()
      pass(2)
      expect(disk.syncs).toHaveLength(1)
    }
    expect(aof.gathersSyncs).toBe(false)
    endSync()
    for (let i = 0; i < SYNCS_MIN * 2; i++) {
      turn(1)
      rest(4)
      endSync()
    }
    expect(aof.gathersSyncs).toBe(false)
  })

  test('syncs follow each other again when they have become quick', () => {
    onSlowDisk()
    for (let i = 0; i < SYNCS_MIN * 8; i++) {
      // The loop needs a while for what they ask for.
      pass(2)
      turn(CLIENTS)
      endSync()
    }
    expect(aof.gathersSyncs).toBe(false)
  })
})
