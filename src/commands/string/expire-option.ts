/** The options EX, PX, EXAT and PXAT of SET and GETEX. Hot path. */
import type { Args } from '../../resp/args.ts'
import { positiveExpireTime, TimeUnit } from '../expire-time.ts'

export const ExpireOption = { None: 0, Ex: 1, Px: 2, ExAt: 3, PxAt: 4 } as const
export type ExpireOption = (typeof ExpireOption)[keyof typeof ExpireOption]

/** Which of these options argument `i` is. */
export function expireOptionAt(args: Args, i: number): ExpireOption {
  if (args.is(i, 'EX')) return ExpireOption.Ex
  if (args.is(i, 'PX')) return ExpireOption.Px
  if (args.is(i, 'EXAT')) return ExpireOption.ExAt
  if (args.is(i, 'PXAT')) return ExpireOption.PxAt
  return ExpireOption.None
}

/** Whether the option gives a point in time, not a lifetime. */
export function isPointInTime(option: ExpireOption): boolean {
  return option === ExpireOption.ExAt || option === ExpireOption.PxAt
}

/**
 * The time in argument `i`, which follows the option, in ms since 1970.
 *
 * @throws NOT_AN_INTEGER, or invalid expire time when it is not positive or overflows
 */
export function timeOfOption(args: Args, i: number, option: ExpireOption, now: number, name: string): number {
  const unitMs = option === ExpireOption.Ex || option === ExpireOption.ExAt ? TimeUnit.Seconds : TimeUnit.Milliseconds
  return positiveExpireTime(args, i, unitMs, isPointInTime(option) ? 0 : now, name)
}
