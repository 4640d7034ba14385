/** Runs redis-benchmark and reads what it prints. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Latency } from './numbers.ts'

const run = promisify(execFile)
const TIMEOUT_MS = 300_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export interface BenchmarkResult {
  /** Requests per second. */
  readonly rate: number
  readonly latency: Latency
}

/** Runs one test of redis-benchmark, or one command. @throws Error when it fails or prints something else */
export async function redisBenchmark(port: number, args: readonly string[]): Promise<BenchmarkResult> {
  const { stdout } = await run('redis-benchmark', ['-p', String(port), '--precision', '3', ...args], {
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  return parseBenchmark(stdout)
}

/** Reads the report of one test: its plain form has more percentiles than `--csv`. */
export function parseBenchmark(output: string): BenchmarkResult {
  const rate = Number(/throughput summary: ([0-9.]+) requests/.exec(output)?.[1])
  const list = /Latency by percentile distribution:\n([\s\S]*?)\n\n/.exec(output)?.[1] ?? ''
  const steps = [...list.matchAll(/^([0-9.]+)% <= ([0-9.]+) milliseconds/gm)].map(([, share, ms]) => ({
    share: Number(share),
    ms: Number(ms),
  }))
  const p99 = Number(/p99 +max\n +(?:[0-9.]+ +){4}([0-9.]+)/.exec(output)?.[1])
  const reached = (share: number): number => steps.find((step) => step.share >= share)?.ms ?? Number.NaN
  const latency = { p50: reached(50), p99, p999: reached(99.9), longest: reached(100) }
  if (!(rate > 0) || Object.values(latency).some(Number.isNaN)) {
    throw new Error(`Cannot read the output of redis-benchmark: ${output.slice(-500)}`)
  }
  return { rate, latency }
}
