/**
 * Patterns of SORT's BY and GET: a key, or a field of a hash, named after an element.
 *
 * `weight_*` is the key whose name has the element in the place of the first `*`; `object_*->name` a field of the hash
 * there; `#` the element itself. A pattern without `*` names nothing.
 * Source: Valkey src/sort.c `lookupKeyByPattern`.
 */
import { KindMask } from '../../keyspace/database.ts'
import { openHash } from '../../keyspace/hash-rows.ts'
import { NO_ROW } from '../../storage/dict.ts'
import { Element } from '../../structures/element.ts'
import type { CommandContext } from '../context.ts'
import { showString } from '../string/string-value.ts'

export class SortPattern {
  private readonly isElement: boolean
  /** Null without a `*`. */
  private readonly prefix: string | null
  private readonly suffix: string
  /** Null when a string key is meant. */
  private readonly field: Buffer | null

  /** @param pattern a byte string */
  constructor(pattern: string) {
    this.isElement = pattern === '#'
    const star = pattern.indexOf('*')
    const arrow = star < 0 ? -1 : pattern.indexOf('->', star + 1)
    // An arrow with nothing behind it belongs to the name of the key.
    const hasField = arrow >= 0 && arrow + 2 < pattern.length
    this.prefix = star < 0 ? null : pattern.slice(0, star)
    this.suffix = pattern.slice(star + 1, hasField ? arrow : pattern.length)
    this.field = hasField ? Buffer.from(pattern.slice(arrow + 2), 'latin1') : null
  }

  /** What the pattern names for an element, as a byte string; null when it is missing or of another type. */
  lookUp(ctx: CommandContext, element: string): string | null {
    if (this.isElement) return element
    if (this.prefix === null) return null
    const db = ctx.db
    const stats = ctx.keyspace.stats
    const row = db.findText(this.prefix + element + this.suffix)
    if (row === NO_ROW) {
      stats.misses++
      return null
    }
    stats.hits++
    db.touch(row)
    const kinds = 1 << db.kind(row)
    if (this.field === null) {
      if ((KindMask.String & kinds) === 0) return null
      showString(db, row, value)
      return value.text()
    }
    if ((KindMask.Hash & kinds) === 0) return null
    openHash(db, row, ctx.hash)
    return ctx.hash.get(this.field, 0, this.field.length, value) ? value.text() : null
  }
}

const value = new Element()
