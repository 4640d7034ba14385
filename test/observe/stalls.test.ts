/** What held up the loop, and what it is put down to. */
import { expect, test } from 'vitest'
import { LatencyMonitor } from '../../src/observe/latency-monitor.ts'
import { StallCause, Stalls } from '../../src/observe/stalls.ts'

/** Stalls under a clock that the test moves. */
class Loop {
  nowMs = 1000
  readonly latency = new LatencyMonitor(() => 5000)
  readonly stalls = new Stalls(this.latency, () => this.nowMs)

  /** A part of the turn that takes so long. */
  part(cause: StallCause, ms: number): void {
    const startMs = this.nowMs
    this.nowMs += ms
    this.stalls.took(cause, startMs)
  }

  command(name: string, ms: number, cause: StallCause = StallCause.Command): number {
    this.nowMs += ms
    this.stalls.commandTook(name, cause, ms)
    return ms
  }

  /** One turn: what `work` does; it returns the time of its commands. */
  turn(work: () => number): void {
    this.stalls.beginTurn()
    this.stalls.endTurn(work())
    this.nowMs += 10
  }

  /** Causes with their counts, when all is counted. */
  causes(): Record<string, number> {
    this.stalls.settle()
    this.stalls.settle()
    return Object.fromEntries([...this.stalls.byCause].map(([cause, { count }]) => [cause, count]))
  }
}

test('a turn that is over within a millisecond is no stall', () => {
  const loop = new Loop()
  loop.turn(() => loop.command('get', 0.9))
  loop.turn(() => {
    loop.part(StallCause.Expiry, 0.9)
    return 0
  })
  expect(loop.causes()).toEqual({})
  expect(loop.stalls.longest).toBeNull()
})

test('a stall is put down to the command that took half of the time of its commands, else to several', () => {
  const loop = new Loop()
  loop.turn(() => loop.command('ping', 0.1) + loop.command('keys', 30))
  loop.turn(() => {
    let ms = 0
    for (let i = 0; i < 100; i++) ms += loop.command('get', 0.05)
    return ms
  })
  loop.turn(() => loop.command('keys', 4) && loop.command('eval', 6, StallCause.Script) + 4)
  expect(loop.causes()).toEqual({ command: 2, script: 1 })
  const commands = [...loop.stalls.byCommand].map(([name, { count, maxMs }]) => [name, count, Math.round(maxMs)])
  expect(commands).toEqual([
    ['keys', 1, 30],
    ['several', 1, 5],
    ['eval', 1, 10],
  ])
  expect(loop.stalls.longest).toEqual({ ms: expect.closeTo(30.1), cause: 'command', command: 'keys' })
})

test('a stall is put down to the part that took half of it, also within a command, and otherwise to nothing known', () => {
  const loop = new Loop()
  loop.turn(() => {
    loop.part(StallCause.Eviction, 3)
    return loop.command('set', 1) + 3
  })
  loop.turn(() => {
    loop.part(StallCause.AofWrite, 4)
    return loop.command('set', 1)
  })
  loop.turn(() => {
    loop.nowMs += 5
    return 0
  })
  expect(loop.causes()).toEqual({ eviction: 1, 'aof-write': 1, other: 1 })
})

test('what is done between turns is a stall of its own', () => {
  const loop = new Loop()
  loop.part(StallCause.Snapshot, 1.5)
  loop.part(StallCause.Loading, 12)
  loop.part(StallCause.Loading, 0.5)
  expect(loop.causes()).toEqual({ snapshot: 1, loading: 1 })
})

test('a stall is put down to the garbage collector when that took half of it, told later', () => {
  const loop = new Loop()
  loop.turn(() => loop.command('eval', 10, StallCause.Script))
  loop.turn(() => loop.command('eval', 10, StallCause.Script))
  // The first turn lasted from 1000 to 1010, the second one from 1020 to 1030.
  loop.stalls.settle()
  loop.stalls.collected(1001, 3)
  loop.stalls.collected(1005, 3)
  loop.stalls.collected(1021, 4)
  // While nothing else was noted.
  loop.stalls.collected(1500, 2)
  loop.stalls.collected(1600, 0.5)
  expect(loop.causes()).toEqual({ gc: 2, script: 1 })
})

test('stalls wait for one tick to the next, and are counted at once beyond a number', () => {
  const loop = new Loop()
  loop.turn(() => loop.command('keys', 5))
  loop.stalls.settle()
  expect(loop.stalls.byCause.size).toBe(0)
  loop.stalls.settle()
  expect(loop.stalls.byCause.get('command')?.count).toBe(1)
  for (let i = 0; i < 300; i++) loop.turn(() => loop.command('keys', 5))
  expect(loop.stalls.byCause.get('command')?.count).toBe(1 + 300 - 256)
  expect(loop.causes()).toEqual({ command: 301 })
})

test('histograms hold how many were no longer than each bound', () => {
  const loop = new Loop()
  for (const ms of [1, 2, 2.5, 49, 99, 2000, 9000]) loop.part(StallCause.LazyFree, ms)
  expect(loop.causes()).toEqual({ lazyfree: 7 })
  const { counts, count, sumMs, maxMs } = loop.stalls.byCause.get('lazyfree')!
  // 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, more
  expect([...counts]).toEqual([2, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1])
  expect([count, sumMs, maxMs]).toEqual([7, 11153.5, 9000])
})

test('the latency monitor gets events of its threshold and above, by the names of Redis where there are some', () => {
  const loop = new Loop()
  loop.part(StallCause.Expiry, 50)
  loop.latency.thresholdMs = 10
  for (const cause of [StallCause.Expiry, StallCause.Eviction, StallCause.AofWrite]) loop.part(cause, 20)
  loop.part(StallCause.LazyFree, 5)
  loop.stalls.collected(0, 30)
  expect([...loop.latency.series.keys()]).toEqual(['expire-cycle', 'eviction-cycle', 'aof-write', 'gc'])
  expect(loop.latency.series.get('expire-cycle')?.maxMs).toBe(20)
})

test('a reset forgets all, also what waits', () => {
  const loop = new Loop()
  loop.part(StallCause.Snapshot, 5)
  loop.causes()
  loop.part(StallCause.Snapshot, 5)
  loop.stalls.reset()
  expect(loop.causes()).toEqual({})
  expect(loop.stalls.longest).toBeNull()
})
