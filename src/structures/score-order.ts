/**
 * ScoreOrder: the order of a big sorted set, by score and then by member bytes. Hot path.
 *
 * A counted B+ tree whose nodes are arena blocks of numbers, read and written in place: leaves hold scores and
 * references of members, inner nodes hold for each child its first element, its reference and how many elements lie
 * below it. Rank, lookup, insertion and removal are O(log n); nothing is ever copied but the parts of one node.
 *
 *     leaf    | length, count | scores: f64 × 69 | members: u32 × 69 |
 *     inner   | length, count | first scores: f64 × 83 | first members: u32 × 83 | children: u32 × 83 | sizes: i32 × 83 |
 *
 * The member blocks belong to somebody else (the Dict of the sorted set), who must keep them in place, and alive until
 * they are out of the order.
 *
 * Invariants: no node is empty; the first element of a child, as its parent has it, is exact; an inner root has at
 * least two children. A node that falls under a quarter is merged with a neighbour that has room.
 */
import { type Arena, NO_REF, type Ref } from '../storage/arena.ts'

/** Each kind of node fills one size class of the arena, 840 and 1672 bytes. More or fewer items were not faster. */
const LEAF_ITEMS = 69
const LEAF_BYTES = 4 + LEAF_ITEMS * 12
const INNER_CHILDREN = 83
const INNER_BYTES = 4 + INNER_CHILDREN * 20
/** Far above what 2^32 members need at the lowest fill. */
const LEVELS_MAX = 32
/** Runs up to this length are moved by a loop, which beats copyWithin (measured). */
const LOOP_MOVE_MAX = 24

/** Which side of equal elements a rank is asked for. */
export const Edge = { Before: 0, After: 1 } as const
export type Edge = (typeof Edge)[keyof typeof Edge]

/** The way from the root to the leaf that was found last. Shared: nothing here is re-entered. */
const pathNodes = new Float64Array(LEVELS_MAX)
const pathSlots = new Int32Array(LEVELS_MAX)

export class ScoreOrder {
  readonly arena: Arena
  size = 0
  /** Arena blocks of all nodes, and their bytes. */
  nodeCount = 0
  nodeBytes = 0
  private root: Ref = NO_REF
  /** Levels of inner nodes above the leaves. */
  private height = 0

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** Adds an element that is not in the order. */
  insert(score: number, member: Ref): void {
    if (this.root === NO_REF) this.root = this.newNode(LEAF_BYTES)
    const at = this.descend(score, member)
    let leaf: Ref = pathNodes[this.height]!
    let right = NO_REF
    let into = at
    const count = this.count(leaf)
    if (count === LEAF_ITEMS) {
      const keep = this.splitPoint(at, count, this.height, 0)
      right = this.splitLeaf(leaf, keep)
      if (at > keep || keep === count) {
        leaf = right
        into = at - keep
      }
    }
    this.openLeaf(leaf, into)
    this.setItem(leaf, into, score, member)
    this.size++
    this.ascendAfterInsert(at === 0, right)
  }

  /** Removes an element that is in the order. */
  remove(score: number, member: Ref): void {
    const at = this.descend(score, member)
    this.drop(at, 1)
  }

  /** Gives an element another score. In place where its neighbours allow it. */
  move(score: number, member: Ref, to: number): void {
    const at = this.descend(score, member)
    const leaf: Ref = pathNodes[this.height]!
    const doubles = this.arena.doubles(leaf)
    const scores = this.arena.unit(leaf) + 1
    const last = this.count(leaf) - 1
    const afterPrevious = at > 0 && doubles[scores + at - 1]! < to
    const beforeNext = at < last ? doubles[scores + at + 1]! > to : this.isLastPath(this.height)
    if (afterPrevious && beforeNext) {
      doubles[scores + at] = to
      return
    }
    this.drop(at, 1)
    this.insert(to, member)
  }

  /**
   * Removes up to `count` elements from `rank` on, as many as lie in one leaf, and writes their members to `removed`
   * (room for LEAF_ITEMS). Returns how many. The caller frees the members afterwards and calls again for the rest.
   */
  removeRun(rank: number, count: number, removed: Float64Array): number {
    const at = this.seek(rank)
    const leaf: Ref = pathNodes[this.height]!
    const run = Math.min(count, this.count(leaf) - at)
    const words = this.arena.words(leaf)
    const members = (this.arena.unit(leaf) + 1 + LEAF_ITEMS) * 2
    for (let i = 0; i < run; i++) removed[i] = words[members + at + i]! >>> 0
    this.drop(at, run)
    return run
  }

