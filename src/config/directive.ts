/**
 * What a directive is, and builders for the plain kinds. The table itself is `directives.ts`; kinds with a grammar of
 * their own (`save`, `bind` …) are in `special-directives.ts`.
 *
 * A value is parsed from words, written back as the one text of CONFIG GET, and as the lines of CONFIG REWRITE.
 * Texts of errors are Redis' own. Source: Valkey src/config.c, "Generic config types".
 *
 * When you add a directive, also run `node docs/generate-configuration.ts`.
 */
import { quote } from '../bytes/quoting.ts'
import { formatMemory, parseInt64, parseLoose, parseMemory } from './number-text.ts'

/** Properties of a directive; add them up. */
export const DirectiveFlag = {
  None: 0,
  /** Only at start, not by CONFIG SET. */
  Immutable: 1 << 0,
  /** By CONFIG SET only if `enable-protected-configs` allows it. */
  Protected: 1 << 1,
  /** The value is a secret: not to appear in logs, SLOWLOG or MONITOR. */
  Sensitive: 1 << 2,
  /** Shown by CONFIG GET only under its exact name. */
  Hidden: 1 << 3,
  /** Takes any number of words. */
  MultiArg: 1 << 4,
  /** Not while the data is loading. */
  DenyLoading: 1 << 5,
  /**
   * With Immutable, for what Redis does not have: CONFIG SET may give it the value it has, so that whoever sets all that
   * CONFIG GET shows succeeds here as there.
   */
  Own: 1 << 6,
} as const

export const EffectKind = { Effective: 0, Inert: 1, Later: 2 } as const
export type EffectKind = (typeof EffectKind)[keyof typeof EffectKind]

/** Whether this server acts on a directive. */
export interface Effect {
  readonly kind: EffectKind
  /** Why it has no effect. Empty if it has. */
  readonly reason: string
  /** True if a server that ignored the setting would be unsafe or a different kind of server: it does not start. */
  readonly isFatal: boolean
}

export const EFFECTIVE: Effect = { kind: EffectKind.Effective, reason: '', isFatal: false }

/** A tuning hint that means nothing here: accepted and documented. */
export function inert(reason: string): Effect {
  return { kind: EffectKind.Inert, reason, isFatal: false }
}

/** A feature that is not built: another value than the default is accepted with a warning. */
export function later(reason: string): Effect {
  return { kind: EffectKind.Later, reason, isFatal: false }
}

/** A feature that is not built and that nobody may believe to have: another value than the default is refused. */
export function unsupported(reason: string): Effect {
  return { kind: EffectKind.Later, reason, isFatal: true }
}

/** Where and when a value is parsed. */
export interface ParseContext {
  /** True from a file, stdin or the command line; false for CONFIG SET. */
  readonly isLoading: boolean
  /** True if the configuration that is being loaded has not mentioned the directive yet. */
  readonly isFirst: boolean
}

/** A line for CONFIG REWRITE, without the directive's name; `isForced` if it must be written even if new. */
export interface RewriteLine {
  readonly text: string
  readonly isForced: boolean
}

/** One directive. `V` is the type of its value. */
export interface Directive<V> {
  /** The kind for the docs page: `yes/no`, `integer` … */
  readonly kind: string
  /** Allowed values for the docs page. */
  readonly range: string
  readonly initial: V
  readonly doc: string
  readonly alias: string | null
  readonly flags: number
  readonly effect: Effect
  /** Why the default is not that of Redis 7.2; `null` if it is. */
  readonly differsFromRedis: string | null
  /** Texts other than the default that ask for nothing, such as `save ""`. */
  readonly neutral: readonly string[]
  /** Makes a value of words; throws `ValueError`. `previous` is the value that it replaces. */
  parse(words: readonly string[], previous: V, context: ParseContext): V
  /** The text of CONFIG GET. */
  format(value: V): string
  /** The lines of CONFIG REWRITE; none means that lines about this directive go. */
  rewrite(value: V): readonly RewriteLine[]
}

/** A value that a directive refuses; `reason` is the text for the user, in Redis' words. */
export class ValueError extends Error {
  readonly reason: string

  constructor(reason: string) {
    super(reason)
    this.name = 'ValueError'
    this.reason = reason
  }
}

