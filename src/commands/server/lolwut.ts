/**
 * LOLWUT [VERSION version] [columns [squares per row [squares per column]]]
 *
 * The version of the server; with VERSION 5, below a piece of computer art, whose size the other arguments set. The art of
 * version 6 is not drawn: it gets the version alone, as all others do.
 *
 * Reply: verbatim text. Errors: integer.
 * Source: Valkey src/lolwut.c `lolwutCommand`, src/lolwut5.c `lolwut5Command`.
 */
import { REDIS_VERSION } from '../../config/version.ts'
import type { Args } from '../../resp/args.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { CommandFlag, defineCommand } from '../define.ts'
import { drawSchotter } from './schotter.ts'

const SCHOTTER_VERSION = 5
const COLUMNS_DEFAULT = 66
const COLUMNS_MAX = 1000
const SQUARES_PER_ROW_DEFAULT = 8
const SQUARES_PER_COLUMN_DEFAULT = 12
const SQUARES_MAX = 200

export const lolwut = defineCommand({
  name: 'lolwut',
  summary: 'Shows the version, and computer art.',
  group: 'server',
  since: '5.0.0',
  complexity: 'O(N), N being the size of the art.',
  arity: -1,
  flags: CommandFlag.ReadOnly | CommandFlag.Fast,
  categories: 0,
  handler: lolwutHandler,
})

function lolwutHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  const isOther = args.count >= 3 && args.is(1, 'VERSION')
  const version = `Redis ver. ${REDIS_VERSION}\n`
  if (!isOther || args.integer(2) !== SCHOTTER_VERSION) {
    reply.verbatim(version, 'txt')
    return
  }
  const art = drawSchotter(
    {
      columns: sizeAt(args, 3, COLUMNS_DEFAULT, COLUMNS_MAX),
      squaresPerRow: sizeAt(args, 4, SQUARES_PER_ROW_DEFAULT, SQUARES_MAX),
      squaresPerColumn: sizeAt(args, 5, SQUARES_PER_COLUMN_DEFAULT, SQUARES_MAX),
    },
    ctx.random,
  )
  const text = `${art}\nGeorg Nees - schotter, plotter on paper, 1968. ${version}`
  reply.verbatim(Buffer.from(text, 'utf8').toString('latin1'), 'txt')
}

/** Argument `i` as a size, cut to what is allowed; the default when it is not given. */
function sizeAt(args: Args, i: number, initial: number, max: number): number {
  return i < args.count ? Math.min(max, Math.max(1, args.integer(i))) : initial
}