  /** The rank of an element that is in the order; 0 is the lowest. */
  rankOf(score: number, member: Ref): number {
    let rank = this.descend(score, member)
    for (let level = 0; level < this.height; level++) rank += this.sizeBefore(pathNodes[level]!, pathSlots[level]!)
    return rank
  }

  /** How many elements have a lower score, or (Edge.After) at most this one. */
  rankOfScore(score: number, edge: Edge): number {
    if (this.size === 0) return 0
    const arena = this.arena
    let node = this.root
    let rank = 0
    for (let level = 0; level <= this.height; level++) {
      const isLeaf = level === this.height
      const doubles = arena.doubles(node)
      const scores = arena.unit(node) + 1
      let low = isLeaf ? 0 : 1
      let high = this.count(node)
      while (low < high) {
        const middle = (low + high) >>> 1
        const other = doubles[scores + middle]!
        if (other < score || (edge === Edge.After && other === score)) low = middle + 1
        else high = middle
      }
      if (isLeaf) return rank + low
      rank += this.sizeBefore(node, low - 1)
      node = this.child(node, low - 1)
    }
    return rank
  }

  /** How many elements have a lower member, or (Edge.After) at most this one. For sets whose scores are all equal. */
  rankOfMember(source: Uint8Array, start: number, length: number, edge: Edge): number {
    if (this.size === 0) return 0
    const arena = this.arena
    let node = this.root
    let rank = 0
    for (let level = 0; level <= this.height; level++) {
      const isLeaf = level === this.height
      const words = arena.words(node)
      const members = (arena.unit(node) + 1 + (isLeaf ? LEAF_ITEMS : INNER_CHILDREN)) * 2
      let low = isLeaf ? 0 : 1
      let high = this.count(node)
      while (low < high) {
        const middle = (low + high) >>> 1
        const order = compareStored(arena, words[members + middle]! >>> 0, source, start, length)
        if (order < 0 || (edge === Edge.After && order === 0)) low = middle + 1
        else high = middle
      }
      if (isLeaf) return rank + low
      rank += this.sizeBefore(node, low - 1)
      node = this.child(node, low - 1)
    }
    return rank
  }

  /** Points a cursor at the element of `rank`, which must exist. */
  place(cursor: OrderCursor, rank: number): void {
    const at = this.seek(rank)
    const leaf: Ref = pathNodes[this.height]!
    const unit = this.arena.unit(leaf)
    cursor.enter(
      this.arena.doubles(leaf),
      unit + 1,
      this.arena.words(leaf),
      (unit + 1 + LEAF_ITEMS) * 2,
      this.count(leaf),
      at,
    )
  }

  /** Frees all nodes; the members stay with their owner. */
  clear(): void {
    if (this.root !== NO_REF) this.freeNode(this.root, this.height)
    this.root = NO_REF
    this.height = 0
    this.size = 0
  }

  // The way down.

