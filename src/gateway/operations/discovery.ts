/**
 * Which keys of a kind there are, found by SCAN, a bounded part of the keyspace at a time: each look goes on where the last
 * one ended, so a large keyspace is known after some of them and a small one after the first. Looks are some seconds
 * apart however often somebody asks. Names are remembered until they turn out to be gone.
 */
import type { Engine } from '../engine.ts'

const KEYS_PER_CALL = 1000
const CALLS_PER_LOOK_MAX = 20
const LOOK_INTERVAL_MS = 10_000
/** Names that are remembered; further ones are not found. */
const NAMES_MAX = 200

export class Discovery {
  private readonly engine: Engine
  private readonly filter: readonly string[]
  private readonly names = new Set<string>()
  private cursor = '0'
  private lookedMs = Number.NEGATIVE_INFINITY
  private looking: Promise<void> | null = null

  /** @param filter options of SCAN that choose the keys */
  constructor(engine: Engine, filter: readonly string[]) {
    this.engine = engine
    this.filter = filter
  }

  /** The keys that are known. Whoever asks must have the right to run SCAN. */
  async find(): Promise<readonly string[]> {
    if (this.looking === null && performance.now() - this.lookedMs >= LOOK_INTERVAL_MS) {
      this.looking = this.look().finally(() => {
        this.looking = null
        this.lookedMs = performance.now()
      })
    }
    await this.looking
    return [...this.names]
  }

  /** A key was not there any more. */
  forget(name: string): void {
    this.names.delete(name)
  }

  private async look(): Promise<void> {
    for (let i = 0; i < CALLS_PER_LOOK_MAX; i++) {
      const words = ['SCAN', this.cursor, ...this.filter, 'COUNT', KEYS_PER_CALL]
      const [cursor, found] = (await this.engine.call(this.engine.system, words)) as [string, string[]]
      for (const name of found) if (this.names.size < NAMES_MAX) this.names.add(name)
      this.cursor = cursor
      if (cursor === '0') return
    }
  }
}
