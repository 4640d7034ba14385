/**
 * SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination]
 * SORT_RO key … (without STORE)
 *
 * Sorts the elements of a list, set or sorted set by themselves or by what BY names for each, as numbers or (ALPHA) as
 * byte strings, and returns them or what GET names for them. BY without a `*` does not sort.
 *
 * Reply: array; with STORE the length of the list stored. Errors: syntax; integer; WRONGTYPE; scores that are no double.
 * Source: Valkey src/sort.c `sortCommandGeneric`, `sortCompare`.
 */
import { KeyAccess } from '../../access/selector.ts'
import { parseDouble } from '../../bytes/double.ts'
import { compareTexts, orderOf, sortByNumber, sortByText } from '../../bytes/radix-sort.ts'
import { Notify } from '../../keyspace/notify.ts'
import type { Args } from '../../resp/args.ts'
import { SORT_BY_DENIED, SORT_GET_DENIED, SORT_SCORE_NOT_A_DOUBLE, SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { ListEnd } from '../../structures/list.ts'
import { mayUseEveryKey } from '../acl/authorize.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, type KeySpec, keyRange } from '../define.ts'
import { deleteKey } from '../delete-key.ts'
import { addList } from '../list/list-access.ts'
import { SortOrder, type SortSource, sortSource } from './sort-elements.ts'
import { SortPattern } from './sort-pattern.ts'

/** Whether the call may have STORE. */
const Storing = { Forbidden: 0, Allowed: 1 } as const
type Storing = (typeof Storing)[keyof typeof Storing]

const NO_STORE = 0
const NO_LIMIT = -1
const ZERO = 0x30
/** As many digits any number of which is exact. */
const NATURAL_DIGITS_MAX = 15

interface SortOptions {
  order: SortOrder
  isAlpha: boolean
  /** BY: null without one. */
  by: SortPattern | null
  /** False when BY has no `*`. */
  isSorting: boolean
  readonly get: SortPattern[]
  limitFirst: number
  /** NO_LIMIT or any negative number: no limit. */
  limitCount: number
  /** Argument of STORE's key, NO_STORE without one. */
  store: number
}

const SOURCE_KEY = keyRange(1, 0, 1, 'RO', 'access')
const PATTERN_KEYS: KeySpec = {
  flags: ['RO', 'access'],
  begin: { type: 'unknown' },
  find: { type: 'unknown' },
  notes: 'For BY and GET: their keys are named after the elements',
}
const STORE_KEY: KeySpec = {
  flags: ['OW', 'update'],
  begin: { type: 'unknown' },
  find: { type: 'unknown' },
  notes: 'For STORE, which may stand anywhere among the arguments',
}

export const sort = defineCommand({
  name: 'sort',
  summary: 'Sorts the elements of a list, set or sorted set; may store the result.',
  group: 'generic',
  since: '1.0.0',
  complexity: 'O(N*log(N)), N being the number of elements; O(N) when nothing is sorted.',
  arity: -2,
  flags: CommandFlag.Write | CommandFlag.DenyOom | CommandFlag.MovableKeys,
  categories: AclCategory.Set | AclCategory.SortedSet | AclCategory.List | AclCategory.Dangerous,
  keys: [SOURCE_KEY, PATTERN_KEYS, STORE_KEY],
  extractKeys: sortKeys,
  handler: (ctx, args, reply) => sortElements(ctx, args, reply, Storing.Allowed),
})

export const sortRo = defineCommand({
  name: 'sort_ro',
  summary: 'Sorts the elements of a list, set or sorted set.',
  group: 'generic',
  since: '7.0.0',
  complexity: 'O(N*log(N)), N being the number of elements; O(N) when nothing is sorted.',
  arity: -2,
  flags: CommandFlag.ReadOnly | CommandFlag.MovableKeys,
  categories: AclCategory.Set | AclCategory.SortedSet | AclCategory.List | AclCategory.Dangerous,
  keys: [SOURCE_KEY, PATTERN_KEYS],
  extractKeys: () => [1],
  handler: (ctx, args, reply) => sortElements(ctx, args, reply, Storing.Forbidden),
})

function sortElements(ctx: CommandContext, args: Args, reply: ReplySink, storing: Storing): void {
  const options = parseOptions(ctx, args, storing)
  const source = sortSource(ctx, ctx.db.read(args, 1))
  // A set has no order of its own: where the result lasts or a script sees it, it is sorted all the same.
  if (!options.isSorting && source.isSet && (options.store !== NO_STORE || ctx.inScript)) {
    options.isSorting = true
    options.isAlpha = true
    options.by = null
  }
  const elements = selectElements(ctx, source, options)
  if (options.store === NO_STORE) replyElements(ctx, reply, elements, options.get)
  else storeElements(ctx, args, reply, elements, options)
}

/**
 * The options of a call. BY and GET name keys that nobody has checked, so the user must be allowed to read all.
 *
 * @throws SYNTAX_ERROR, NOT_AN_INTEGER, SORT_BY_DENIED, SORT_GET_DENIED
 */
function parseOptions(ctx: CommandContext, args: Args, storing: Storing): SortOptions {
  const { user } = ctx.session
  const command = ctx.registry.original(storing === Storing.Allowed ? 'sort' : 'sort_ro')!
  const mayReadAll = (): boolean => mayUseEveryKey(user, command, args, KeyAccess.Read)
  const options: SortOptions = {
    order: SortOrder.Ascending,
    isAlpha: false,
    by: null,
    isSorting: true,
    get: [],
    limitFirst: 0,
    limitCount: NO_LIMIT,
    store: NO_STORE,
  }
  for (let i = 2; i < args.count; i++) {
    const left = args.count - i - 1
    if (args.is(i, 'ASC')) options.order = SortOrder.Ascending
    else if (args.is(i, 'DESC')) options.order = SortOrder.Descending
    else if (args.is(i, 'ALPHA')) options.isAlpha = true
    else if (args.is(i, 'LIMIT') && left >= 2) {
      options.limitFirst = args.integer(++i)
      options.limitCount = args.integer(++i)
    } else if (args.is(i, 'STORE') && left >= 1 && storing === Storing.Allowed) options.store = ++i
    else if (args.is(i, 'BY') && left >= 1) {
      const pattern = args.text(++i)
      if (pattern.includes('*') && !mayReadAll()) throw SORT_BY_DENIED
      options.by = new SortPattern(pattern)
      // As in Redis, a BY that does not sort is not undone by a later one that would.
      if (!pattern.includes('*')) options.isSorting = false
    } else if (args.is(i, 'GET') && left >= 1) {
      if (!mayReadAll()) throw SORT_GET_DENIED
      options.get.push(new SortPattern(args.text(++i)))
    } else throw SYNTAX_ERROR
  }
  return options
}

/** The elements of the result, sorted and within LIMIT. @throws SORT_SCORE_NOT_A_DOUBLE */
function selectElements(ctx: CommandContext, source: SortSource, options: SortOptions): readonly string[] {
  const { size } = source
  const first = Math.min(Math.max(options.limitFirst, 0), size)
  const count = options.limitCount < 0 ? size - first : Math.min(options.limitCount, size - first)
  if (!options.isSorting) return source.read(first, count, options.order)
  const elements = source.read(0, size, SortOrder.Ascending)
  if (options.isAlpha && options.by !== null) {
    return sortedByText(ctx, elements, options.by, options.order).slice(first, first + count)
  }
  const order = orderOf(size)
  if (options.isAlpha) sortByText(order, elements)
  // Equal numbers are ordered by their elements, so that the result is always the same.
  else sortByNumber(order, scoresOf(ctx, elements, options.by), elements)
  const isDescending = options.order === SortOrder.Descending
  const sorted: string[] = []
  for (let i = first; i < first + count; i++) sorted.push(elements[order[isDescending ? size - 1 - i : i]!]!)
  return sorted
}

/** Elements in the order of the texts that BY names for them. */
function sortedByText(
  ctx: CommandContext,
  elements: readonly string[],
  by: SortPattern,
  order: SortOrder,
): readonly string[] {
  const items = elements.map((element) => ({ element, text: by.lookUp(ctx, element) }))
  const sign = order === SortOrder.Descending ? -1 : 1
  return items.sort((a, b) => sign * compareOptional(a.text, b.text)).map(({ element }) => element)
}

/** What elements are compared by, as numbers. @throws SORT_SCORE_NOT_A_DOUBLE */
function scoresOf(ctx: CommandContext, elements: readonly string[], by: SortPattern | null): Float64Array {
  const scores = new Float64Array(elements.length)
  for (let i = 0; i < elements.length; i++) {
    const text = by === null ? elements[i]! : by.lookUp(ctx, elements[i]!)
    scores[i] = text === null ? 0 : parseScore(text)
  }
  return scores
}

/** Reads a number as C's strtod does: spaces before it are skipped, a NUL ends it, an empty text is 0. */
function parseScore(text: string): number {
  const natural = parseNatural(text)
  if (natural >= 0) return natural
  const nul = text.indexOf('\0')
  const whole = nul < 0 ? text : text.slice(0, nul)
  if (whole === '') return 0
  const score = parseDouble(whole.replace(/^[ \t-\r]+/, ''))
  if (score === null) throw SORT_SCORE_NOT_A_DOUBLE
  return score
}

/** Reads a number that is nothing but some digits, as most are; -1 for any other. */
function parseNatural(text: string): number {
  const { length } = text
  if (length === 0 || length > NATURAL_DIGITS_MAX) return -1
  let value = 0
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

function compareOptional(a: string | null, b: string | null): number {
  if (a === null) return b === null ? 0 : -1
  return b === null ? 1 : compareTexts(a, b)
}

function replyElements(
  ctx: CommandContext,
  reply: ReplySink,
  elements: readonly string[],
  get: readonly SortPattern[],
): void {
  reply.array(get.length === 0 ? elements.length : elements.length * get.length)
  for (const element of elements) {
    if (get.length === 0) reply.bulkText(element)
    for (const pattern of get) {
      const text = pattern.lookUp(ctx, element)
      if (text === null) reply.nil()
      else reply.bulkText(text)
    }
  }
}

/** Makes the result the value of STORE's key, or deletes that when the result is empty. */
function storeElements(
  ctx: CommandContext,
  args: Args,
  reply: ReplySink,
  elements: readonly string[],
  options: SortOptions,
): void {
  const { get, store } = options
  const texts =
    get.length === 0
      ? elements
      : elements.flatMap((element) => get.map((pattern) => pattern.lookUp(ctx, element) ?? ''))
  const db = ctx.db
  const replaced = db.find(args, store)
  if (texts.length > 0) {
    if (replaced !== NO_ROW) db.remove(replaced)
    buildList(ctx, texts)
    addList(ctx, args, store, ctx.list)
    ctx.changed(args, store, Notify.List, 'sortstore')
    ctx.markDirty(texts.length - 1)
  } else if (replaced !== NO_ROW) {
    deleteKey(ctx, args, store, replaced)
  }
  reply.integer(texts.length)
}

/** Bytes of the element that is being stored, unless it is longer. */
const scratch = Buffer.allocUnsafeSlow(64)

/** Builds a list in `ctx.list`. */
function buildList(ctx: CommandContext, texts: readonly string[]): void {
  const list = ctx.list
  list.useSetting(ctx.keyspace.limits.listMaxListpackSize)
  list.create()
  for (const text of texts) {
    const { length } = text
    let bytes = scratch
    // A short one is written faster without a call out of JavaScript.
    if (length <= scratch.length) for (let i = 0; i < length; i++) scratch[i] = text.charCodeAt(i)
    else bytes = Buffer.from(text, 'latin1')
    list.expect(1, length)
    list.push(ListEnd.Tail, bytes, 0, length)
  }
  list.built()
}

/** Key arguments: the source, and that of the last STORE. */
function sortKeys(args: Args): number[] {
  let store = NO_STORE
  for (let i = 2; i < args.count; i++) {
    if (args.is(i, 'LIMIT')) i += 2
    else if (args.is(i, 'GET') || args.is(i, 'BY')) i++
    else if (args.is(i, 'STORE') && i + 1 < args.count) store = ++i
  }
  return store === NO_STORE ? [1] : [1, store]
}
