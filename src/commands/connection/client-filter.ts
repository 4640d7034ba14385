/**
 * Which connections CLIENT LIST and CLIENT KILL are about: filters in any number and order, all of which must match.
 *
 *     ID id [id ...] | TYPE type | USER name | ADDR ip:port | LADDR ip:port | IP ip | NAME name | LIB-NAME name |
 *     LIB-VER version | FLAGS letters | DB index       each of them also as NOT-…
 *     IDLE seconds | MAXAGE seconds | SKIPME yes|no
 *
 * IDLE and MAXAGE match from that time on, FLAGS those that have all letters. Source of the rules: Valkey 9.0 (filters),
 * Redis 7.4 (MAXAGE).
 */
import type { Args } from '../../resp/args.ts'
import {
  CLIENT_ID_NOT_POSITIVE,
  DB_INDEX_OUT_OF_RANGE,
  IDLE_NOT_AN_INTEGER,
  IDLE_NOT_POSITIVE,
  MAXAGE_NOT_AN_INTEGER,
  MAXAGE_NOT_POSITIVE,
  noSuchUser,
  SYNTAX_ERROR,
  unknownClientFlags,
} from '../../resp/errors.ts'
import type { CommandContext } from '../context.ts'
import type { Session } from '../session.ts'
import { clientType, clientTypeNamed, FLAG_ALPHABET, flagLetters } from './client-info.ts'

const NEGATION = 'not-'
const MS_PER_SECOND = 1000

/** Whether the calling connection is among those that may match. */
export const Caller = { Included: 0, Skipped: 1 } as const
export type Caller = (typeof Caller)[keyof typeof Caller]

type Condition = (session: Session) => boolean

/** What was read of one filter. */
interface ParsedCondition {
  readonly matches: Condition
  /** The first argument behind it. */
  readonly next: number
}

export class ClientFilter {
  private readonly conditions: Condition[] = []

  /**
   * Reads filters from argument `first` on.
   *
   * @param caller what holds for the calling connection unless SKIPME says otherwise
   * @throws SYNTAX_ERROR and the errors of single filters
   */
  constructor(ctx: CommandContext, args: Args, first: number, caller: Caller) {
    let isCallerSkipped = caller === Caller.Skipped
    for (let i = first; i < args.count; ) {
      if (i + 1 >= args.count) throw SYNTAX_ERROR
      if (args.is(i, 'SKIPME')) {
        if (!args.is(i + 1, 'YES') && !args.is(i + 1, 'NO')) throw SYNTAX_ERROR
        isCallerSkipped = args.is(i + 1, 'YES')
        i += 2
        continue
      }
      const name = args.text(i).toLowerCase()
      const isNegated = name.startsWith(NEGATION)
      const { matches, next } = isNegated
        ? conditionOf(ctx, args, name.slice(NEGATION.length), i + 1)
        : (timeCondition(ctx, args, name, i + 1) ?? conditionOf(ctx, args, name, i + 1))
      this.conditions.push(isNegated ? (session) => !matches(session) : matches)
      i = next
    }
    if (isCallerSkipped) this.conditions.push((session) => session !== ctx.session)
  }

  matches(session: Session): boolean {
    return this.conditions.every((condition) => condition(session))
  }
}

/** The filter `name`, whose value is argument `i`. */
function conditionOf(ctx: CommandContext, args: Args, name: string, i: number): ParsedCondition {
  if (name === 'id') return idCondition(args, i)
  return { matches: valueCondition(ctx, args, name, i), next: i + 1 }
}

function idCondition(args: Args, first: number): ParsedCondition {
  const ids = new Set<number>()
  let i = first
  do ids.add(args.integerIn(i++, 1, Number.POSITIVE_INFINITY, CLIENT_ID_NOT_POSITIVE))
  while (i < args.count && !Number.isNaN(args.safeInteger(i)))
  return { matches: (session) => ids.has(session.id), next: i }
}

function valueCondition(ctx: CommandContext, args: Args, name: string, i: number): Condition {
  const value = args.text(i)
  switch (name) {
    case 'type': {
      const type = clientTypeNamed(value)
      return (session) => clientType(session) === type
    }
    case 'user':
      if (ctx.server.users.find(value) === null) throw noSuchUser(value)
      return (session) => session.user.name === value
    case 'addr':
      return (session) => session.address === value
    case 'laddr':
      return (session) => session.localAddress === value
    case 'ip':
      return (session) => session.address.slice(0, session.address.lastIndexOf(':')) === value
    case 'name':
      return (session) => session.name === value
    case 'lib-name':
      return (session) => session.libName === value
    case 'lib-ver':
      return (session) => session.libVersion === value
    case 'flags':
      return flagsCondition(value)
    case 'db': {
      const index = args.integerIn(i, 0, ctx.keyspace.databases.length - 1, DB_INDEX_OUT_OF_RANGE)
      return (session) => session.db.index === index
    }
    default:
      throw SYNTAX_ERROR
  }
}

function flagsCondition(letters: string): Condition {
  // A letter may be repeated as often as an argument is long: what is kept is each one once.
  const wanted = new Set<string>()
  for (const letter of letters) {
    if (!FLAG_ALPHABET.includes(letter)) throw unknownClientFlags(letters)
    wanted.add(letter)
  }
  return (session) => {
    const own = flagLetters(session)
    for (const letter of wanted) if (!own.includes(letter)) return false
    return true
  }
}

/** Filters by time, which cannot be negated; null for others. */
function timeCondition(ctx: CommandContext, args: Args, name: string, i: number): ParsedCondition | null {
  const isIdle = name === 'idle'
  if (!isIdle && name !== 'maxage') return null
  const seconds = args.integer(i, isIdle ? IDLE_NOT_AN_INTEGER : MAXAGE_NOT_AN_INTEGER)
  if (seconds <= 0) throw isIdle ? IDLE_NOT_POSITIVE : MAXAGE_NOT_POSITIVE
  const latest = ctx.now - seconds * MS_PER_SECOND
  const matches: Condition = isIdle
    ? (session) => session.lastCommandMs <= latest
    : (session) => session.createdMs <= latest
  return { matches, next: i + 1 }
}
