/**
 * Directives with a grammar of their own: save, bind, client-output-buffer-limit, oom-score-adj-values,
 * notify-keyspace-events, latency-tracking-info-percentiles, replicaof, dir, oom-score-adj.
 * Source: Valkey src/config.c, the `setConfig…Option` and `rewriteConfig…Option` functions.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseDouble } from '../bytes/double.ts'
import { quote } from '../bytes/quoting.ts'
import { type Directive, type DirectiveOptions, define, ValueError } from './directive.ts'
import { formatKeyspaceEvents, parseKeyspaceEvents } from './keyspace-events.ts'
import { formatMemory, parseLoose, parseMemory } from './number-text.ts'
import { decodePath, encodePath } from './path-text.ts'
import { systemErrorText } from './system-error.ts'

/** Snapshot after `seconds` if there were at least `changes`. */
export interface SavePoint {
  readonly seconds: number
  readonly changes: number
}

/** Limits of the output buffer of one class of clients; 0 means no limit. */
export interface OutputBufferLimit {
  readonly hardBytes: number
  readonly softBytes: number
  readonly softSeconds: number
}

/** The limits per class of clients. */
export interface OutputBufferLimits {
  readonly normal: OutputBufferLimit
  readonly replica: OutputBufferLimit
  readonly pubsub: OutputBufferLimit
}

/** The primary to replicate from. */
export interface ReplicaOf {
  readonly host: string
  readonly port: number
}

/** Save points accumulate line by line; the first line replaces the defaults, an empty one clears them. */
export function savePoints(
  initial: readonly SavePoint[],
  doc: string,
  options: DirectiveOptions<readonly SavePoint[]>,
): Directive<readonly SavePoint[]> {
  const pointText = (point: SavePoint): string => `${point.seconds} ${point.changes}`
  return define<readonly SavePoint[]>(
    {
      kind: 'seconds and changes, repeated',
      range: '',
      initial,
      parse(words, previous, context) {
        const isClear = words.length === 1 && words[0] === ''
        const added = isClear ? [] : parseSavePoints(words)
        const keepsPrevious = context.isLoading && !context.isFirst && !isClear
        return keepsPrevious ? [...previous, ...added] : added
      },
      format: (value) => value.map(pointText).join(' '),
      rewrite: (value) =>
        value.length === 0
          ? [{ text: '""', isForced: true }]
          : value.map((point) => ({ text: pointText(point), isForced: true })),
    },
    doc,
    options,
  )
}

function parseSavePoints(words: readonly string[]): SavePoint[] {
  const numbers = words.map((word) => parseLoose(word, 10))
  const points: SavePoint[] = []
  for (let i = 0; i < numbers.length; i += 2) {
    const seconds = numbers[i] ?? null
    const changes = numbers[i + 1] ?? null
    if (seconds === null || changes === null || seconds < 1n || changes < 0n) {
      throw new ValueError('Invalid save parameters')
    }
    points.push({ seconds: Number(seconds), changes: Number(changes) })
  }
  return points
}

const BIND_ADDRESSES_MAX = 16
const WORDS_MAX = 100

/** Addresses to listen on; at the default, CONFIG REWRITE leaves the directive out. */
export function addresses(
  initial: readonly string[],
  doc: string,
  options: DirectiveOptions<readonly string[]>,
): Directive<readonly string[]> {
  const limit = { max: BIND_ADDRESSES_MAX, error: 'Too many bind addresses specified.' }
  return words('addresses', initial, limit, doc, options)
}

/** Any number of words, in one line; none by default. */
export function wordList(doc: string, options: DirectiveOptions<readonly string[]>): Directive<readonly string[]> {
  return words('words', [], { max: WORDS_MAX, error: `More than ${WORDS_MAX} words` }, doc, options)
}

function words(
  kind: string,
  initial: readonly string[],
  limit: { readonly max: number; readonly error: string },
  doc: string,
  options: DirectiveOptions<readonly string[]>,
): Directive<readonly string[]> {
  return define<readonly string[]>(
    {
      kind,
      range: `up to ${limit.max}`,
      initial,
      parse(given) {
        if (given.length > limit.max) throw new ValueError(limit.error)
        return given.length === 1 && given[0] === '' ? [] : [...given]
      },
      format: (value) => value.join(' '),
      rewrite(value) {
        if (value.join(' ') === initial.join(' ')) return []
        return [{ text: value.length === 0 ? '""' : value.join(' '), isForced: true }]
      },
    },
    doc,
    options,
  )
}

