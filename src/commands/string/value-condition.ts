/** Conditions on the value that a string key has: IFEQ, IFNE, IFDEQ and IFDNE of SET and DELEX. Hot path. */
import { xxh3Hex } from '../../bytes/xxh3.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Args } from '../../resp/args.ts'
import { DIGEST_FORMAT } from '../../resp/errors.ts'
import { equalBytes } from '../../storage/arena.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import { showString } from './string-value.ts'

const DIGEST_DIGITS = 16

export const ValueCondition = { None: 0, Equal: 1, NotEqual: 2, DigestEqual: 3, DigestNotEqual: 4 } as const
export type ValueCondition = (typeof ValueCondition)[keyof typeof ValueCondition]

const value = new Element()

/** Which of these conditions argument `i` is. */
export function valueConditionAt(args: Args, i: number): ValueCondition {
  if (args.is(i, 'IFEQ')) return ValueCondition.Equal
  if (args.is(i, 'IFNE')) return ValueCondition.NotEqual
  if (args.is(i, 'IFDEQ')) return ValueCondition.DigestEqual
  if (args.is(i, 'IFDNE')) return ValueCondition.DigestNotEqual
  return ValueCondition.None
}

/**
 * Whether the string at `row` compares with argument `operand` as the condition wants. A missing one equals nothing.
 *
 * @throws DIGEST_FORMAT when the operand is no digest and there is a value to compare it with
 */
export function valueConditionHolds(
  db: Database,
  row: number,
  args: Args,
  condition: ValueCondition,
  operand: number,
): boolean {
  const wantsEqual = condition === ValueCondition.Equal || condition === ValueCondition.DigestEqual
  if (row === NO_ROW) return !wantsEqual
  showString(db, row, value)
  const isByDigest = condition === ValueCondition.DigestEqual || condition === ValueCondition.DigestNotEqual
  return (isByDigest ? hasDigest(args, operand) : hasBytes(args, operand)) === wantsEqual
}

function hasBytes(args: Args, i: number): boolean {
  const length = args.length(i)
  return value.length === length && equalBytes(value.buffer, value.start, args.buffer, args.start(i), length)
}

function hasDigest(args: Args, i: number): boolean {
  if (args.length(i) !== DIGEST_DIGITS) throw DIGEST_FORMAT
  return xxh3Hex(value.buffer, value.start, value.length) === args.text(i).toLowerCase()
}
