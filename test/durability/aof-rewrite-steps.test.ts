/**
 * A rewrite of the append-only file, with the process ending before and after each operation on a file, and with each of
 * them failing: what was written is there afterwards, and the log can be loaded.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AofState, RewriteOutcome } from '../../src/persistence/append-only.ts'
import { temporaryDirectory } from '../support/server-process.ts'
import { Crash, Fault, LogUnderTest, loadedFrom, SteppedFiles } from './aof-under-test.ts'

let directory = ''
const logs: LogUnderTest[] = []

beforeEach(() => {
  directory = temporaryDirectory()
})

afterEach(() => {
  for (const log of logs.splice(0)) abandon(log)
  rmSync(directory, { recursive: true, force: true })
})

/** Closes a log whose process is gone, for the lock is this process'. */
function abandon(log: LogUnderTest): void {
  try {
    log.appendOnly.close()
  } catch (error) {
    if (!(error instanceof Crash)) throw error
  }
}

function manifest(): string[] {
  return readFileSync(join(directory, 'appendonlydir', 'appendonly.aof.manifest'), 'utf8')
    .trimEnd()
    .split('\n')
}

function names(): string[] {
  return readdirSync(join(directory, 'appendonlydir'))
    .filter((name) => name.startsWith('appendonly.aof.') && !name.endsWith('.lock'))
    .sort()
}

/** Runs steps until the process ends. Returns the writes that had been answered by then. */
function run(log: LogUnderTest, files: SteppedFiles, steps: readonly (() => void)[]): Map<string, string> {
  let answered = new Map<string, string>()
  try {
    for (const step of steps) {
      step()
      log.endTurn()
      files.settle()
      // A write that failed with the end of the process was not answered.
      if (log.appendOnly.error === null) answered = new Map(log.data)
    }
  } catch (error) {
    if (!(error instanceof Crash)) throw error
  }
  return answered
}

type Scenario = (log: LogUnderTest) => readonly (() => void)[]

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a rewrite, and one more': (log) => [
    () => log.open(),
    () => log.set('a', '1'),
    () => {
      // Both belong to the same turn: what came before the rewrite, and what came after it.
      log.set('b', '1')
      log.appendOnly.requestRewrite(false)
      log.set('c', '1')
    },
    () => log.set('a', '2'),
    () => log.base.finish(),
    () => log.set('d', '1'),
    () => void log.appendOnly.requestRewrite(false),
    () => log.set('e', '1'),
    () => log.base.finish(),
    () => log.set('f', '1'),
  ],
  'a rewrite that fails, and one that does not': (log) => [
    () => log.open(),
    () => log.set('a', '1'),
    () => void log.appendOnly.requestRewrite(false),
    () => log.set('b', '1'),
    () => log.base.finish(new Error('disk full')),
    () => log.set('c', '1'),
    () => void log.appendOnly.requestRewrite(false),
    () => log.set('d', '1'),
    () => log.base.finish(),
    () => log.set('e', '1'),
  ],
}

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  describe(name, () => {
    const count = stepsOf(scenario)

    function stepsOf(of: Scenario): number {
      const where = temporaryDirectory()
      const files = new SteppedFiles()
      const log = new LogUnderTest(where, files)
      run(log, files, of(log))
      abandon(log)
      rmSync(where, { recursive: true })
      return files.steps.length
    }

    test.each([
      ['before', Fault.Before],
      ['after', Fault.After],
    ])('may be interrupted %s each operation', (_when, fault) => {
      expect(count).toBeGreaterThan(20)
      for (let at = 0; at < count; at++) {
        const files = new SteppedFiles(at, fault)
        const log = new LogUnderTest(directory, files)
        const answered = run(log, files, scenario(log))
        abandon(log)
        const loaded = loadedFrom(directory)
        // What came after may be there too.
        for (const [key, value] of answered)
          expect([value, log.data.get(key)], `${key}, step ${at}`).toContain(loaded.get(key))

        // The next process loads that and goes on, with a rewrite too.
        const nextFiles = new SteppedFiles()
        const next = new LogUnderTest(directory, nextFiles)
        for (const [key, value] of loaded) next.data.set(key, value)
        next.open()
        nextFiles.settle()
        next.set('next', '1')
        next.endTurn()
        expect(next.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.Started)
        nextFiles.settle()
        next.base.finish()
        nextFiles.settle()
        expect(next.appendOnly.close()).toBe(true)
        expect(loadedFrom(directory)).toEqual(next.data)
        rmSync(join(directory, 'appendonlydir'), { recursive: true })
      }
    })

    test('loses nothing when any one operation fails', () => {
      for (let at = 0; at < count; at++) {
        const files = new SteppedFiles(at, Fault.Error)
        const log = new LogUnderTest(directory, files)
        logs.push(log)
        try {
          run(log, files, scenario(log))
        } catch (error) {
          // A log that cannot be opened ends the start.
          expect(String(error)).toContain('EIO')
          expect(log.appendOnly.state).toBe(AofState.Off)
          abandon(log)
          rmSync(join(directory, 'appendonlydir'), { recursive: true, force: true })
          continue
        }
        // The checksum of what has come comes with the second of ten, and what fails is tried again ten later.
        for (let tick = 0; tick < 40; tick++) {
          log.appendOnly.tick()
          files.settle()
        }
        expect(log.appendOnly.error, `step ${at}: ${files.steps[at]}`).toBeNull()
        expect(log.appendOnly.close()).toBe(true)
        expect(loadedFrom(directory), `step ${at}: ${files.steps[at]}`).toEqual(log.data)
        rmSync(join(directory, 'appendonlydir'), { recursive: true })
      }
    })
  })
}