  /** Finds where an element is or belongs; fills the path and returns its index in the leaf. */
  private descend(score: number, member: Ref): number {
    const height = this.height
    let node = this.root
    for (let level = 0; level < height; level++) {
      const slot = this.childFor(node, score, member)
      pathNodes[level] = node
      pathSlots[level] = slot
      node = this.child(node, slot)
    }
    pathNodes[height] = node

    const arena = this.arena
    const doubles = arena.doubles(node)
    const words = arena.words(node)
    const scores = arena.unit(node) + 1
    const members = (scores + LEAF_ITEMS) * 2
    let low = 0
    let high = words[(scores - 1) * 2 + 1]!
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = doubles[scores + middle]!
      if (other < score || (other === score && compareMembers(arena, words[members + middle]! >>> 0, member) < 0)) {
        low = middle + 1
      } else high = middle
    }
    return low
  }

  /** The last child that starts at or before an element, or the first child. */
  private childFor(node: Ref, score: number, member: Ref): number {
    const arena = this.arena
    const doubles = arena.doubles(node)
    const words = arena.words(node)
    const scores = arena.unit(node) + 1
    const members = (scores + INNER_CHILDREN) * 2
    let low = 1
    let high = words[(scores - 1) * 2 + 1]!
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = doubles[scores + middle]!
      if (other < score || (other === score && compareMembers(arena, words[members + middle]! >>> 0, member) <= 0)) {
        low = middle + 1
      } else high = middle
    }
    return low - 1
  }

  /** Finds the element of a rank; fills the path and returns its index in the leaf. */
  private seek(rank: number): number {
    let node = this.root
    let total = this.size
    for (let level = 0; level < this.height; level++) {
      const words = this.arena.words(node)
      const sizes = (this.arena.unit(node) + 1 + INNER_CHILDREN) * 2 + 2 * INNER_CHILDREN
      let slot: number
      if (rank * 2 < total) {
        slot = 0
        while (rank >= words[sizes + slot]!) rank -= words[sizes + slot++]!
      } else {
        slot = this.count(node) - 1
        let before = total - words[sizes + slot]!
        while (before > rank) before -= words[sizes + --slot]!
        rank -= before
      }
      pathNodes[level] = node
      pathSlots[level] = slot
      total = words[sizes + slot]!
      node = this.child(node, slot)
    }
    pathNodes[this.height] = node
    return rank
  }

  private isLastPath(levels: number): boolean {
    for (let level = 0; level < levels; level++) {
      if (pathSlots[level] !== this.count(pathNodes[level]!) - 1) return false
    }
    return true
  }

  private isFirstPath(levels: number): boolean {
    for (let level = 0; level < levels; level++) if (pathSlots[level] !== 0) return false
    return true
  }

  // Growing.

  /**
   * How many of a full node's entries stay when something is inserted at `at`: half, but at the ends of the whole
   * order nearly all or none, so that rising and falling scores leave full nodes behind.
   */
  private splitPoint(at: number, count: number, levelsAbove: number, lowest: number): number {
    if (at === count && this.isLastPath(levelsAbove)) return count
    if (at === lowest && this.isFirstPath(levelsAbove)) return lowest
    return count >>> 1
  }

  /** Takes the entries from `keep` on into a new leaf, which is returned. */
  private splitLeaf(leaf: Ref, keep: number): Ref {
    const right = this.newNode(LEAF_BYTES)
    this.appendItems(leaf, keep, this.count(leaf) - keep, right)
    this.setCount(leaf, keep)
    return right
  }

  /** Brings the ancestors up to date after one element was added; `right` is what the leaf was split into. */
  private ascendAfterInsert(isFirst: boolean, right: Ref): void {
    for (let level = this.height - 1; level >= 0; level--) {
      const parent: Ref = pathNodes[level]!
      const slot = pathSlots[level]!
      if (right !== NO_REF) {
        this.refreshChild(parent, slot, level)
        right = this.insertChild(parent, slot + 1, right, level)
      } else {
        this.addSize(parent, slot, 1)
        if (isFirst) this.refreshFirst(parent, slot, level)
      }
      isFirst = isFirst && slot === 0
    }
    if (right !== NO_REF) this.growRoot(right)
  }

  /** Adds a child to an inner node. Returns the node's new right half when it had to be split. */
  private insertChild(parent: Ref, at: number, child: Ref, level: number): Ref {
    let right = NO_REF
    const count = this.count(parent)
    if (count === INNER_CHILDREN) {
      const keep = this.splitPoint(at, count, level, 1)
      right = this.newNode(INNER_BYTES)
      this.appendChildren(parent, keep, count - keep, right)
      this.setCount(parent, keep)
      if (at > keep || keep === count) {
        parent = right
        at -= keep
      }
    }
    this.moveChildren(parent, at, at + 1)
    this.setCount(parent, this.count(parent) + 1)
    this.setChild(parent, at, child)
    this.refreshChild(parent, at, level)
    return right
  }

  private growRoot(right: Ref): void {
    const root = this.newNode(INNER_BYTES)
    this.setCount(root, 2)
    this.setChild(root, 0, this.root)
    this.setChild(root, 1, right)
    this.root = root
    this.height++
    this.refreshChild(root, 0, 0)
    this.refreshChild(root, 1, 0)
  }

  // Shrinking.

  /** Removes `count` elements at `at` of the leaf that the path leads to. */
  private drop(at: number, count: number): void {
    const leaf: Ref = pathNodes[this.height]!
    const left = this.count(leaf) - count
    const unit = this.arena.unit(leaf)
    const scores = unit + 1
    const members = (scores + LEAF_ITEMS) * 2
    moveDoubles(this.arena.doubles(leaf), scores + at + count, scores + at, left - at)
    moveWords(this.arena.words(leaf), members + at + count, members + at, left - at)
    this.setCount(leaf, left)
    this.size -= count
    this.ascendAfterRemoval(at === 0, count)
  }

  private ascendAfterRemoval(isFirst: boolean, removed: number): void {
    for (let level = this.height; level > 0; level--) {
      const node: Ref = pathNodes[level]!
      const parent: Ref = pathNodes[level - 1]!
      const slot = pathSlots[level - 1]!
      const count = this.count(node)
      if (count === 0) {
        this.releaseNode(node)
        this.removeChild(parent, slot)
      } else {
        this.addSize(parent, slot, -removed)
        if (isFirst) this.refreshFirst(parent, slot, level - 1)
        const capacity = level === this.height ? LEAF_ITEMS : INNER_CHILDREN
        if (count * 4 < capacity) this.mergeChild(parent, slot, level - 1, capacity)
      }
      isFirst = isFirst && slot === 0
    }
    this.shrinkRoot()
  }

  /** Merges a small child with the neighbour on its right or left, if both together leave a quarter free. */
  private mergeChild(parent: Ref, slot: number, level: number, capacity: number): void {
    const count = this.count(this.child(parent, slot))
    const roomMin = capacity - (capacity >>> 2) - count
    let left = slot
    if (slot + 1 === this.count(parent) || this.count(this.child(parent, slot + 1)) > roomMin) {
      if (slot === 0 || this.count(this.child(parent, slot - 1)) > roomMin) return
      left = slot - 1
    }
    const to = this.child(parent, left)
    const from = this.child(parent, left + 1)
    if (level + 1 === this.height) this.appendItems(from, 0, this.count(from), to)
    else this.appendChildren(from, 0, this.count(from), to)
    this.addSize(parent, left, this.childSize(parent, left + 1))
    this.releaseNode(from)
    this.removeChild(parent, left + 1)
  }

  private shrinkRoot(): void {
    while (this.height > 0 && this.count(this.root) === 1) {
      const child = this.child(this.root, 0)
      this.releaseNode(this.root)
      this.root = child
      this.height--
    }
    if (this.height === 0 && this.count(this.root) === 0) {
      this.releaseNode(this.root)
      this.root = NO_REF
    }
  }

  // Nodes.

  private newNode(bytes: number): Ref {
    const node = this.arena.alloc(bytes)
    this.nodeCount++
    this.nodeBytes += this.arena.capacity(node)
    this.setCount(node, 0)
    return node
  }

  private releaseNode(node: Ref): void {
    this.nodeCount--
    this.nodeBytes -= this.arena.capacity(node)
    this.arena.free(node)
  }

  private freeNode(node: Ref, height: number): void {
    if (height > 0)
      for (let slot = 0; slot < this.count(node); slot++) this.freeNode(this.child(node, slot), height - 1)
    this.releaseNode(node)
  }

  private count(node: Ref): number {
    return this.arena.words(node)[this.arena.unit(node) * 2 + 1]!
  }

  private setCount(node: Ref, count: number): void {
    this.arena.words(node)[this.arena.unit(node) * 2 + 1] = count
  }

  private setItem(leaf: Ref, at: number, score: number, member: Ref): void {
    const scores = this.arena.unit(leaf) + 1
    this.arena.doubles(leaf)[scores + at] = score
    this.arena.words(leaf)[(scores + LEAF_ITEMS) * 2 + at] = member
  }

  /** Makes room for one item at `at`. */
  private openLeaf(leaf: Ref, at: number): void {
    const scores = this.arena.unit(leaf) + 1
    const members = (scores + LEAF_ITEMS) * 2
    const count = this.count(leaf)
    moveDoubles(this.arena.doubles(leaf), scores + at, scores + at + 1, count - at)
    moveWords(this.arena.words(leaf), members + at, members + at + 1, count - at)
    this.setCount(leaf, count + 1)
  }

  private appendItems(from: Ref, start: number, run: number, to: Ref): void {
    const arena = this.arena
    const source = arena.unit(from) + 1
    const target = arena.unit(to) + 1
    const count = this.count(to)
    copyDoubles(arena.doubles(from), source + start, arena.doubles(to), target + count, run)
    const sourceMembers = (source + LEAF_ITEMS) * 2
    const targetMembers = (target + LEAF_ITEMS) * 2
    copyWords(arena.words(from), sourceMembers + start, arena.words(to), targetMembers + count, run)
    this.setCount(to, count + run)
  }

  private appendChildren(from: Ref, start: number, run: number, to: Ref): void {
    const arena = this.arena
    const source = arena.unit(from) + 1
    const target = arena.unit(to) + 1
    const count = this.count(to)
    copyDoubles(arena.doubles(from), source + start, arena.doubles(to), target + count, run)
    for (let column = 0; column < 3; column++) {
      const sourceAt = (source + INNER_CHILDREN) * 2 + column * INNER_CHILDREN
      const targetAt = (target + INNER_CHILDREN) * 2 + column * INNER_CHILDREN
      copyWords(arena.words(from), sourceAt + start, arena.words(to), targetAt + count, run)
    }
    this.setCount(to, count + run)
  }

  /** Moves the entries from `from` to the end of an inner node to `to`. The count stays. */
  private moveChildren(node: Ref, from: number, to: number): void {
    const scores = this.arena.unit(node) + 1
    const run = this.count(node) - from
    const words = this.arena.words(node)
    moveDoubles(this.arena.doubles(node), scores + from, scores + to, run)
    for (let column = 0; column < 3; column++) {
      const at = (scores + INNER_CHILDREN) * 2 + column * INNER_CHILDREN
      moveWords(words, at + from, at + to, run)
    }
  }

  private removeChild(parent: Ref, slot: number): void {
    this.moveChildren(parent, slot + 1, slot)
    this.setCount(parent, this.count(parent) - 1)
  }

  private child(node: Ref, slot: number): Ref {
    return this.arena.words(node)[(this.arena.unit(node) + 1 + INNER_CHILDREN) * 2 + INNER_CHILDREN + slot]! >>> 0
  }

  private setChild(node: Ref, slot: number, child: Ref): void {
    this.arena.words(node)[(this.arena.unit(node) + 1 + INNER_CHILDREN) * 2 + INNER_CHILDREN + slot] = child
  }

  private childSize(node: Ref, slot: number): number {
    return this.arena.words(node)[(this.arena.unit(node) + 1 + INNER_CHILDREN) * 2 + 2 * INNER_CHILDREN + slot]!
  }

  private addSize(node: Ref, slot: number, delta: number): void {
    const words = this.arena.words(node)
    const at = (this.arena.unit(node) + 1 + INNER_CHILDREN) * 2 + 2 * INNER_CHILDREN + slot
    words[at] = words[at]! + delta
  }

  /** How many elements lie below the children before `slot`. */
  private sizeBefore(node: Ref, slot: number): number {
    const words = this.arena.words(node)
    const sizes = (this.arena.unit(node) + 1 + INNER_CHILDREN) * 2 + 2 * INNER_CHILDREN
    let sum = 0
    for (let i = 0; i < slot; i++) sum += words[sizes + i]!
    return sum
  }

  /** Copies the first element of a child into its parent at `level`. */
  private refreshFirst(parent: Ref, slot: number, level: number): void {
    const arena = this.arena
    const child = this.child(parent, slot)
    const items = level + 1 === this.height ? LEAF_ITEMS : INNER_CHILDREN
    const from = arena.unit(child) + 1
    const to = arena.unit(parent) + 1
    arena.doubles(parent)[to + slot] = arena.doubles(child)[from]!
    arena.words(parent)[(to + INNER_CHILDREN) * 2 + slot] = arena.words(child)[(from + items) * 2]!
  }

  /** Brings the first element and the size of a child up to date in its parent at `level`. */
  private refreshChild(parent: Ref, slot: number, level: number): void {
    this.refreshFirst(parent, slot, level)
    const child = this.child(parent, slot)
    const count = this.count(child)
    const size = level + 1 === this.height ? count : this.sizeBefore(child, count)
    this.arena.words(parent)[(this.arena.unit(parent) + 1 + INNER_CHILDREN) * 2 + 2 * INNER_CHILDREN + slot] = size
  }
}

