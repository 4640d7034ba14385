/** A first-in-first-out queue in a ring that grows by doubling. */
const FIRST_SLOTS = 16

export class Fifo<Item> {
  private slots: (Item | null)[] = new Array<Item | null>(FIRST_SLOTS).fill(null)
  private head = 0
  private count = 0

  get size(): number {
    return this.count
  }

  push(item: Item): void {
    if (this.count === this.slots.length) this.grow()
    this.slots[(this.head + this.count) & (this.slots.length - 1)] = item
    this.count++
  }

  /** The oldest item; null when there is none. */
  first(): Item | null {
    return this.slots[this.head]!
  }

  /** Takes the oldest item out; null when there is none. */
  shift(): Item | null {
    if (this.count === 0) return null
    const item = this.slots[this.head]!
    this.slots[this.head] = null
    this.head = (this.head + 1) & (this.slots.length - 1)
    this.count--
    return item
  }

  private grow(): void {
    const { slots, head, count } = this
    const grown = new Array<Item | null>(slots.length * 2).fill(null)
    for (let i = 0; i < count; i++) grown[i] = slots[(head + i) & (slots.length - 1)]!
    this.slots = grown
    this.head = 0
  }
}