describe('a rewrite', () => {
  function opened(options: Record<string, string | number> = {}): { log: LogUnderTest; files: SteppedFiles } {
    const files = new SteppedFiles()
    const log = new LogUnderTest(directory, files, options)
    logs.push(log)
    log.open()
    return { log, files }
  }

  function rewrite(log: LogUnderTest, files: SteppedFiles, error: Error | null = null): void {
    expect(log.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.Started)
    files.settle()
    log.base.finish(error)
    files.settle()
  }

  test.each([
    ['', false],
    [' in a transaction', true],
  ])('that was begun without a log does not become one when that is switched on before its end%s', (_where, isIn) => {
    // However far the manifest has come that names its base.
    for (let steps = 0; steps < 6; steps++) {
      const files = new SteppedFiles()
      const log = new LogUnderTest(directory, files)
      log.set('a', '1')
      expect(log.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.Started)
      log.base.finish()
      for (let step = 0; step < steps; step++) files.settleOne()
      expect(log.appendOnly.enable(isIn)).toBeNull()
      expect(log.appendOnly.state, `${steps} steps`).toBe(AofState.Waiting)
      log.set('b', '1')
      log.endTurn()
      for (let tick = 0; tick < 3; tick++) {
        files.settle()
        log.appendOnly.tick()
        log.base.finish()
      }
      files.settle()
      expect([log.appendOnly.state, log.appendOnly.isRewriting], `${steps} steps`).toEqual([AofState.On, false])
      log.set('c', '1')
      log.endTurn()
      expect(log.appendOnly.close()).toBe(true)
      expect(loadedFrom(directory)).toEqual(log.data)
      rmSync(join(directory, 'appendonlydir'), { recursive: true })
    }
  })

  test('that cannot begin when the log is switched on again is tried again', () => {
    const files = new SteppedFiles()
    const log = new LogUnderTest(directory, files)
    log.set('a', '1')
    // A file stands where the folder is to be.
    writeFileSync(join(directory, 'appendonlydir'), '')
    log.appendOnly.enableAgain()
    log.appendOnly.tick()
    expect(log.appendOnly.state).toBe(AofState.Waiting)
    rmSync(join(directory, 'appendonlydir'))
    log.appendOnly.tick()
    log.set('b', '1')
    log.endTurn()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.state).toBe(AofState.On)
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
  })

  test('goes on in a new file while the base is written, and removes what it replaces', () => {
    const { log, files } = opened()
    expect(manifest()).toEqual([
      'file appendonly.aof.1.base.rdb seq 1 type b',
      'file appendonly.aof.1.incr.aof seq 1 type i',
    ])
    log.set('a', '1')
    expect(log.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.Started)
    expect(log.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.AlreadyRunning)
    expect(log.appendOnly.isRewriting).toBe(true)
    log.nowMs += 3000
    expect(log.appendOnly.currentRewriteSeconds).toBe(3)
    files.settle()
    expect(manifest()).toEqual([
      'file appendonly.aof.1.base.rdb seq 1 type b',
      'file appendonly.aof.1.incr.aof seq 1 type i',
      'file appendonly.aof.2.incr.aof seq 2 type i',
    ])
    files.settle()
    log.base.finish()
    files.settle()
    expect(manifest()).toEqual([
      'file appendonly.aof.2.base.rdb seq 2 type b',
      'file appendonly.aof.2.incr.aof seq 2 type i',
    ])
    expect(names()).toEqual(['appendonly.aof.2.base.rdb', 'appendonly.aof.2.incr.aof', 'appendonly.aof.manifest'])
    expect(log.appendOnly).toMatchObject({
      isRewriting: false,
      lastRewriteSeconds: 3,
      currentRewriteSeconds: -1,
      isLastRewriteOk: true,
      rewrites: 1,
    })
  })

  test('and every other write comes behind what a killed process has left in the memory of the system', () => {
    const { log, files: before } = opened()
    log.set('a', '1')
    log.endTurn()
    log.appendOnly.requestRewrite(false)
    before.settle()
    log.appendOnly.close()
    const files = new SteppedFiles()
    const next = new LogUnderTest(directory, files)
    logs.push(next)
    next.open()
    expect(files.steps.filter((step) => step.startsWith('sync') && step !== 'syncDirectory')).toEqual([
      'syncContent',
      'syncContent',
    ])
  })

  test('keeps history files with aof-disable-auto-gc until that is switched off', () => {
    const { log, files } = opened({ 'aof-disable-auto-gc': 'yes', 'aof-use-rdb-preamble': 'no' })
    rewrite(log, files)
    expect(log.base.formats).toEqual(['aof'])
    expect(manifest()).toEqual([
      'file appendonly.aof.2.base.aof seq 2 type b',
      'file appendonly.aof.1.incr.aof seq 1 type h',
      'file appendonly.aof.1.base.aof seq 1 type h',
      'file appendonly.aof.2.incr.aof seq 2 type i',
    ])
    expect(names()).toContain('appendonly.aof.1.incr.aof')
    log.appendOnly.removeHistory()
    files.settle()
    expect(names()).toEqual(['appendonly.aof.2.base.aof', 'appendonly.aof.2.incr.aof', 'appendonly.aof.manifest'])
  })

  test('is scheduled in a transaction and while a snapshot is written', () => {
    const { log } = opened()
    expect(log.appendOnly.requestRewrite(true)).toBe(RewriteOutcome.Scheduled)
    expect(log.appendOnly.isRewriteScheduled).toBe(true)
    log.base.isActive = true
    log.appendOnly.tick()
    expect(log.appendOnly.isRewriting).toBe(false)
    log.base.isActive = false
    log.appendOnly.tick()
    expect(log.appendOnly).toMatchObject({ isRewriting: true, isRewriteScheduled: false })
  })

  test('starts by itself when the log has grown as configured', () => {
    const { log, files } = opened({ 'auto-aof-rewrite-percentage': 100, 'auto-aof-rewrite-min-size': 1000 })
    log.set('a', 'x'.repeat(500))
    log.endTurn()
    log.appendOnly.tick()
    expect(log.appendOnly.isRewriting).toBe(false)
    log.set('a', 'x'.repeat(500))
    log.endTurn()
    log.appendOnly.tick()
    expect(log.appendOnly.isRewriting).toBe(true)
    files.settle()
    log.base.finish()
    files.settle()
    const size = log.appendOnly.totalBytes
    expect(log.appendOnly.baseBytes).toBe(size)
    expect(size).toBeLessThan(600)
    log.appendOnly.tick()
    expect(log.appendOnly.isRewriting).toBe(false)
  })

  test('that keeps failing is tried again after a while that doubles, unless somebody asks for it', () => {
    const { log, files } = opened({ 'auto-aof-rewrite-percentage': 1, 'auto-aof-rewrite-min-size': 0 })
    log.set('a', 'x'.repeat(1000))
    log.endTurn()
    const failure = new Error('disk full')
    for (let i = 0; i < 3; i++) {
      log.appendOnly.tick()
      expect(log.appendOnly.isRewriting).toBe(true)
      files.settle()
      log.base.finish(failure)
      files.settle()
    }
    expect(log.appendOnly).toMatchObject({ consecutiveFailures: 3, isLastRewriteOk: false })
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      log.appendOnly.tick()
      expect(log.log.warnings.at(-1)).toContain(`triggered the limit, will retry in ${minutes} minutes`)
      log.nowMs += minutes * 60_000 - 1
      log.appendOnly.tick()
      expect(log.appendOnly.isRewriting).toBe(false)
      log.nowMs++
      log.appendOnly.tick()
      expect(log.appendOnly.isRewriting).toBe(true)
      files.settle()
      log.base.finish(failure)
      files.settle()
    }
    rewrite(log, files)
    expect(log.appendOnly).toMatchObject({ consecutiveFailures: 0, isLastRewriteOk: true })
    expect(manifest().filter((line) => line.endsWith('type i'))).toHaveLength(1)
  })

  test('that cannot even begin is not tried for ever', () => {
    const { log, files } = opened({ 'auto-aof-rewrite-percentage': 1, 'auto-aof-rewrite-min-size': 0 })
    log.set('a', '1')
    log.endTurn()
    const open = files.open.bind(files)
    files.open = () => {
      throw new Error('ENOSPC')
    }
    for (let i = 0; i < 50; i++) log.appendOnly.tick()
    expect(log.log.warnings.map((line) => line.slice(0, 20))).toEqual([
      ...Array<string>(3).fill('Cannot begin to rewr'),
      'Background AOF rewri',
    ])
    files.open = open
    log.nowMs += 60_000
    log.appendOnly.tick()
    expect(log.appendOnly.isRewriting).toBe(true)
  })

  test('waits for a disk that is busy, and the loop does not', () => {
    const { log, files } = opened({ appendfsync: 'everysec' })
    log.set('a', '1')
    log.endTurn()
    // From here on a sync is under way, and a write behind it.
    for (let i = 0; i < 10; i++) log.appendOnly.tick()
    log.set('b', '1')
    log.endTurn()
    const started = performance.now()
    expect(log.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.Scheduled)
    log.appendOnly.tick()
    expect(performance.now() - started).toBeLessThan(5000)
    expect(log.appendOnly).toMatchObject({ isRewriting: false, isRewriteScheduled: true, consecutiveFailures: 0 })
    files.settle()
    log.appendOnly.tick()
    expect(log.appendOnly).toMatchObject({ isRewriting: true, isRewriteScheduled: false })
    files.settle()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
  })

  test('is refused while the log cannot be written', () => {
    const { log, files } = opened()
    log.set('a', '1')
    log.endTurn()
    const write = files.write.bind(files)
    files.write = () => {
      throw new Error('ENOSPC')
    }
    log.set('b', '1')
    log.endTurn()
    expect(log.appendOnly.requestRewrite(false)).toBe(RewriteOutcome.Failed)
    expect(log.log.warnings.at(-1)).toContain('Cannot begin to rewrite the append-only file')
    files.write = write
  })

  /** A log in the midst of a rewrite: so many of its steps on the thread pool are done. */
  function interrupted(steps: number, options: Record<string, string> = {}): ReturnType<typeof opened> {
    const { log, files } = opened(options)
    log.set('a', '1')
    log.endTurn()
    files.settle()
    log.appendOnly.requestRewrite(false)
    for (let i = 0; i < steps; i++) {
      files.settleOne()
      log.base.finish()
    }
    return { log, files }
  }

  test.each([0, 1, 2, 3, 4, 5, 6])('is given up after %i of its steps on the thread pool, and begun again', (steps) => {
    const { log, files } = interrupted(steps)
    log.set('b', '1')
    log.endTurn()
    log.appendOnly.postponeRewrite()
    log.set('c', '1')
    log.endTurn()
    for (let tick = 0; tick < 20; tick++) {
      files.settle()
      log.appendOnly.tick()
      log.base.finish()
    }
    expect(log.appendOnly).toMatchObject({ isRewriting: false, isRewriteScheduled: false, isLastRewriteOk: true })
    expect(manifest().filter((line) => !line.endsWith('type h'))).toHaveLength(2)
    expect(names().length).toBe(3)
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
  })

  test.each([0, 1, 2, 3, 4, 5, 6])('that the end meets after %i of its steps leaves a whole log', (steps) => {
    // Without a sync in the background, which the end would wait for.
    const { log, files } = interrupted(steps, { appendfsync: 'no' })
    log.set('b', '1')
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
    // What the pool comes to only now belongs to nobody: another process may have the directory.
    const before = manifest()
    files.settle()
    expect(manifest()).toEqual(before)
  })

  test('without a log makes a base file only', () => {
    const files = new SteppedFiles()
    const log = new LogUnderTest(directory, files)
    logs.push(log)
    log.data.set('a', '1')
    rewrite(log, files)
    expect(manifest()).toEqual(['file appendonly.aof.1.base.rdb seq 1 type b'])
    expect(loadedFrom(directory)).toEqual(log.data)
  })
})

