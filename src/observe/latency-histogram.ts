/**
 * How often a command took how long: a log-linear histogram of nanoseconds, up to a second. Hot path: add.
 *
 * Below 256 ns each value has a bucket; above, each power of two is divided into 128 buckets, so that a value is known to
 * one part in 128 at least. These are the buckets of Redis (HdrHistogram with two significant digits), so percentiles
 * are those it would give.
 *
 * A histogram is 24 KiB, and a script that calls thirty commands has thirty of them: the counter of a call is hardly ever in
 * the processor's cache. So calls are noted in one place, and counted some hundred at a time: then the processor waits for
 * many counters at once.
 */

const EXACT_MAX = 256
const BUCKETS_PER_POWER = 128
const POWER_SHIFT = 7
/** Longer times count as this long, in nanoseconds. */
const NS_MAX = 1_000_000_000
/** Up to 2^30, the power of two above NS_MAX. */
const BUCKETS = 24 * BUCKETS_PER_POWER
const NS_PER_US = 1000
/** Bounds of the distribution that is shown: each is twice the one before, in nanoseconds. */
const FIRST_BOUND_NS = 1024
const LAST_POWER = 30

/** Calls that are noted and not counted yet, at most. */
const NOTED_MAX = 256

const notedIn: LatencyHistogram[] = []
const notedBuckets = new Uint16Array(NOTED_MAX)
const notedTimes = new Uint32Array(NOTED_MAX)
let noted = 0

/** Counts what was noted, of all histograms. */
function countNoted(): void {
  for (let i = 0; i < noted; i++) notedIn[i]!.count(notedBuckets[i]!, notedTimes[i]!)
  noted = 0
}

/** The bucket of a time in microseconds. */
export function bucketOf(microseconds: number): number {
  const ns = Math.min(NS_MAX, Math.max(1, Math.floor(microseconds * NS_PER_US)))
  if (ns < EXACT_MAX) return ns
  const shift = 31 - Math.clz32(ns) - POWER_SHIFT
  return (shift << POWER_SHIFT) + (ns >>> shift)
}

export class LatencyHistogram {
  // Doubles: a busy server counts beyond 32 bits within an hour.
  private readonly counts = new Float64Array(BUCKETS)
  private sum = 0

  /** Times that were added. */
  get total(): number {
    countNoted()
    return this.sum
  }

  /** Adds a time by its bucket, so many times. */
  add(bucket: number, times = 1): void {
    notedIn[noted] = this
    notedBuckets[noted] = bucket
    notedTimes[noted] = times
    if (++noted === NOTED_MAX) countNoted()
  }

  /** As `add`, at once. */
  count(bucket: number, times: number): void {
    this.counts[bucket]! += times
    this.sum += times
  }

  /** The time in microseconds that so many percent of all do not exceed; 0 percent: the shortest. */
  percentile(percent: number): number {
    const { total } = this
    const wanted = Math.max(1, Math.floor((percent / 100) * total + 0.5))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.counts[bucket]!
      if (seen >= wanted) return (percent === 0 ? lowestOf(bucket) : highestOf(bucket)) / NS_PER_US
    }
    return 0
  }

  /** Pairs of a time in whole microseconds and how many did not exceed it; only times at which the number grows. */
  distribution(): [microseconds: number, count: number][] {
    const { total } = this
    const pairs: [number, number][] = []
    let bucket = 0
    let seen = 0
    let shown = 0
    for (let bound = FIRST_BOUND_NS; shown < total && bound <= 2 ** LAST_POWER; bound *= 2) {
      const last = Math.min(BUCKETS - 1, bucketOfBound(bound))
      while (bucket <= last) seen += this.counts[bucket++]!
      if (seen > shown) pairs.push([Math.floor(highestOf(last) / NS_PER_US), seen])
      shown = seen
    }
    return pairs
  }
}

/** As `bucketOf`, for a power of two in nanoseconds, which may be beyond the last bucket. */
function bucketOfBound(ns: number): number {
  const shift = Math.log2(ns) - POWER_SHIFT
  return (shift << POWER_SHIFT) + BUCKETS_PER_POWER
}

function lowestOf(bucket: number): number {
  if (bucket < EXACT_MAX) return bucket
  const shift = (bucket >>> POWER_SHIFT) - 1
  return ((bucket & (BUCKETS_PER_POWER - 1)) + BUCKETS_PER_POWER) * 2 ** shift
}

function highestOf(bucket: number): number {
  return lowestOf(bucket + 1) - 1
}
