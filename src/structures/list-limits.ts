/**
 * When a list is one packed block and what a node of a big list may hold: `list-max-listpack-size`.
 *
 * A negative setting limits the bytes of a node (-1 to -5: 4 KiB to 64 KiB), any other one the number of its entries
 * (0 means 1) and then also its bytes, to 8 KiB. Sizes count as Redis counts a listpack: entries, header and end mark.
 * Source: Valkey 7.2 src/quicklist.c `quicklistNodeLimit`, `quicklistNodeExceedsLimit`.
 */

/** Header and end mark of a listpack, in bytes. */
export const LISTPACK_FRAME_BYTES = 7

const BYTES_BY_LEVEL: readonly number[] = [4096, 8192, 16384, 32768, 65536]
/** Limit of a node's bytes when the setting limits entries. */
const SAFETY_BYTES_MAX = 8192
const NO_LIMIT = 0x7fffffff

export class ListLimits {
  /** Largest node with more than one entry, in bytes of a listpack. */
  readonly bytesMax: number
  /** Largest number of entries of a node. */
  readonly entriesMax: number
  private readonly limitsBytes: boolean

  /** @param setting the value of `list-max-listpack-size`. */
  constructor(setting: number) {
    this.limitsBytes = setting < 0
    if (setting < 0) {
      this.bytesMax = BYTES_BY_LEVEL[Math.min(-setting, BYTES_BY_LEVEL.length) - 1]!
      this.entriesMax = NO_LIMIT
    } else {
      this.bytesMax = SAFETY_BYTES_MAX
      this.entriesMax = Math.max(1, setting)
    }
  }

  /** Whether a packed block of this size (in bytes of a listpack) has to become a big list. */
  exceeds(bytes: number, count: number): boolean {
    return bytes > this.bytesMax || count > this.entriesMax
  }

  /**
   * Whether a node of this size may become a packed block. Only the limit that is set counts here, divided by
   * `divisor`: 2 after shrinking, so that a list at the threshold does not change to and fro.
   */
  packs(bytes: number, count: number, divisor: number): boolean {
    if (this.limitsBytes) return bytes <= this.bytesMax / divisor
    return count <= Math.floor(this.entriesMax / divisor)
  }
}