/** What a table entry may say besides kind, default and doc. */
export interface DirectiveOptions<V> {
  readonly alias?: string
  readonly flags?: number
  readonly effect?: Effect
  readonly differsFromRedis?: string
  readonly neutral?: readonly string[]
  /** Unit for the docs page. */
  readonly unit?: string
  /** A further check; returns the reason to refuse the value, or `null`. */
  readonly check?: (value: V) => string | null
  /** Brings an accepted value into its range. */
  readonly clamp?: (value: V) => V
}

/** The parts of a directive that its kind defines. */
export interface DirectiveParts<V> {
  readonly kind: string
  readonly range: string
  readonly initial: V
  readonly parse: (words: readonly string[], previous: V, context: ParseContext) => V
  readonly format: (value: V) => string
  readonly rewrite: (value: V) => readonly RewriteLine[]
}

/** Puts a directive together. */
export function define<V>(parts: DirectiveParts<V>, doc: string, options: DirectiveOptions<V>): Directive<V> {
  return {
    kind: options.unit === undefined ? parts.kind : `${parts.kind} (${options.unit})`,
    range: parts.range,
    initial: parts.initial,
    doc,
    alias: options.alias ?? null,
    flags: options.flags ?? DirectiveFlag.None,
    effect: options.effect ?? EFFECTIVE,
    differsFromRedis: options.differsFromRedis ?? null,
    neutral: options.neutral ?? [],
    parse(words, previous, context) {
      const value = parts.parse(words, previous, context)
      const refusal = options.check?.(value) ?? null
      if (refusal !== null) throw new ValueError(refusal)
      return options.clamp === undefined ? value : options.clamp(value)
    },
    format: parts.format,
    rewrite: parts.rewrite,
  }
}

function firstWord(words: readonly string[]): string {
  return words[0] ?? ''
}

/** A `yes` or `no`. */
export function bool(initial: boolean, doc: string, options: DirectiveOptions<boolean> = {}): Directive<boolean> {
  const format = (value: boolean): string => (value ? 'yes' : 'no')
  return define<boolean>(
    {
      kind: 'yes/no',
      range: '',
      initial,
      parse(words) {
        const word = firstWord(words).toLowerCase()
        if (word !== 'yes' && word !== 'no') throw new ValueError("argument must be 'yes' or 'no'")
        return word === 'yes'
      },
      format,
      rewrite: (value) => [{ text: format(value), isForced: value !== initial }],
    },
    doc,
    options,
  )
}

interface NumberRange {
  readonly min: bigint
  readonly max: bigint
}

/**
 * Beyond 2^53 a value is the nearest double; at the ends of the range, which is where such values are used, its text
 * is exact.
 */
function exact(value: number, range: NumberRange): bigint {
  const integer = BigInt(value)
  if (integer > range.max) return range.max
  return integer < range.min ? range.min : integer
}

function checkRange(value: bigint, range: NumberRange, base: 8 | 10): number {
  if (value < range.min || value > range.max) {
    const min = range.min.toString(base)
    const max = range.max.toString(base)
    throw new ValueError(`argument must be between ${min} and ${max} inclusive`)
  }
  return Number(value)
}

/** An integer. */
export function int(
  initial: number,
  min: bigint,
  max: bigint,
  doc: string,
  options: DirectiveOptions<number> = {},
): Directive<number> {
  const range = { min, max }
  const format = (value: number): string => exact(value, range).toString()
  return define<number>(
    {
      kind: 'integer',
      range: `${min} – ${max}`,
      initial,
      parse(words) {
        const value = parseInt64(firstWord(words))
        if (value === null) throw new ValueError("argument couldn't be parsed into an integer")
        return checkRange(value, range, 10)
      },
      format,
      rewrite: (value) => [{ text: format(value), isForced: value !== initial }],
    },
    doc,
    options,
  )
}

/** A number in octal, for file modes. */
export function octal(
  initial: number,
  min: bigint,
  max: bigint,
  doc: string,
  options: DirectiveOptions<number> = {},
): Directive<number> {
  const range = { min, max }
  return define<number>(
    {
      kind: 'octal',
      range: `${min.toString(8)} – ${max.toString(8)}`,
      initial,
      parse(words) {
        const value = parseLoose(firstWord(words), 8)
        if (value === null) throw new ValueError("argument couldn't be parsed as an octal number")
        return checkRange(value, range, 8)
      },
      format: (value) => value.toString(8),
      rewrite: (value) => [{ text: value.toString(8), isForced: value !== initial }],
    },
    doc,
    options,
  )
}

