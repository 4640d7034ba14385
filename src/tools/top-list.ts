/** The biggest of very many things. */

/** Keeps the `limit` items of the greatest size, in descending order. O(1) for one that is not kept, O(limit) for others. */
export class TopList<Item> {
  private readonly limit: number
  private readonly sizes: number[] = []
  private readonly list: Item[] = []

  constructor(limit: number) {
    this.limit = limit
  }

  /** Whether an item of this size would be kept now. */
  takes(size: number): boolean {
    return this.list.length < this.limit || size > (this.sizes.at(-1) ?? Number.POSITIVE_INFINITY)
  }

  add(size: number, item: Item): void {
    if (!this.takes(size)) return
    let at = this.sizes.length
    while (at > 0 && this.sizes[at - 1]! < size) at--
    this.sizes.splice(at, 0, size)
    this.list.splice(at, 0, item)
    if (this.list.length <= this.limit) return
    this.sizes.pop()
    this.list.pop()
  }

  get items(): readonly Item[] {
    return this.list
  }
}
