/**
 * Settings of a worker process: from the command line, else from the environment, else the default.
 *
 * When you add one: a row of OPTIONS, a field of WorkerSettings, a line in workers/README.md (a test compares them).
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { QueuePrefixError, queuePrefix, RedisUrlError } from '../src/index.ts'

export interface WorkerSettings {
  /** Absolute path of the module with the processor. */
  readonly processor: string
  readonly queue: string
  /** Prefix of the queue's keys. */
  readonly prefix: string
  /** URL of the broker, as `createRedisClient` takes it. */
  readonly url: string
  /** Jobs worked on at the same time. */
  readonly concurrency: number
  /** At most so many jobs in so many milliseconds; null: no limit. */
  readonly limiter: { readonly max: number; readonly duration: number } | null
  /** How long active jobs may take after SIGTERM, in ms. */
  readonly shutdownTimeoutMs: number
  /** How often the health line is logged, in ms; 0: never. */
  readonly healthIntervalMs: number
  readonly logLevel: string
}

interface Option {
  readonly name: string
  readonly variable: string
  /** Null: must be given. */
  readonly initial: string | null
  readonly meaning: string
}

export const OPTIONS: readonly Option[] = [
  {
    name: 'processor',
    variable: 'MILLRACE_PROCESSOR',
    initial: null,
    meaning: 'module that exports the function `processor`',
  },
  { name: 'queue', variable: 'MILLRACE_QUEUE', initial: null, meaning: 'name of the queue' },
  {
    name: 'prefix',
    variable: 'MILLRACE_PREFIX',
    initial: 'bull, in a cluster {bull}',
    meaning: "prefix of the queue's keys",
  },
  {
    name: 'url',
    variable: 'MILLRACE_URL',
    initial: 'redis://127.0.0.1:6379',
    meaning: 'broker: redis://, rediss://, redis-sentinel:// or redis-cluster://',
  },
  { name: 'concurrency', variable: 'MILLRACE_CONCURRENCY', initial: '10', meaning: 'jobs worked on at the same time' },
  { name: 'limiter', variable: 'MILLRACE_LIMITER', initial: '', meaning: 'at most N jobs in M milliseconds: N/M' },
  {
    name: 'shutdown-timeout',
    variable: 'MILLRACE_SHUTDOWN_TIMEOUT',
    initial: '30000',
    meaning: 'time for active jobs after SIGTERM, in ms',
  },
  {
    name: 'health-interval',
    variable: 'MILLRACE_HEALTH_INTERVAL',
    initial: '30000',
    meaning: 'time between health lines, in ms; 0: none',
  },
  {
    name: 'log-level',
    variable: 'MILLRACE_LOG_LEVEL',
    initial: 'info',
    meaning: 'trace, debug, info, warn, error or silent',
  },
]

const LOG_LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'silent']

/** Longest time that a timer takes, in ms. */
const TIME_MAX_MS = 2 ** 31 - 1
const CONCURRENCY_MAX = 100_000

/** A setting that is missing or wrong; the message says which and why. */
export class SettingError extends Error {
  override readonly name = 'SettingError'
}

/** Reads the settings; null when help was asked for. @throws SettingError */
export function readSettings(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): WorkerSettings | null {
  const given = parse(argv)
  if (given.help === true) return null
  const chosen = (option: Option): string | null => {
    const value = given[option.name] ?? environment[option.variable]
    return typeof value === 'string' ? value : null
  }
  const text = (name: string): string => {
    const option = optionOf(name)
    const value = chosen(option) ?? option.initial
    if (value !== null) return value
    throw new SettingError(`--${name} (or ${option.variable}) is missing: ${option.meaning}`)
  }
  const logLevel = text('log-level')
  if (!LOG_LEVELS.includes(logLevel))
    throw new SettingError(`--log-level must be one of ${LOG_LEVELS.join(', ')}, not '${logLevel}'`)
  return {
    processor: resolve(text('processor')),
    queue: notEmpty('queue', text('queue')),
    ...place(text('url'), chosen(optionOf('prefix'))),
    concurrency: integer('concurrency', text('concurrency'), 1, CONCURRENCY_MAX),
    limiter: limiter(text('limiter')),
    shutdownTimeoutMs: integer('shutdown-timeout', text('shutdown-timeout'), 0, TIME_MAX_MS),
    healthIntervalMs: integer('health-interval', text('health-interval'), 0, TIME_MAX_MS),
    logLevel,
  }
}

/** What `--help` prints. */
export function usage(): string {
  const lines = OPTIONS.map(({ name, variable, initial, meaning }) => {
    const note = initial === null ? 'required' : initial === '' ? 'default: none' : `default: ${initial}`
    return `  --${name.padEnd(18)}${meaning} (${note}; ${variable})`
  })
  return `Usage: millrace-worker --processor ./processor.ts --queue name [options]\n\n${lines.join('\n')}\n`
}

function optionOf(name: string): Option {
  return OPTIONS.find((option) => option.name === name)!
}

function parse(argv: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  const options = Object.fromEntries(OPTIONS.map(({ name }) => [name, { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...argv], options: { ...options, help: { type: 'boolean' } }, allowPositionals: false })
      .values
  } catch (error) {
    throw new SettingError(error instanceof Error ? error.message : String(error))
  }
}

function notEmpty(name: string, value: string): string {
  if (value === '') throw new SettingError(`--${name} must not be empty`)
  return value
}

function integer(name: string, value: string, min: number, max: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (number >= min && number <= max) return number
  throw new SettingError(`--${name} must be an integer from ${min} to ${max}, not '${value}'`)
}

function limiter(value: string): WorkerSettings['limiter'] {
  if (value === '') return null
  const parts = /^(\d+)\/(\d+)$/.exec(value)
  if (parts === null)
    throw new SettingError(`--limiter must be a number of jobs and a time in ms, such as 100/1000, not '${value}'`)
  return { max: integer('limiter', parts[1]!, 1, TIME_MAX_MS), duration: integer('limiter', parts[2]!, 1, TIME_MAX_MS) }
}

/** Where the queue is. The prefix depends on the URL. */
function place(url: string, prefix: string | null): Pick<WorkerSettings, 'url' | 'prefix'> {
  try {
    return { url, prefix: queuePrefix(url, prefix === null ? null : notEmpty('prefix', prefix)) }
  } catch (error) {
    // The URL itself is not repeated: it may hold a password.
    if (error instanceof RedisUrlError) throw new SettingError(`--url: ${error.reason}`)
    if (error instanceof QueuePrefixError) throw new SettingError(`--prefix: ${error.message}`)
    throw error
  }
}
