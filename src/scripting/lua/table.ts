/**
 * A Lua table: a dense part for the keys 1..n and a lazily made Map for all others. Hot path.
 *
 * Invariants: `arr` holds key i at index i-1 and never ends in nil (holes inside are `undefined`); `hash` never holds
 * the integer key `arr.length + 1` nor a smaller positive integer, and never a nil value. So `#t` is `arr.length`.
 * All methods here are raw: metatables are `runtime.ts`' business, and so is the check of `readonly` in Lua code.
 *
 * Iteration order: the dense part, then the other keys in the order they were set (real Lua: by hash).
 */
import type { LuaValue } from './value.ts'

/** A remembered place in a traversal by plain `next`, so that each step is O(1). */
interface Walk {
  readonly keys: Iterator<LuaValue>
  last: LuaValue
}

export class LuaTable {
  arr: LuaValue[]
  hash: Map<LuaValue, LuaValue> | null
  meta: LuaTable | null
  /** Set for the library tables and `_G`: writes from Lua code raise. */
  readonly: boolean
  /** How many keys of `hash` are numbers: appending looks there for follow-up keys only when there are some. */
  hashNumberCount: number
  private walk: Walk | null
  /** The last key of the dense part that `next` has given: it may be gone when the next one is asked for. */
  private lastDense: number

  /** `arr`, when given, is taken over, not copied, and must not end in nil (see `LuaTable.fromList`). */
  constructor(arr: LuaValue[] = []) {
    this.arr = arr
    this.hash = null
    this.meta = null
    this.readonly = false
    this.hashNumberCount = 0
    this.walk = null
    this.lastDense = 0
  }

  /**
   * A table of the values at 1..n; takes the array over. When the last one is nil, `#t` is the border that Lua's binary
   * search finds (ltable.c luaH_getn), and what lies behind it goes to the hash.
   */
  static fromList(values: LuaValue[]): LuaTable {
    const count = values.length
    if (count === 0 || values[count - 1] !== undefined) return new LuaTable(values)
    let border = 0
    let end = count
    while (end - border > 1) {
      const middle = (border + end) >>> 1
      if (values[middle - 1] === undefined) end = middle
      else border = middle
    }
    const rest = values.splice(border)
    const table = new LuaTable(values)
    for (let i = 1; i < rest.length; i++) if (rest[i] !== undefined) table.setNumber(border + i + 1, rest[i])
    return table
  }

  /** The border `#t`. */
  length(): number {
    return this.arr.length
  }

  get(key: LuaValue): LuaValue {
    if (typeof key === 'number') return this.getNumber(key)
    const hash = this.hash
    return hash === null ? undefined : hash.get(key)
  }

  getString(key: string): LuaValue {
    const hash = this.hash
    return hash === null ? undefined : hash.get(key)
  }

  getNumber(key: number): LuaValue {
    const index = key - 1
    const arr = this.arr
    if (index >>> 0 === index && index < arr.length) return arr[index]
    return this.hashNumberCount === 0 ? undefined : this.hash!.get(key)
  }

  /** Sets any key but nil and NaN, which the caller has refused. */
  set(key: LuaValue, value: LuaValue): void {
    if (typeof key === 'number') this.setNumber(key, value)
    else this.setHashed(key, value)
  }

  setString(key: string, value: LuaValue): void {
    if (value !== undefined) {
      const hash = this.hash
      if (hash === null) (this.hash = new Map()).set(key, value)
      else hash.set(key, value)
    } else if (this.hash !== null) this.hash.delete(key)
  }

  setNumber(key: number, value: LuaValue): void {
    const index = key - 1
    const arr = this.arr
    if (index >>> 0 === index && index <= arr.length) {
      if (index === arr.length) {
        if (value === undefined) return
        arr.push(value)
        if (this.hashNumberCount > 0) this.adopt()
      } else if (value === undefined && index === arr.length - 1) {
        arr.pop()
        trim(arr)
      } else arr[index] = value
      return
    }
    this.setSparse(key, value)
  }

  /** Adds a named field while a table constructor builds the table; returns the table. */
  init(key: string, value: LuaValue): this {
    if (value !== undefined) {
      if (this.hash === null) this.hash = new Map()
      this.hash.set(key, value)
    } else this.hash?.delete(key)
    return this
  }

  /** Appends at `#t + 1`; nil appends nothing. */
  push(value: LuaValue): void {
    if (value === undefined) return
    this.arr.push(value)
    if (this.hashNumberCount > 0) this.adopt()
  }

  /**
   * The entry after `key` (nil: the first), or null at the end. Throws a RangeError when the key is not in the table.
   * O(1) when the traversal goes on where it was, also after the current entry was deleted; else O(n).
   */
  next(key: LuaValue): [LuaValue, LuaValue] | null {
    const arr = this.arr
    let index = 0
    if (typeof key === 'number' && key >= 1 && Math.floor(key) === key && this.isDense(key)) index = key
    else if (key !== undefined) return this.nextHashed(key)
    for (; index < arr.length; index++) {
      if (arr[index] === undefined) continue
      this.lastDense = index + 1
      return [index + 1, arr[index]]
    }
    return this.nextHashed(undefined)
  }

  private nextHashed(key: LuaValue): [LuaValue, LuaValue] | null {
    const hash = this.hash
    if (hash === null) {
      if (key !== undefined) throw new RangeError('invalid key to next')
      return null
    }
    let walk = this.walk
    if (key === undefined) walk = this.walk = { keys: hash.keys(), last: undefined }
    else if (walk === null || walk.last !== key) walk = this.walk = this.walkTo(hash, key)
    const step = walk.keys.next()
    if (step.done === true) {
      this.walk = null
      return null
    }
    walk.last = step.value
    return [step.value, hash.get(step.value)]
  }

  private walkTo(hash: Map<LuaValue, LuaValue>, key: LuaValue): Walk {
    const keys = hash.keys()
    for (let step = keys.next(); step.done !== true; step = keys.next()) {
      if (step.value === key) return { keys, last: key }
    }
    throw new RangeError('invalid key to next')
  }

  /** Whether an integer belongs to the dense part, or did in the traversal that is under way. */
  private isDense(key: number): boolean {
    if (key <= this.arr.length) return true
    return key <= this.lastDense && this.walk?.last !== key && this.hash?.has(key) !== true
  }

  private setHashed(key: LuaValue, value: LuaValue): void {
    if (value === undefined) this.hash?.delete(key)
    else {
      if (this.hash === null) this.hash = new Map()
      this.hash.set(key, value)
    }
  }

  private setSparse(key: number, value: LuaValue): void {
    if (this.hash === null) this.hash = new Map()
    const hash = this.hash
    if (value === undefined) {
      if (hash.delete(key)) this.hashNumberCount--
    } else {
      if (!hash.has(key)) this.hashNumberCount++
      hash.set(key, value)
    }
  }

  /** Moves the keys that now continue the dense part over from the hash. */
  private adopt(): void {
    const arr = this.arr
    const hash = this.hash!
    for (let value = hash.get(arr.length + 1); value !== undefined; value = hash.get(arr.length + 1)) {
      hash.delete(arr.length + 1)
      this.hashNumberCount--
      arr.push(value)
    }
  }
}

function trim(values: LuaValue[]): void {
  let length = values.length
  while (length > 0 && values[length - 1] === undefined) length--
  if (length < values.length) values.length = length
}
