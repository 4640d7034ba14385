/**
 * The elements that SORT works on: read from a list, set or sorted set, as byte strings.
 */
import { KindMask } from '../../keyspace/database.ts'
import { WRONGTYPE } from '../../resp/errors.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import { Kind } from '../../structures/kind.ts'
import { SortedSet } from '../../structures/sorted-set.ts'
import { ZsetCursor, ZsetView } from '../../structures/zset-view.ts'
import type { CommandContext } from '../context.ts'
import { openList } from '../list/list-access.ts'
import { openSet } from '../set/set-access.ts'

export const SortOrder = { Ascending: 0, Descending: 1 } as const
export type SortOrder = (typeof SortOrder)[keyof typeof SortOrder]

/** A collection to sort. */
export interface SortSource {
  readonly size: number
  readonly isSet: boolean
  /** Elements from `first` on, `count` of them, in the collection's own order or against it (never against a set's). */
  read(first: number, count: number, order: SortOrder): string[]
}

/** The collection at `row`, which is empty for NO_ROW. @throws WRONGTYPE */
export function sortSource(ctx: CommandContext, row: number): SortSource {
  if (row === NO_ROW) return EMPTY
  const kinds = 1 << ctx.db.kind(row)
  if ((KindMask.List & kinds) !== 0) return listSource(ctx, row)
  if ((KindMask.Set & kinds) !== 0) return setSource(ctx, row)
  if ((KindMask.Zset & kinds) !== 0) return zsetSource(ctx, row)
  throw WRONGTYPE
}

function listSource(ctx: CommandContext, row: number): SortSource {
  const list = ctx.list
  openList(ctx.db, row, list)
  return {
    size: list.length(),
    isSet: false,
    read(first, count, order) {
      const elements: string[] = []
      if (count <= 0) return elements
      const cursor = list.rewind()
      let more = cursor.seek(order === SortOrder.Ascending ? first : -first - 1)
      while (more && elements.length < count) {
        elements.push(cursor.entry.text())
        more = order === SortOrder.Ascending ? cursor.advance() : cursor.retreat()
      }
      return elements
    },
  }
}

function setSource(ctx: CommandContext, row: number): SortSource {
  const set = ctx.set
  openSet(ctx.db, row, set)
  return {
    size: set.size(),
    isSet: true,
    read(first, count) {
      const elements: string[] = []
      const cursor = set.walk()
      for (let i = 0; elements.length < count && cursor.advance(shown); i++) if (i >= first) elements.push(shown.text())
      return elements
    },
  }
}

function zsetSource(ctx: CommandContext, row: number): SortSource {
  const db = ctx.db
  const zset = new ZsetView(ctx.arena, ctx.keyspace.seed)
  if (db.kind(row) === Kind.ZsetPacked) zset.openPacked(db.ref(row))
  else {
    const object = db.object(row)
    if (!(object instanceof SortedSet)) throw new TypeError('Cannot open a value of another class as a sorted set')
    zset.openBig(object)
  }
  const cursor = new ZsetCursor(ctx.arena)
  return {
    size: zset.size(),
    isSet: false,
    read(first, count, order) {
      const elements: string[] = []
      if (count <= 0) return elements
      let more = cursor.open(zset, order === SortOrder.Ascending ? first : zset.size() - 1 - first, shown)
      while (more && elements.length < count) {
        elements.push(shown.text())
        more = order === SortOrder.Ascending ? cursor.next(shown) : cursor.previous(shown)
      }
      return elements
    },
  }
}

const shown = new Element()

const EMPTY: SortSource = { size: 0, isSet: false, read: () => [] }
