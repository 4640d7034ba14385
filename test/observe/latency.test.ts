/** Histograms of times and the series of the latency monitor. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bucketOf, LatencyHistogram } from '../../src/observe/latency-histogram.ts'
import { LatencyMonitor } from '../../src/observe/latency-monitor.ts'

describe('a histogram', () => {
  const microseconds = fc.oneof(
    fc.double({ min: 0, max: 10, noNaN: true }),
    fc.double({ min: 0, max: 2e6, noNaN: true }),
  )

  test('knows each time to one part in 128', () => {
    fc.assert(
      fc.property(microseconds, (time) => {
        const histogram = new LatencyHistogram()
        histogram.add(bucketOf(time))
        const ns = Math.min(1e9, Math.max(1, Math.floor(time * 1000)))
        const high = Math.round(histogram.percentile(50) * 1000)
        expect(high).toBeGreaterThanOrEqual(ns)
        expect(high - ns).toBeLessThanOrEqual(ns / 128)
        expect(Math.round(histogram.percentile(0) * 1000)).toBeLessThanOrEqual(ns)
      }),
    )
  })

  test('has percentiles that so many times do not exceed', () => {
    const histogram = new LatencyHistogram()
    for (let us = 1; us <= 1000; us++) histogram.add(bucketOf(us))
    expect(histogram.total).toBe(1000)
    // Ends of buckets, in microseconds.
    expect([50, 99, 99.9, 100].map((p) => histogram.percentile(p))).toEqual([501.759, 991.231, 999.423, 1003.519])
  })

  test('is distributed over powers of two, up to those of the slowest', () => {
    const histogram = new LatencyHistogram()
    for (const us of [0.5, 1, 1.5, 3, 3, 100, 5_000_000]) histogram.add(bucketOf(us))
    expect(histogram.distribution()).toEqual([
      [1, 2],
      [2, 3],
      [4, 5],
      [132, 6],
      [1_073_741, 7],
    ])
  })

  test('without times has no distribution', () => {
    expect(new LatencyHistogram().distribution()).toEqual([])
    expect(new LatencyHistogram().percentile(99)).toBe(0)
  })
})

describe('the latency monitor', () => {
  test('keeps the longest of each second, and the last 160 of them', () => {
    let nowMs = 5000
    const monitor = new LatencyMonitor(() => nowMs)
    monitor.note('command', 1e6)
    expect(monitor.series.size).toBe(0)
    monitor.thresholdMs = 10
    monitor.note('command', 9999)
    expect(monitor.series.size).toBe(0)
    for (const us of [10_000, 30_999, 20_000]) monitor.note('command', us)
    expect(monitor.series.get('command')!.samples).toEqual([{ timeSeconds: 5, ms: 30 }])
    for (let i = 0; i < 200; i++) {
      nowMs += 1000
      monitor.note('command', 11_000)
    }
    const { samples, maxMs, latest } = monitor.series.get('command')!
    expect(samples.length).toBe(160)
    expect(samples[0]).toEqual({ timeSeconds: 46, ms: 11 })
    expect(latest).toEqual({ timeSeconds: 205, ms: 11 })
    expect(maxMs).toBe(30)
  })

  test('forgets events by name, in any case', () => {
    const monitor = new LatencyMonitor(() => 0)
    monitor.thresholdMs = 1
    monitor.note('command', 1e6)
    monitor.note('expire-cycle', 1e6)
    expect([monitor.reset('COMMAND'), monitor.reset('command'), monitor.resetAll()]).toEqual([1, 0, 1])
  })
})
