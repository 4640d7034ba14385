/** What a key remembers of its use. */
import { expect, test } from 'vitest'
import { ACCESS_MASK, AccessClock, AccessKind, FREQUENCY_MAX, IDLE_SECONDS_MAX } from '../../src/keyspace/access.ts'

const START_MS = 1_700_000_000_000
const MINUTE_MS = 60_000

/** A clock of frequencies whose counters grow at every use, or never. */
function frequencies(grows: boolean): AccessClock {
  const clock = new AccessClock()
  clock.kind = AccessKind.Frequency
  clock.random = () => (grows ? 0 : 0.999)
  return clock
}

test('idle times are counted in whole seconds, and two uses within one second are told apart', () => {
  const clock = new AccessClock()
  const first = clock.first(START_MS)
  expect(clock.idleSeconds(first, START_MS + 999)).toBe(0)
  expect(clock.idleSeconds(first, START_MS + 61_000)).toBe(61)
  const later = clock.next(first, START_MS + 250)
  expect(clock.evictionScore(first, START_MS + 400)).toBeGreaterThan(clock.evictionScore(later, START_MS + 400))
})

test('an idle time that was told is kept, as far back as the clock reaches', () => {
  const clock = new AccessClock()
  expect(clock.idleSeconds(clock.idleSince(1000, START_MS), START_MS + 5000)).toBe(1005)
  expect(clock.idleSeconds(clock.idleSince(1e12, START_MS), START_MS)).toBe(IDLE_SECONDS_MAX)
  expect(IDLE_SECONDS_MAX).toBeGreaterThan(0xffffff - 1)
  for (const ms of [0, 1, START_MS, START_MS * 2]) expect(clock.first(ms)).toBeLessThanOrEqual(ACCESS_MASK)
})

test('the score of a key grows only by not being used: it can be compared with one of before', () => {
  const clock = new AccessClock()
  const access = clock.first(START_MS)
  expect(clock.evictionScore(access, START_MS + 60_000)).toBe(clock.evictionScore(access, START_MS))
  expect(clock.evictionScore(clock.next(access, START_MS + 1000), START_MS + 1000)).toBeLessThan(
    clock.evictionScore(access, START_MS),
  )
})

test('a counter of uses begins at 5, grows up to 255, and loses one for each minute without use', () => {
  const clock = frequencies(true)
  let access = clock.first(START_MS)
  expect(clock.frequency(access, START_MS)).toBe(5)
  for (let i = 0; i < 300; i++) access = clock.next(access, START_MS)
  expect(clock.frequency(access, START_MS)).toBe(FREQUENCY_MAX)
  expect(clock.frequency(access, START_MS + 10 * MINUTE_MS)).toBe(FREQUENCY_MAX - 10)
  expect(clock.frequency(access, START_MS + 1000 * MINUTE_MS)).toBe(0)
  clock.decayMinutes = 5
  expect(clock.frequency(access, START_MS + 10 * MINUTE_MS)).toBe(FREQUENCY_MAX - 2)
  clock.decayMinutes = 0
  expect(clock.frequency(access, START_MS + 10 * MINUTE_MS)).toBe(FREQUENCY_MAX)
})

test('the counter grows with the probability that lfu-log-factor says', () => {
  const clock = frequencies(true)
  clock.logFactor = 10
  clock.random = () => 1 / 11
  // 15 is 10 above the first: one in 101.
  expect(clock.frequency(clock.next(clock.withFrequency(15, START_MS), START_MS), START_MS)).toBe(15)
  // 6 is one above: one in 11, which 1/11 just misses.
  expect(clock.frequency(clock.next(clock.withFrequency(6, START_MS), START_MS), START_MS)).toBe(6)
  expect(clock.frequency(clock.next(clock.withFrequency(5, START_MS), START_MS), START_MS)).toBe(6)
  clock.logFactor = 0
  expect(clock.frequency(clock.next(clock.withFrequency(200, START_MS), START_MS), START_MS)).toBe(201)
})

test('of two keys that are used as often the one that was used earlier goes first', () => {
  const clock = frequencies(false)
  const early = clock.withFrequency(7, START_MS)
  const late = clock.withFrequency(7, START_MS + MINUTE_MS / 2 + MINUTE_MS / 2)
  clock.decayMinutes = 0
  expect(clock.evictionScore(early, START_MS + MINUTE_MS)).toBeGreaterThan(
    clock.evictionScore(late, START_MS + MINUTE_MS),
  )
  expect(clock.evictionScore(clock.withFrequency(6, START_MS), START_MS)).toBeGreaterThan(
    clock.evictionScore(early, START_MS),
  )
})