type ClientClass = keyof OutputBufferLimits

/** Class names as they may be written, and the class that each means. */
const CLIENT_CLASSES: ReadonlyMap<string, ClientClass> = new Map([
  ['normal', 'normal'],
  ['slave', 'replica'],
  ['replica', 'replica'],
  ['pubsub', 'pubsub'],
])

/** Limits per class of clients; classes that a line does not name keep theirs. */
export function outputBufferLimits(
  initial: OutputBufferLimits,
  doc: string,
  options: DirectiveOptions<OutputBufferLimits>,
): Directive<OutputBufferLimits> {
  return define<OutputBufferLimits>(
    {
      kind: 'class, hard limit, soft limit, soft seconds, repeated',
      range: 'classes normal, replica, pubsub',
      initial,
      parse(words, previous) {
        if (words.length % 4 !== 0) throw new ValueError('Wrong number of arguments in buffer limit configuration.')
        const limits = { ...previous }
        for (let i = 0; i < words.length; i += 4) {
          const name = CLIENT_CLASSES.get((words[i] ?? '').toLowerCase())
          if (name === undefined) throw new ValueError('Invalid client class specified in buffer limit configuration.')
          limits[name] = parseLimit(words.slice(i + 1, i + 4))
        }
        return limits
      },
      format: (value) =>
        [limitText('normal', value.normal), limitText('slave', value.replica), limitText('pubsub', value.pubsub)].join(
          ' ',
        ),
      rewrite: (value) =>
        (['normal', 'replica', 'pubsub'] as const).map((name) => {
          const limit = value[name]
          const hard = formatMemory(BigInt(limit.hardBytes))
          const soft = formatMemory(BigInt(limit.softBytes))
          const isForced = limitText(name, limit) !== limitText(name, initial[name])
          return { text: `${name} ${hard} ${soft} ${limit.softSeconds}`, isForced }
        }),
    },
    doc,
    options,
  )
}

function parseLimit(words: readonly string[]): OutputBufferLimit {
  const hard = parseMemory(words[0] ?? '')
  const soft = parseMemory(words[1] ?? '')
  const seconds = parseLoose(words[2] ?? '', 10)
  if (hard === null || soft === null || seconds === null || seconds < 0n) {
    throw new ValueError('Error in hard, soft or soft_seconds setting in buffer limit configuration.')
  }
  return { hardBytes: Number(hard), softBytes: Number(soft), softSeconds: Number(seconds) }
}

function limitText(name: string, limit: OutputBufferLimit): string {
  return `${name} ${limit.hardBytes} ${limit.softBytes} ${limit.softSeconds}`
}

/** Three numbers for the kernel's out-of-memory score: primary, replica, child. */
export function oomScores(
  initial: readonly number[],
  doc: string,
  options: DirectiveOptions<readonly number[]>,
): Directive<readonly number[]> {
  return define<readonly number[]>(
    {
      kind: 'three integers',
      range: '-2000 – 2000',
      initial,
      parse(words) {
        if (words.length !== initial.length) throw new ValueError('wrong number of arguments')
        return words.map((word) => {
          const score = parseLoose(word, 10)
          if (score === null || score < -2000n || score > 2000n) {
            throw new ValueError('Invalid oom-score-adj-values, elements must be between -2000 and 2000.')
          }
          return Number(score)
        })
      },
      format: (value) => value.join(' '),
      rewrite: (value) => [{ text: value.join(' '), isForced: value.join(' ') !== initial.join(' ') }],
    },
    doc,
    options,
  )
}

const OOM_SCORE_MODES = ['no', 'yes', 'relative', 'absolute']