/**
 * A position in a ScoreOrder and the element there. Reused: open it again for each use, and after each change of the
 * order.
 */
export class OrderCursor {
  score = 0
  member: Ref = NO_REF
  private order: ScoreOrder | null = null
  private rank = 0
  private doubles: Float64Array = NO_DOUBLES
  private scores = 0
  private words: Int32Array = NO_WORDS
  private members = 0
  private count = 0
  private index = 0

  /** Moves to the element of `rank`. Returns false when there is none. */
  open(order: ScoreOrder, rank: number): boolean {
    this.order = order
    this.rank = rank
    if (rank < 0 || rank >= order.size) return false
    order.place(this, rank)
    return true
  }

  /** Moves to the following element. Returns false behind the last one. */
  next(): boolean {
    this.rank++
    if (this.index + 1 < this.count) this.index++
    else return this.order !== null && this.open(this.order, this.rank)
    this.read()
    return true
  }

  /** Moves to the element before. Returns false before the first one. */
  previous(): boolean {
    this.rank--
    if (this.index > 0) this.index--
    else return this.order !== null && this.open(this.order, this.rank)
    this.read()
    return true
  }

  /** Takes position in a leaf; for ScoreOrder. */
  enter(doubles: Float64Array, scores: number, words: Int32Array, members: number, count: number, index: number): void {
    this.doubles = doubles
    this.scores = scores
    this.words = words
    this.members = members
    this.count = count
    this.index = index
    this.read()
  }

