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

/** An element with what it is compared by. */
interface SortItem {
  readonly element: string
  /** Numeric weight; 0 with ALPHA. */
  readonly score: number
  /** What BY names, with ALPHA; null when it is missing. */
  readonly text: string | null
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
function selectElements(ctx: CommandContext, source: SortSource, options: SortOptions): string[] {
  const { size } = source
  const first = Math.min(Math.max(options.limitFirst, 0), size)
  const count = options.limitCount < 0 ? size - first : Math.min(options.limitCount, size - first)
  if (!options.isSorting) return source.read(first, count, options.order)
  const items = source.read(0, size, SortOrder.Ascending).map((element) => weigh(ctx, element, options))
  const sign = options.order === SortOrder.Descending ? -1 : 1
  if (options.isAlpha) {
    if (options.by === null) items.sort((a, b) => sign * compareTexts(a.element, b.element))
    else items.sort((a, b) => sign * compareOptional(a.text, b.text))
  } else {
    // Equal numbers are ordered by their elements, so that the result is always the same.
    items.sort((a, b) => sign * (a.score - b.score || compareTexts(a.element, b.element)))
  }
  return items.slice(first, first + count).map((item) => item.element)
}

function weigh(ctx: CommandContext, element: string, options: SortOptions): SortItem {
  const text = options.by === null ? element : options.by.lookUp(ctx, element)
  if (options.isAlpha) return { element, score: 0, text }
  return { element, score: text === null ? 0 : parseScore(text), text: null }
}

/** Reads a number as C's strtod does: spaces before it are skipped, a NUL ends it, an empty text is 0. */
function parseScore(text: string): number {
  const nul = text.indexOf('\0')
  const whole = nul < 0 ? text : text.slice(0, nul)
  if (whole === '') return 0
  const score = parseDouble(whole.replace(/^[ \t-\r]+/, ''))
  if (score === null) throw SORT_SCORE_NOT_A_DOUBLE
  return score
}

/** Byte order, which is that of the C locale. */
function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
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

/** Builds a list in `ctx.list`. */
function buildList(ctx: CommandContext, texts: readonly string[]): void {
  const list = ctx.list
  list.useSetting(ctx.keyspace.limits.listMaxListpackSize)
  list.create()
  for (const text of texts) {
    const bytes = Buffer.from(text, 'latin1')
    list.expect(1, bytes.length)
    list.push(ListEnd.Tail, bytes, 0, bytes.length)
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
