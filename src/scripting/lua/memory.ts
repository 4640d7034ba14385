/**
 * How much memory a running script may hold. Hot path: `charge`.
 *
 * Scripts live in the heap of V8, and a heap that is full ends the process. So a script that holds too much is ended in
 * time. Its heap cannot be told apart from the rest, but nothing else runs beside it: what the heap has grown by since
 * the run began is the script's, once the garbage is gone.
 *
 *     tick (every few thousand steps), and `charge` (every 16 MiB of text) ──▶ look
 *     look: grown by less than the bound? go on : collect garbage, and if it is the bound still, end the script
 *
 * Steps alone would not do: one of them may make 512 MiB. Whatever makes a string or a table whose size the script
 * chooses charges for it, before or right after.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ScriptAborted } from './value.ts'

const MIB = 1024 * 1024
/** What Lua says. */
export const NO_MEMORY = 'not enough memory'
/** What a script may hold, in bytes; less where the heap is small. */
const HELD_BYTES_MAX = 512 * MIB
/** The part of the heap that a script may hold: a table that grows takes three times its memory while it is moved. */
const HEAP_SHARE_MAX = 1 / 6
/** Charged between two looks, in bytes. */
const CHARGE_BYTES = 16 * MIB
/** Shorter strings are not charged for: the steps that make them are counted. */
export const FREE_CHARS_MAX = 256
/** Longer strings are joined when they are made. */
const LAZY_CHARS_MAX = 64 * 1024
const ANYTHING = /^/

/** What a table with an entry or two takes, roughly. */
export const TABLE_BYTES = 128
/** Readers of data charge for every few thousand entries of a table, which take so much. */
export const CHARGED_MASK = 0xfff
export const CHARGED_BYTES = (CHARGED_MASK + 1) * 16

/** What may be charged before the next look, and what looks: the tick of what runs. */
export const allowance: { left: number; tick: () => void } = { left: CHARGE_BYTES, tick: () => {} }

/** Charges for bytes that a script takes at one go, before it has them. Throws `ScriptAborted` when it holds too much. */
export function charge(bytes: number): void {
  allowance.left -= bytes
  if (allowance.left >= 0) return
  scriptMemory.awaited = bytes
  allowance.tick()
}

/** As `charge`, where other clients must not be served: while a script is compiled or replied to. */
export function chargeQuietly(bytes: number): void {
  allowance.left -= bytes
  if (allowance.left >= 0) return
  scriptMemory.awaited = bytes
  scriptMemory.look()
}

/**
 * Charges for a string that was put together. V8 does not join a string before it is looked into: a script could hold
 * thousands of long ones that take no memory, and compare them all with something. So a long one is joined now.
 */
export function joined(text: string): string {
  if (text.length <= FREE_CHARS_MAX) return text
  charge(text.length)
  if (text.length > LAZY_CHARS_MAX) flatten(text)
  return text
}

/** Joins the pieces that V8 keeps a string in. Matching always does; looking at a char does so only sometimes. */
export function flatten(text: string): void {
  ANYTHING.test(text)
}

const releasers: (() => void)[] = []
const resetters: (() => void)[] = []

/** `release` lets go of what is only kept to save time: called when memory becomes scarce, at any time. */
export function whenScarce(release: () => void): void {
  releasers.push(release)
}

/** `reset` lets go of what somebody was working on: called when a script is ended in the midst of whatever it did. */
export function whenAborted(reset: () => void): void {
  resetters.push(reset)
}

/** Whether there is room, or the next look should come soon. */
export const Room = { Ample: 0, Scarce: 1 } as const
export type Room = (typeof Room)[keyof typeof Room]

class ScriptMemory {
  private readonly heldMax = Math.min(HELD_BYTES_MAX, getHeapStatistics().heap_size_limit * HEAP_SHARE_MAX)
  /** What was used when the run began, in bytes; -1: nobody has looked yet. */
  private before = -1
  /** Growth at which garbage is collected, in bytes. */
  private collectAt = 0
  /** What was used without any script when that was last known. */
  private beside = 0
  private collectGarbage: (() => void) | null = null
  /** What is about to be taken, in bytes. */
  awaited = 0

  /** A run, or what is compiled for it, begins. Most end before anybody looks. */
  begin(): void {
    this.before = -1
  }

  /** Throws `ScriptAborted` when the script holds too much. */
  look(): Room {
    allowance.left = CHARGE_BYTES
    const { awaited } = this
    this.awaited = 0
    const used = usedBytes()
    if (this.before < 0) {
      this.before = used
      this.collectAt = this.heldMax
      // What is garbage now must not count as used before: scripts one after the other would fill the heap.
      if (used > this.beside + Math.max(this.heldMax, this.beside) / 2) {
        this.before = this.collect()
        this.beside = this.before
      }
    }
    const grown = used + awaited - this.before
    if (grown > this.collectAt) this.collectAndJudge(awaited)
    return grown > this.heldMax / 4 ? Room.Scarce : Room.Ample
  }

  private collectAndJudge(awaited: number): void {
    const live = this.collect()
    if (live < this.before) this.before = live
    this.beside = this.before
    const held = live + awaited - this.before
    if (held > this.heldMax) {
      for (const reset of resetters) reset()
      throw new ScriptAborted(`ERR ${NO_MEMORY}`)
    }
    // A script that holds much and makes garbage besides must not collect at every look.
    this.collectAt = Math.max(this.heldMax, held + this.heldMax / 2)
  }

  private collect(): number {
    if (this.collectGarbage === null) {
      setFlagsFromString('--expose-gc')
      this.collectGarbage = runInNewContext('gc') as () => void
    }
    // The last text that was matched is kept.
    flatten('')
    for (const release of releasers) release()
    this.collectGarbage()
    return usedBytes()
  }
}

/** The heap, and what strings and buffers have beside it. */
function usedBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

/** One script runs at a time. */
export const scriptMemory: ScriptMemory = new ScriptMemory()