  private read(): void {
    this.score = this.doubles[this.scores + this.index]!
    this.member = this.words[this.members + this.index]! >>> 0
  }
}

/** Most elements that one `removeRun` takes. */
export const REMOVE_RUN_MAX = LEAF_ITEMS

/** Orders two members by their bytes. */
function compareMembers(arena: Arena, a: Ref, b: Ref): number {
  // A member that is looked up meets itself: its bytes need not be touched.
  return a === b ? 0 : compareStored(arena, a, arena.segment(b), arena.offset(b), arena.length(b))
}

/** Orders the payload of a block against `source[start, start + length)`, as memcmp, then by length. */
export function compareStored(arena: Arena, ref: Ref, source: Uint8Array, start: number, length: number): number {
  return compareRanges(arena.segment(ref), arena.offset(ref), arena.length(ref), source, start, length)
}

/** Orders two byte ranges as memcmp does, then by length. */
export function compareRanges(
  a: Buffer,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): number {
  const shared = aLength < bLength ? aLength : bLength
  const near = shared < LOOP_COMPARE_MAX ? shared : LOOP_COMPARE_MAX
  for (let i = 0; i < near; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!
    if (difference !== 0) return difference
  }
  if (near < shared) {
    const order = a.compare(b, bStart + near, bStart + shared, aStart + near, aStart + shared)
    if (order !== 0) return order
  }
  return aLength - bLength
}

const LOOP_COMPARE_MAX = 64
const NO_DOUBLES = new Float64Array(0)
const NO_WORDS = new Int32Array(0)

function moveDoubles(array: Float64Array, from: number, to: number, run: number): void {
  if (run > LOOP_MOVE_MAX) array.copyWithin(to, from, from + run)
  else if (from < to) for (let i = run - 1; i >= 0; i--) array[to + i] = array[from + i]!
  else for (let i = 0; i < run; i++) array[to + i] = array[from + i]!
}

function moveWords(array: Int32Array, from: number, to: number, run: number): void {
  if (run > LOOP_MOVE_MAX) array.copyWithin(to, from, from + run)
  else if (from < to) for (let i = run - 1; i >= 0; i--) array[to + i] = array[from + i]!
  else for (let i = 0; i < run; i++) array[to + i] = array[from + i]!
}

function copyDoubles(source: Float64Array, from: number, target: Float64Array, to: number, run: number): void {
  for (let i = 0; i < run; i++) target[to + i] = source[from + i]!
}

function copyWords(source: Int32Array, from: number, target: Int32Array, to: number, run: number): void {
  for (let i = 0; i < run; i++) target[to + i] = source[from + i]!
}
