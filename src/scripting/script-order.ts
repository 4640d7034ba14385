/**
 * Scripts that may be forgotten, the least recently used one first: a list that is threaded through the scripts. Hot path.
 *
 * A Set would do, but moving its members to the end at each use fills it with holes, and it is rebuilt every few uses.
 */

/** A place in the list. */
export interface Ordered<T> {
  /** Its neighbours; null at the ends, and outside of the list. */
  older: T | null
  newer: T | null
  /** Whether it is in the list. */
  isForgettable: boolean
}

export class ScriptOrder<T extends Ordered<T>> {
  /** The first to be forgotten; null: there is none. */
  oldest: T | null = null
  count = 0
  private newest: T | null = null

  /** Puts a script that is not in the list to its end. */
  add(script: T): void {
    const { newest } = this
    script.isForgettable = true
    script.older = newest
    if (newest === null) this.oldest = script
    else newest.newer = script
    this.newest = script
    this.count++
  }

  /** Takes a script out of the list; one that is not in it stays as it is. */
  remove(script: T): void {
    if (!script.isForgettable) return
    const { older, newer } = script
    if (older === null) this.oldest = newer
    else older.newer = newer
    if (newer === null) this.newest = older
    else newer.older = older
    script.older = null
    script.newer = null
    script.isForgettable = false
    this.count--
  }

  /** A script is used: if it is in the list, it is the last one to be forgotten. */
  used(script: T): void {
    if (!script.isForgettable || script === this.newest) return
    this.remove(script)
    this.add(script)
  }

  /** Lets go of all. */
  clear(): void {
    this.oldest = null
    this.newest = null
    this.count = 0
  }
}