/** `relative` is another word for `yes` and is shown as that. */
export function oomScoreMode(doc: string, options: DirectiveOptions<string>): Directive<string> {
  return define<string>(
    {
      kind: 'one of',
      range: OOM_SCORE_MODES.join(', '),
      initial: 'no',
      parse(words) {
        const word = (words[0] ?? '').toLowerCase()
        if (!OOM_SCORE_MODES.includes(word)) {
          throw new ValueError(`argument(s) must be one of the following: ${OOM_SCORE_MODES.join(', ')}`)
        }
        return word === 'relative' ? 'yes' : word
      },
      format: (value) => value,
      rewrite: (value) => [{ text: value, isForced: value !== 'no' }],
    },
    doc,
    options,
  )
}

/** Classes of keyspace notifications, as bits of `KeyspaceEvent`. */
export function keyspaceEvents(doc: string): Directive<number> {
  return define<number>(
    {
      kind: 'letters',
      range: 'A g $ l s h z x e t d n K E m',
      initial: 0,
      parse(words) {
        const bits = parseKeyspaceEvents(words[0] ?? '')
        // The list in the text leaves out some letters, in Redis too.
        if (bits === null) throw new ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return bits
      },
      format: formatKeyspaceEvents,
      rewrite: (value) => [{ text: quote(formatKeyspaceEvents(value)), isForced: value !== 0 }],
    },
    doc,
    {},
  )
}

/** Percentiles between 0 and 100, shown with up to six decimals. */
export function percentiles(
  initial: readonly number[],
  doc: string,
  options: DirectiveOptions<readonly number[]>,
): Directive<readonly number[]> {
  const format = (value: readonly number[]): string => value.map((n) => String(Number(n.toFixed(6)))).join(' ')
  return define<readonly number[]>(
    {
      kind: 'numbers',
      range: '0 – 100',
      initial,
      parse(words) {
        if (words.length === 1 && words[0] === '') return []
        return words.map((word) => {
          const percentile = parseDouble(word)
          if (percentile === null) throw new ValueError('Invalid latency-tracking-info-percentiles parameters')
          if (percentile > 100 || percentile < 0) {
            throw new ValueError('latency-tracking-info-percentiles parameters should sit between [0.0,100.0]')
          }
          return percentile
        })
      },
      format,
      rewrite: (value) => [{ text: value.length === 0 ? '""' : format(value), isForced: true }],
    },
    doc,
    options,
  )
}

const PORT_MAX = 65535n

/** Host and port of the primary; `null` for `no one`. */
export function replicaOf(doc: string, options: DirectiveOptions<ReplicaOf | null>): Directive<ReplicaOf | null> {
  return define<ReplicaOf | null>(
    {
      kind: 'host and port',
      range: '',
      initial: null,
      parse(words) {
        const [host = '', portText = ''] = words
        if (words.length !== 2) throw new ValueError('wrong number of arguments')
        if (host.toLowerCase() === 'no' && portText.toLowerCase() === 'one') return null
        const port = parseLoose(portText, 10)
        if (port === null || port < 0n || port > PORT_MAX) throw new ValueError('Invalid master port')
        return { host, port: Number(port) }
      },
      format: (value) => (value === null ? '' : `${value.host} ${value.port}`),
      rewrite: (value) => (value === null ? [] : [{ text: `${value.host} ${value.port}`, isForced: true }]),
    },
    doc,
    options,
  )
}

/**
 * The directory of all files of the server, absolute unless it is the default. Redis changes its own working directory
 * as soon as it reads this, so a relative path counts from the directory set before, if there is one.
 */
export function directory(initial: string, doc: string, options: DirectiveOptions<string>): Directive<string> {
  return define<string>(
    {
      kind: 'path',
      range: '',
      initial,
      parse(words, previous) {
        const path = decodePath(words[0] ?? '')
        const absolute = resolve(previous === initial ? '.' : decodePath(previous), path)
        const refusal = path === '' ? 'No such file or directory' : refuseDirectory(absolute)
        if (refusal !== null) throw new ValueError(refusal)
        return encodePath(absolute)
      },
      format: absoluteText,
      rewrite: (value) => [{ text: quote(absoluteText(value)), isForced: true }],
    },
    doc,
    options,
  )
}

function absoluteText(value: string): string {
  return encodePath(resolve(decodePath(value)))
}

function refuseDirectory(path: string): string | null {
  try {
    if (!statSync(path).isDirectory()) return 'Not a directory'
    accessSync(path, constants.X_OK)
    return null
  } catch (error) {
    return systemErrorText(error)
  }
}