/** An amount of memory in bytes, written with or without a unit. */
export function memory(
  initial: number,
  min: bigint,
  max: bigint,
  doc: string,
  options: DirectiveOptions<number> = {},
): Directive<number> {
  const range = { min, max }
  return define<number>(
    {
      kind: 'memory',
      range: `${min} – ${max}`,
      initial,
      parse(words) {
        const value = parseMemory(firstWord(words))
        if (value === null) throw new ValueError('argument must be a memory value')
        return checkRange(value, range, 10)
      },
      format: (value) => exact(value, range).toString(),
      rewrite: (value) => [{ text: formatMemory(exact(value, range)), isForced: value !== initial }],
    },
    doc,
    options,
  )
}

/** An amount of memory in bytes or a percentage, which is stored as a negative number. */
export function memoryOrPercent(
  initial: number,
  percentMax: number,
  doc: string,
  options: DirectiveOptions<number> = {},
): Directive<number> {
  return define<number>(
    {
      kind: 'memory or percent',
      range: `up to ${percentMax}%`,
      initial,
      parse(words) {
        const word = firstWord(words)
        const bytes = parseMemory(word)
        if (bytes !== null) return Number(bytes)
        const percent = /^.+%$/.test(word) ? parseInt64(word.slice(0, -1)) : null
        if (percent === null || percent < 0n) throw new ValueError('argument must be a memory or percent value')
        if (percent > BigInt(percentMax)) {
          throw new ValueError(`percentage argument must be less or equal to ${percentMax}`)
        }
        return percent === 0n ? 0 : -Number(percent)
      },
      format: (value) => (value < 0 ? `${-value}%` : BigInt(value).toString()),
      rewrite: (value) => [
        { text: value < 0 ? `${-value}%` : formatMemory(BigInt(value)), isForced: value !== initial },
      ],
    },
    doc,
    options,
  )
}

/** A text that may be empty. */
export function text(initial: string, doc: string, options: DirectiveOptions<string> = {}): Directive<string> {
  return define<string>(
    {
      kind: 'string',
      range: '',
      initial,
      parse: firstWord,
      format: (value) => value,
      rewrite: (value) => [{ text: quote(value), isForced: value !== initial }],
    },
    doc,
    options,
  )
}

/** A text that is either set or, if empty, not there at all: CONFIG REWRITE removes it. */
export function optionalText(doc: string, options: DirectiveOptions<string> = {}): Directive<string> {
  return define<string>(
    {
      kind: 'string',
      range: '',
      initial: '',
      parse: firstWord,
      format: (value) => value,
      rewrite: (value) => (value === '' ? [] : [{ text: quote(value), isForced: true }]),
    },
    doc,
    options,
  )
}

/** Room that Redis has for the text of an error, in bytes. */
const ERROR_TEXT_MAX = 255

function notOneOf(names: readonly string[]): ValueError {
  return new ValueError(`argument(s) must be one of the following: ${names.join(', ')}`.slice(0, ERROR_TEXT_MAX))
}

/** One of several names. */
export function oneOf<const Name extends string>(
  names: readonly Name[],
  initial: NoInfer<Name>,
  doc: string,
  options: DirectiveOptions<Name> = {},
): Directive<Name> {
  return define<Name>(
    {
      kind: 'one of',
      range: names.join(', '),
      initial,
      parse(words) {
        const word = firstWord(words).toLowerCase()
        const name = words.length === 1 ? names.find((candidate) => candidate === word) : undefined
        if (name === undefined) throw notOneOf(names)
        return name
      },
      format: (value) => value,
      rewrite: (value) => [{ text: value, isForced: value !== initial }],
    },
    doc,
    options,
  )
}

/** Any of several names, or the first of them alone for none. Redis keeps them as bits, so order does not matter. */
export function anyOf<const Name extends string>(
  names: readonly [string, ...Name[]],
  doc: string,
  options: DirectiveOptions<readonly Name[]> = {},
): Directive<readonly Name[]> {
  const [none, ...choices] = names
  const format = (value: readonly Name[]): string => (value.length === 0 ? none : value.join(' '))
  return define<readonly Name[]>(
    {
      kind: 'any of',
      range: names.join(', '),
      initial: [],
      parse(words) {
        const lower = words.map((word) => word.toLowerCase())
        if (words.length === 0 || lower.some((word) => !names.some((name) => name === word))) throw notOneOf(names)
        return choices.filter((name) => lower.includes(name))
      },
      format,
      rewrite: (value) => [{ text: format(value), isForced: value.length > 0 }],
    },
    doc,
    options,
  )
}
