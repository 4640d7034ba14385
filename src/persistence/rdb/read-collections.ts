/**
 * Collections that stand in the file element by element. Each function fills a view that looks at nothing yet and yields
 * after each element. A count of 0 leaves the view as it is.
 */
import type { Limits } from '../../keyspace/limits.ts'
import type { HashView } from '../../structures/hash-view.ts'
import type { ListView } from '../../structures/list-view.ts'
import type { SetView } from '../../structures/set-view.ts'
import { PutFlag, PutResult, type ZsetView } from '../../structures/zset-view.ts'
import { QuicklistContainer, RdbType } from './format.ts'
import type { RdbInput, RdbString } from './rdb-input.ts'
import type { PackedRun } from './read-packed.ts'
import { scoreOfText } from './read-zset.ts'

/** Lengths of a score as text that stand for a score. */
const SCORE_NAN = 253
const SCORE_INFINITE = 254
const SCORE_NEGATIVE_INFINITE = 255

/** What was done since the step before: an element was read, or a good deal that the bytes read do not show. */
export const Step = { Element: 0, Long: 1 } as const
export type Step = (typeof Step)[keyof typeof Step]
/** The reading of a value in steps; `Result` is what it returns at the end. */
export type Steps<Result = void> = Generator<Step, Result, void>

/** | count | element … | */
export function* readList(input: RdbInput, text: RdbString, list: ListView, limits: Limits): Steps {
  const count = input.count(1)
  if (count === 0) return
  createList(list, limits)
  for (let i = 0; i < count; i++) {
    input.string(text)
    list.big!.pushTail(text.buffer, text.start, text.length)
    yield Step.Element
  }
  list.built()
}

/** | count | (18: container), node … | */
export function* readQuicklist(
  input: RdbInput,
  text: RdbString,
  run: PackedRun,
  list: ListView,
  limits: Limits,
  type: number,
): Steps {
  const count = input.count(1)
  if (count === 0) return
  createList(list, limits)
  for (let i = 0; i < count; i++) {
    readNode(input, text, run, type)
    if (run.count > 0) list.big!.appendNode(run.buffer, run.start, run.end - run.start, run.count)
    yield Step.Element
  }
  if (list.length() === 0) list.free()
  else list.built()
}

/** | count | member … | */
export function* readSet(input: RdbInput, text: RdbString, set: SetView, limits: Limits): Steps {
  const count = input.count(1)
  for (let i = 0; i < count; i++) {
    input.string(text)
    if (i === 0) set.create(text.buffer, text.start, text.length, count, limits)
    if (!set.add(text.buffer, text.start, text.length, limits)) throw input.error('Duplicate set members detected')
    yield Step.Element
  }
}

/** | count | member, score … | */
export function* readZset(input: RdbInput, text: RdbString, zset: ZsetView, limits: Limits, type: number): Steps {
  const count = input.count(2)
  if (count === 0) return
  zset.create(count, 0, limits)
  for (let i = 0; i < count; i++) {
    input.string(text)
    const score = type === RdbType.Zset2 ? input.double() : readTextScore(input)
    if (Number.isNaN(score)) throw input.error('Expected a score')
    const result = zset.put(text.buffer, text.start, text.length, score, PutFlag.Absent, limits)
    if (result !== PutResult.Added) throw input.error('Duplicate zset fields detected')
    yield Step.Element
  }
}

/** | count | field, value … | */
export function* readHash(input: RdbInput, field: RdbString, value: RdbString, hash: HashView, limits: Limits): Steps {
  const count = input.count(2)
  if (count === 0) return
  hash.create()
  hash.expect(count, 0, limits)
  for (let i = 0; i < count; i++) {
    readPair(input, field, value, hash, limits)
    yield Step.Element
  }
}

/** The latest expire time that Redis reads, in ms. */
export const FIELD_TIME_MAX = 2 ** 48 - 2

/** Counts fields with expire times. */
export interface TimedFields {
  timedFields: number
}

/** | 24: earliest time | count | time, field, value … |, times being relative to the earliest one, 0 for none */
export function* readHashWithTimes(
  input: RdbInput,
  field: RdbString,
  value: RdbString,
  hash: HashView,
  limits: Limits,
  type: number,
  counter: TimedFields,
): Steps {
  const base = type === RdbType.HashMetadata ? input.int64() - 1 : 0
  const count = input.count(3)
  if (count === 0) return
  hash.create()
  hash.expect(count, 0, limits)
  for (let i = 0; i < count; i++) {
    const time = input.length()
    readPair(input, field, value, hash, limits)
    if (time !== 0) {
      const expireMs = base + time
      if (expireMs < 1 || expireMs > FIELD_TIME_MAX) throw input.error(`Expected an expire time, found ${expireMs}`)
      hash.setTime(field.buffer, field.start, field.length, expireMs)
      counter.timedFields++
    }
    yield Step.Element
  }
}

/** Makes a view look at a new list, to which nodes or elements are added one by one. */
export function createList(list: ListView, limits: Limits): void {
  list.useSetting(limits.listMaxListpackSize)
  list.createBig()
}

function readPair(input: RdbInput, field: RdbString, value: RdbString, hash: HashView, limits: Limits): void {
  input.string(field)
  input.string(value)
  const isNew = hash.set(field.buffer, field.start, field.length, value.buffer, value.start, value.length, limits)
  if (!isNew) throw input.error('Duplicate hash fields detected')
}

/** Reads a node of a quicklist into the run. */
function readNode(input: RdbInput, text: RdbString, run: PackedRun, type: number): void {
  const container = type === RdbType.ListQuicklist2 ? input.length() : QuicklistContainer.Packed
  input.string(text)
  if (text.length === 0) throw input.error(integrityProblem('Quicklist', 'expected a node, found no bytes'))
  if (container === QuicklistContainer.Plain) {
    run.begin()
    run.append(text.buffer, text.start, text.length)
    run.finish()
    return
  }
  if (container !== QuicklistContainer.Packed) throw input.error(`Expected a kind of list node, found ${container}`)
  const { buffer, start, length } = text
  if (type === RdbType.ListQuicklist) check(input, 'Ziplist', run.ziplist(buffer, start, length))
  else check(input, 'Listpack', run.listpack(buffer, start, length))
}

function check(input: RdbInput, what: string, problem: string | null): void {
  if (problem !== null) throw input.error(integrityProblem(what, problem))
}

/** The text of a packed value that is broken. Its beginning is Redis': programs look for it in the log. */
export function integrityProblem(what: string, problem: string): string {
  return `${what} integrity check failed: ${problem}`
}

function readTextScore(input: RdbInput): number {
  const length = input.byte()
  if (length === SCORE_NEGATIVE_INFINITE) return Number.NEGATIVE_INFINITY
  if (length === SCORE_INFINITE) return Number.POSITIVE_INFINITY
  if (length === SCORE_NAN) return Number.NaN
  input.need(length)
  input.at += length
  return scoreOfText(input.buffer, input.at - length, length)
}
