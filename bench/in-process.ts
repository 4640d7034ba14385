/** Calls of `broker.call` in the process of the broker, one after the other and with many under way; calls/s on one core. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createBroker, type LocalBroker } from '../src/index.ts'
import { median } from './support/numbers.ts'
import { type Bench, column, isWanted, table } from './support/report.ts'

const FILE = fileURLToPath(import.meta.url)
const ROUNDS = 7
const KEYS = 100_000
const SAMPLE_MS = 400
const QUICK_MS = 20
/** Calls that are made before the last of them is awaited; all of them are answered in order. */
const UNDER_WAY = 1000
/** The keys are made in another order than that in which they are asked for. */
const STRIDE = 7919
const VALUE = 'value-of-twenty-bytes'

/** What the measuring process is told, and answers. */
interface Task {
  readonly rounds: number
  readonly sampleMs: number
}
type Rates = Readonly<Record<string, readonly Sample[]>>

interface Sample {
  /** Calls per second. */
  readonly rate: number
  /** CPU time of all threads for a call. */
  readonly cpuNs: number
}

type Call = (broker: LocalBroker, key: string) => Promise<unknown>
const CALLS: Readonly<Record<string, Call>> = {
  SET: (broker, key) => broker.call('SET', key, VALUE),
  GET: (broker, key) => broker.call('GET', key),
}

export const inProcess: Bench = {
  name: 'in-process',
  summary: 'broker.call GET and SET without sockets, calls/s; 15 seconds',
  programs: [],
  run: async (options) => {
    const task = {
      rounds: options.rounds ?? (options.isQuick ? 1 : ROUNDS),
      sampleMs: options.isQuick ? QUICK_MS : SAMPLE_MS,
    }
    // A process of its own: what other benches have compiled and collected must not count.
    const child = fork(FILE)
    child.send(task)
    const [rates] = (await once(child, 'message')) as [Rates]
    child.disconnect()
    const rows = Object.entries(rates)
      .filter(([name]) => isWanted(name, options))
      .map(([name, samples]) => [name, rateOf(samples) / 1e6, median(samples.map(({ cpuNs }) => cpuNs))])
    return {
      method: `${KEYS.toLocaleString('en-US')} keys, values of ${VALUE.length} bytes, medians of ${task.rounds} rounds of ${task.sampleMs} ms; ${UNDER_WAY} calls under way, or each awaited before the next.`,
      tables: [table('broker.call', [column('call', 0), column('million/s', 2), column('CPU ns/call', 0)], rows)],
      goals: Object.entries(rates)
        .filter(([name]) => !name.includes('awaited'))
        .map(([name, samples]) => ({
          what: `broker.call ${name}, million/s`,
          atLeast: 2,
          figure: rateOf(samples) / 1e6,
        })),
      plots: [],
    }
  },
}

async function measure({ rounds, sampleMs }: Task): Promise<Rates> {
  const broker = await createBroker()
  // Parsed ones lie one behind the other: what the program's own strings cost to fetch is not the broker's.
  const text = JSON.stringify(Array.from({ length: KEYS }, (_, i) => `key:${String(i).padStart(12, '0')}`))
  const keys = JSON.parse(text) as string[]
  for (let i = 0; i < KEYS; i++) await broker.call('SET', keys[(i * STRIDE) % KEYS]!, VALUE)
  const rates: Record<string, Sample[]> = {}
  // The first round is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, call] of Object.entries(CALLS)) {
      for (const underWay of [UNDER_WAY, 1]) {
        const figures = await sample(broker, keys, call, underWay, sampleMs)
        const label = underWay === 1 ? `${name}, each awaited` : name
        if (round > 0) (rates[label] ??= []).push(figures)
      }
    }
  }
  await broker.close()
  return rates
}

async function sample(
  broker: LocalBroker,
  keys: readonly string[],
  call: Call,
  underWay: number,
  sampleMs: number,
): Promise<Sample> {
  const cpu = process.cpuUsage()
  const begunMs = performance.now()
  let calls = 0
  let passedMs = 0
  while (passedMs < sampleMs) {
    let last: Promise<unknown> = Promise.resolve()
    for (let i = 0; i < underWay; i++) last = call(broker, keys[(calls + i) % KEYS]!)
    await last
    calls += underWay
    passedMs = performance.now() - begunMs
  }
  const { user, system } = process.cpuUsage(cpu)
  return { rate: (calls * 1000) / passedMs, cpuNs: ((user + system) * 1000) / calls }
}

function rateOf(samples: readonly Sample[]): number {
  return median(samples.map(({ rate }) => rate))
}

if (process.argv[1] === FILE) {
  const [task] = (await once(process, 'message')) as [Task]
  process.send?.(await measure(task))
}
