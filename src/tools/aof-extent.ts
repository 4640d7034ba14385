/** How far the commands of an append-only file can be loaded, and why not further. */
import { findLaterBatch } from '../persistence/later-batch.ts'
import { AofItem, AofScanner } from './aof-scanner.ts'
import type { DataFile } from './data-file.ts'
import { shownName } from './shown-name.ts'
import { ToolError } from './tool.ts'

const TIMESTAMP = /^#TS:([0-9]{1,15})\r$/

/** Why a file can be loaded so far and no further. */
export const ExtentEnd = {
  /** It is the end of the file. */
  Whole: 0,
  /** What follows may be the rest of a write that a crash has torn. */
  Torn: 1,
  /** What follows was changed after it was written, or there is more behind it that is whole. */
  Damaged: 2,
  /** What follows was written later than wanted. */
  TooLate: 3,
} as const
export type ExtentEnd = (typeof ExtentEnd)[keyof typeof ExtentEnd]

export interface AofExtent {
  readonly end: ExtentEnd
  /** Offset behind the last command or transaction that counts. */
  readonly validTo: number
  /** The line that is not loaded any more, from 1. */
  readonly line: number
  /** Size of the file. */
  readonly size: number
  /** What is wrong, with its offset; null when nothing is. */
  readonly problem: string | null
}

/**
 * Reads the commands of a file from `offset` on. A transaction counts from its EXEC on. With a time (Unix time in
 * seconds), what was written later does not count. @throws ToolError for a time stamp that is none
 */
export function readExtent({ fd, size }: DataFile, offset: number, untilTimestamp: number | null): AofExtent {
  const scanner = new AofScanner({ fd, offset, size, keptArguments: 1 })
  let validTo = offset
  let transaction = -1
  for (;;) {
    const item = scanner.next()
    const where = scanner.start
    let problem: string | null = null
    if (item === AofItem.End && transaction < 0)
      return { end: ExtentEnd.Whole, validTo, line: scanner.line, size, problem }
    if (item === AofItem.Broken) problem = `offset ${scanner.problemOffset}: ${scanner.problem}`
    else if (item === AofItem.End) problem = `offset ${where}: expected the EXEC of the MULTI at offset ${transaction}`
    else if (item === AofItem.Annotation) {
      if (isLater(scanner.annotation, where, untilTimestamp))
        return { end: ExtentEnd.TooLate, validTo, line: scanner.line, size, problem }
    } else if (scanner.args.is(0, 'MULTI')) {
      if (transaction >= 0)
        problem = `offset ${where}: expected the EXEC of the MULTI at offset ${transaction}, found MULTI`
      else transaction = where
    } else if (scanner.args.is(0, 'EXEC')) {
      if (transaction < 0) problem = `offset ${where}: found EXEC without MULTI`
      transaction = -1
    }
    if (problem !== null) return brokenExtent(scanner, fd, { validTo, line: scanner.line, size, problem })
    if (transaction < 0) validTo = scanner.offset
  }
}

/** Tells a torn end from damage. What a damaged batch holds may have been read as something else: all of it is given up. */
function brokenExtent(
  scanner: AofScanner,
  fd: number,
  torn: Omit<AofExtent, 'end'> & { readonly problem: string },
): AofExtent {
  const { size, problem } = torn
  const damaged = { end: ExtentEnd.Damaged, validTo: scanner.batchStart, line: scanner.batchLine, size }
  if (scanner.isWrongChecksum) return { ...damaged, problem }
  const whole = findLaterBatch({ fd, size, validTo: torn.validTo, batchStart: scanner.batchStart })
  if (whole < 0) return { ...torn, end: ExtentEnd.Torn }
  const reason = `offset ${whole}: what was written up to here is whole, so this is no torn end but damage`
  return { ...damaged, problem: `${problem}\n${reason}` }
}

function isLater(annotation: string, offset: number, untilTimestamp: number | null): boolean {
  if (untilTimestamp === null || !annotation.startsWith('#TS:')) return false
  const match = TIMESTAMP.exec(annotation)
  if (match === null)
    throw new ToolError(`offset ${offset}: expected a time stamp, found '${shownName(annotation.trimEnd())}'`)
  return Number(match[1]) > untilTimestamp
}
