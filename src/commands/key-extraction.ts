/**
 * Which arguments of a call are keys, from the key specs of the command. For COMMAND, ACL and cluster routing.
 *
 * Specs whose flags depend on options (`variable_flags`) are resolved by the command's `keyFlags`; keys that no spec can
 * describe come from its `extractKeys`.
 * Source: Valkey src/db.c `getKeysUsingKeySpecs`, `getKeysFromCommandWithSpecs`; src/server.c
 * `populateCommandLegacyRangeSpec`.
 */
import type { Args } from '../resp/args.ts'
import { CommandFlag, type KeySpec, type KeySpecFlag } from './define.ts'
import type { Command } from './registry.ts'

/** A key in a call: index of the argument, and what the command does with it. */
export interface KeyArgument {
  readonly index: number
  readonly flags: readonly KeySpecFlag[]
}

/** Where keys stand, in the form that old clients know: `last` may be negative, counted from the end. */
export interface LegacyRange {
  readonly first: number
  readonly last: number
  readonly step: number
  /** Whether there are keys that the range does not tell. */
  readonly isMovable: boolean
}

/** What is done with keys that no spec tells of. */
const OVERWRITTEN: readonly KeySpecFlag[] = ['OW', 'update']

/** Whether calls of the command can have keys. */
export function hasKeys(command: Command): boolean {
  const { keys, extractKeys } = command.definition
  return extractKeys !== undefined || (keys ?? []).some((spec) => !spec.flags.includes('not_key'))
}

/** The keys of a call, in order; null when the call is malformed. */
export function keyArguments(command: Command, args: Args): KeyArgument[] | null {
  const { keys: specs = [], extractKeys, keyFlags } = command.definition
  const found: KeyArgument[] = []
  const isComplete = specs.every((spec) => spec.flags.includes('not_key') || addKeys(found, command, spec, args))
  if (!isComplete) return extractKeys === undefined ? null : extracted(command, args)
  if (extractKeys !== undefined) addUnspecified(found, extractKeys(args))
  if (keyFlags === undefined) return found
  return found.map(({ index }) => ({ index, flags: keyFlags(args) }))
}

/** Keys that the command finds itself; those that a spec places have its flags, further ones are overwritten. */
function extracted(command: Command, args: Args): KeyArgument[] {
  const { keys: specs = [], extractKeys, keyFlags } = command.definition
  const bySpec: KeyArgument[] = []
  for (const spec of specs) if (spec.begin.type === 'index') addKeys(bySpec, command, spec, args)
  const indices = extractKeys === undefined ? [] : extractKeys(args)
  const further = keyFlags === undefined ? OVERWRITTEN : keyFlags(args)
  return indices.map((index) => bySpec.find((key) => key.index === index) ?? { index, flags: further })
}

/** Adds keys that the specs do not find although they can be followed: the last of several STORE options. */
function addUnspecified(found: KeyArgument[], indices: readonly number[]): void {
  for (const index of indices) {
    if (!found.some((key) => key.index === index)) found.push({ index, flags: OVERWRITTEN })
  }
}

/** Adds the keys of one spec. Returns false when the spec cannot be followed, or does not tell all keys. */
function addKeys(found: KeyArgument[], command: Command, spec: KeySpec, args: Args): boolean {
  const begin = beginOf(spec, args)
  if (begin === null) return false
  if (begin === NOT_FOUND) return true
  const range = rangeOf(spec, begin, args)
  // A list of keys that may be empty, and is: PFMERGE with a destination only.
  if (range !== null && spec.find.type === 'range' && range.last < range.first && command.definition.arity < 0)
    return true
  if (range === null || range.last >= args.count || range.last < range.first || range.first >= args.count) return false
  for (let index = range.first; index <= range.last; index += range.step) found.push({ index, flags: spec.flags })
  return !spec.flags.includes('incomplete')
}

const NOT_FOUND = 0

/** Argument at which the search for keys begins; NOT_FOUND without the keyword; null when the spec does not say. */
function beginOf(spec: KeySpec, args: Args): number | null {
  const { begin } = spec
  if (begin.type === 'unknown') return null
  if (begin.type === 'index') return begin.index
  const isForward = begin.startFrom > 0
  const word = begin.keyword.toUpperCase()
  const start = isForward ? begin.startFrom : args.count + begin.startFrom
  const end = isForward ? args.count - 1 : 1
  const step = start <= end ? 1 : -1
  for (let i = start; i !== end && i >= 1 && i < args.count; i += step) if (args.is(i, word)) return i + 1
  return NOT_FOUND
}

function rangeOf(spec: KeySpec, begin: number, args: Args): { first: number; last: number; step: number } | null {
  const { find } = spec
  if (find.type === 'unknown') return null
  if (find.type === 'range') return { first: begin, last: lastOf(find, begin, args.count), step: find.step }
  const countAt = begin + find.keyNumIndex
  if (countAt >= args.count) return null
  const count = args.safeInteger(countAt)
  if (Number.isNaN(count) || count < 0) return null
  const first = begin + find.firstKey
  return { first, last: first + (count - 1) * find.step, step: find.step }
}

function lastOf(find: { readonly lastKey: number; readonly limit: number }, begin: number, count: number): number {
  if (find.lastKey >= 0) return begin + find.lastKey
  if (find.limit === 0) return count + find.lastKey
  return begin + Math.floor((count - begin) / find.limit) + find.lastKey
}

/** The range of keys that COMMAND shows beside the specs; all zero when there is none. */
export function legacyRange(command: Command): LegacyRange {
  const { keys: specs = [] } = command.definition
  const declared = (command.flags & CommandFlag.MovableKeys) !== 0
  const only = specs.length === 1 ? specs[0]! : null
  if (specs.length === 0) return { ...NO_RANGE, isMovable: declared }
  if (only !== null && only.begin.type === 'index' && only.find.type === 'range') {
    const first = only.begin.index
    const last = only.find.lastKey >= 0 ? first + only.find.lastKey : only.find.lastKey
    return { first, last, step: only.find.step, isMovable: declared || only.flags.includes('incomplete') }
  }
  return joinedRange(specs, declared)
}

const NO_RANGE = { first: 0, last: 0, step: 0 }

/** Joins plain ranges that follow each other; all others make the keys movable. */
function joinedRange(specs: readonly KeySpec[], declared: boolean): LegacyRange {
  let isMovable = declared
  let first = 0
  let last = 0
  for (const spec of specs) {
    const { begin, find } = spec
    const isPlain = begin.type === 'index' && find.type === 'range' && find.step === 1
    if (!isPlain || (last !== 0 && last !== begin.index - 1)) {
      isMovable = true
      continue
    }
    if (spec.flags.includes('incomplete')) isMovable = true
    if (first === 0) first = begin.index
    // Behind a range up to the end (negative) nothing follows.
    last = find.lastKey >= 0 ? begin.index + find.lastKey : find.lastKey
  }
  return first === 0 ? { ...NO_RANGE, isMovable: true } : { first, last, step: 1, isMovable }
}
