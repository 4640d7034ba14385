/**
 * Arguments of ZRANGE and its relatives: `source min max [BYSCORE | BYLEX] [REV] [WITHSCORES] [LIMIT offset count]`, of
 * which each command knows a part. Hot path.
 *
 * Order of checks: options one by one; options that exclude each other; the range.
 * Source: Valkey src/t_zset.c `zrangeGenericCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR, ZRANGE_LEX_WITH_SCORES, ZRANGE_LIMIT_BY_RANK } from '../../resp/errors.ts'
import { RangeBy, ZsetRange } from './range.ts'
import { Direction } from './reply-members.ts'

/** Which options a command takes. */
export const OptionSet = {
  /** All of them: ZRANGE. */
  Zrange: 0,
  /** All but WITHSCORES: ZRANGESTORE. */
  Zrangestore: 1,
  /** WITHSCORES and LIMIT: the older commands, whose names say the rest. */
  Older: 2,
} as const
export type OptionSet = (typeof OptionSet)[keyof typeof OptionSet]

const LIMIT_NONE = -1

/** Parsed arguments, in an object that is filled again for each command. */
export class ZrangeOptions {
  readonly range = new ZsetRange()
  withScores = false
  direction: Direction = Direction.Up

  /** Reads the arguments from `min` in argument `i` on. */
  parse(args: Args, i: number, set: OptionSet, by: RangeBy, direction: Direction): void {
    this.withScores = false
    let offset = 0
    let limit = LIMIT_NONE
    let isByGiven = false
    for (let at = i + 2; at < args.count; at++) {
      if (set !== OptionSet.Zrangestore && args.is(at, 'WITHSCORES')) this.withScores = true
      else if (args.is(at, 'LIMIT') && at + 2 < args.count) {
        offset = args.integer(at + 1)
        limit = args.integer(at + 2)
        at += 2
      } else if (set === OptionSet.Older) throw SYNTAX_ERROR
      // A repeated word is an error: it is no longer an option.
      else if (args.is(at, 'REV') && direction === Direction.Up) direction = Direction.Down
      else if (args.is(at, 'BYLEX') && !isByGiven) {
        by = RangeBy.Member
        isByGiven = true
      } else if (args.is(at, 'BYSCORE') && !isByGiven) {
        by = RangeBy.Score
        isByGiven = true
      } else throw SYNTAX_ERROR
    }
    if (limit !== LIMIT_NONE && by === RangeBy.Rank) throw ZRANGE_LIMIT_BY_RANK
    if (this.withScores && by === RangeBy.Member) throw ZRANGE_LEX_WITH_SCORES
    this.direction = direction
    this.parseRange(args, i, by)
    this.range.setLimit(offset, limit)
  }

  private parseRange(args: Args, i: number, by: RangeBy): void {
    const { range, direction } = this
    if (by === RangeBy.Rank) {
      range.parseRanks(args, i, direction)
      return
    }
    // Going down, the upper end comes first.
    const min = direction === Direction.Up ? i : i + 1
    const max = direction === Direction.Up ? i + 1 : i
    if (by === RangeBy.Score) range.parseScores(args, min, max, direction)
    else range.parseMembers(args, min, max, direction)
  }
}