describe('appendonly at run time', () => {
  function off(options: Record<string, string> = {}): { log: LogUnderTest; files: SteppedFiles } {
    const files = new SteppedFiles()
    const log = new LogUnderTest(directory, files, options)
    logs.push(log)
    log.data.set('before', '1')
    return { log, files }
  }

  test('yes gathers writes beside the base, and there is a log when that is done', () => {
    const { log, files } = off()
    expect(log.appendOnly.enable(false)).toBeNull()
    expect(log.appendOnly).toMatchObject({ state: AofState.Waiting, isRewriting: true, syncedEffects: -1 })
    log.set('meanwhile', '1')
    log.endTurn()
    expect(existsSync(join(directory, 'appendonlydir', 'appendonly.aof.manifest'))).toBe(false)
    files.settle()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.state).toBe(AofState.On)
    expect(manifest()).toEqual([
      'file appendonly.aof.1.base.rdb seq 1 type b',
      'file appendonly.aof.1.incr.aof seq 1 type i',
    ])
    log.set('after', '1')
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
  })

  test('yes begins anew when the rewrite fails', () => {
    const { log, files } = off()
    log.appendOnly.enable(false)
    log.set('meanwhile', '1')
    log.endTurn()
    files.settle()
    log.base.finish(new Error('disk full'))
    files.settle()
    expect(readdirSync(join(directory, 'appendonlydir'))).toEqual(['appendonly.aof.lock'])
    expect(log.appendOnly).toMatchObject({ state: AofState.Waiting, isRewriteScheduled: true, isLastRewriteOk: false })
    log.set('unrecorded', '1')
    log.endTurn()
    log.appendOnly.tick()
    files.settle()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.state).toBe(AofState.On)
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
  })

  test('yes is refused when there is nowhere to write', () => {
    const { log } = off()
    writeFileSync(join(directory, 'appendonlydir'), 'a file in the way')
    expect(log.appendOnly.enable(false)).toBe('Unable to turn on AOF. Check server logs.')
    expect(log.appendOnly.state).toBe(AofState.Off)
    expect(log.log.warnings.join()).toContain('Cannot begin to rewrite the append-only file')
  })

  test('no stops, and yes after that takes no part of the old log for the new one', () => {
    const { log, files } = off()
    log.appendOnly.enable(false)
    files.settle()
    log.base.finish()
    files.settle()
    log.set('a', '1')
    log.endTurn()
    log.appendOnly.disable()
    expect(loadedFrom(directory)).toEqual(log.data)
    log.set('a', '2')
    log.set('unrecorded', '1')
    log.endTurn()
    expect(loadedFrom(directory).get('a')).toBe('1')
    log.appendOnly.enable(false)
    log.set('b', '1')
    log.endTurn()
    files.settle()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
    expect(names()).toEqual(['appendonly.aof.2.base.rdb', 'appendonly.aof.2.incr.aof', 'appendonly.aof.manifest'])
  })

  test('yes right after no does not lose its files to what no has removed', () => {
    const { log, files } = off()
    log.appendOnly.enable(false)
    log.appendOnly.disable()
    expect(log.appendOnly.enable(false)).toBeNull()
    log.set('meanwhile', '1')
    log.endTurn()
    // Only now does the thread pool come to the removal.
    files.settle()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.state).toBe(AofState.On)
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(directory)).toEqual(log.data)
    expect(readdirSync(join(directory, 'appendonlydir')).filter((name) => name.startsWith('temp-'))).toEqual([])
  })

  test('yes is not hindered by what a killed process has left, which is removed', () => {
    const { log, files } = off()
    const folder = join(directory, 'appendonlydir')
    mkdirSync(folder)
    for (const name of ['incr', 'base', 'removed-1', 'removed-7'])
      writeFileSync(join(folder, `temp-appendonly.aof.${name}`), 'left')
    log.appendOnly.enable(false)
    files.settle()
    log.base.finish()
    files.settle()
    expect(log.appendOnly.state).toBe(AofState.On)
    expect(loadedFrom(directory)).toEqual(log.data)
    expect(readdirSync(folder).filter((name) => name.startsWith('temp-'))).toEqual([])
  })

  test('yes makes the log where dir is now', () => {
    const { log, files } = off({ 'enable-protected-configs': 'yes' })
    log.appendOnly.enable(false)
    files.settle()
    log.base.finish()
    log.appendOnly.disable()
    const other = temporaryDirectory()
    expect(log.config.set([['dir', other]], { isLocalClient: true, isLoading: false })).toBeNull()
    log.set('after', '1')
    log.endTurn()
    expect(log.appendOnly.enable(false)).toBeNull()
    files.settle()
    log.base.finish()
    files.settle()
    // Others may use the old one.
    const next = new LogUnderTest(directory, new SteppedFiles())
    logs.push(next)
    next.open()
    expect(loadedFrom(directory).get('after')).toBeUndefined()
    expect(log.appendOnly.close()).toBe(true)
    expect(loadedFrom(other)).toEqual(log.data)
    rmSync(other, { recursive: true })
  })

  test('no while the first rewrite is under way leaves nothing', () => {
    const { log, files } = off()
    log.appendOnly.enable(false)
    log.set('a', '1')
    log.endTurn()
    log.appendOnly.disable()
    files.settle()
    expect(log.base.isActive).toBe(false)
    expect(log.appendOnly).toMatchObject({ state: AofState.Off, isRewriting: false, isRewriteScheduled: false })
    expect(readdirSync(join(directory, 'appendonlydir'))).toEqual(['appendonly.aof.lock'])
  })
})
