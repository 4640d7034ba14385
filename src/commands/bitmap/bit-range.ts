/**
 * The range of a bitmap that BITCOUNT and BITPOS look at, in bytes or bits. Negative ends count from the end of the
 * string. Hot path.
 */
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'

export const RangeUnit = { Byte: 0, Bit: 1 } as const
export type RangeUnit = (typeof RangeUnit)[keyof typeof RangeUnit]

/** The unit that argument `i` names. @throws SYNTAX_ERROR */
export function rangeUnit(args: Args, i: number): RangeUnit {
  if (args.is(i, 'BIT')) return RangeUnit.Bit
  if (args.is(i, 'BYTE')) return RangeUnit.Byte
  throw SYNTAX_ERROR
}

/** Bits [`first`, `last`] of a string. Empty when `first` is above `last`. */
export class BitRange {
  first = 0
  last = 0

  /** All of a string of `length` bytes. */
  setWhole(length: number): void {
    this.first = 0
    this.last = length * 8 - 1
  }

  /** From `start` to `end`, both inclusive, in a string of `length` bytes. */
  set(start: number, end: number, unit: RangeUnit, length: number): void {
    const total = unit === RangeUnit.Bit ? length * 8 : length
    const from = start < 0 ? Math.max(0, total + start) : start
    const to = Math.min(end < 0 ? Math.max(0, total + end) : end, total - 1)
    this.first = unit === RangeUnit.Bit ? from : from * 8
    this.last = unit === RangeUnit.Bit ? to : to * 8 + 7
  }

  get isEmpty(): boolean {
    return this.first > this.last
  }
}
