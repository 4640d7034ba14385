/**
 * Reading as a consumer of a group, with long polling.
 *
 * A read that claims (`claimIdleMs`) looks for pending entries that have been idle for long enough first, which includes
 * all that were given back (nack), then reads new ones. While it waits it looks again from time to time, as nothing tells
 * when an entry has become idle; and at once when an entry was given back through this gateway.
 *
 *     claim page by page ── enough? ──▶ read new ones ── any? ──▶ answer
 *        ▲                                   └── none ──▶ blocked read: entry, time over, or woken
 *        └───────────────────────────────────────────────────────────────┘
 *
 * Whatever is read or claimed is pending for the consumer before the answer leaves, so an answer that gets lost loses
 * nothing.
 */
import type { User } from '../../access/user.ts'
import { type Argument, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { ENTRY_ID_MIN } from '../realtime/entry-id.ts'
import { callBlocking } from './long-polls.ts'
import { type EntryJson, entriesJson, type FieldsAs, readEntriesJson } from './stream-json.ts'

/** Pages of pending entries that one look for idle ones goes through; others run between two. */
const CLAIM_PAGES_MAX = 1000
/** A blocked read that claims looks again after this time, in ms: as long as an entry must be idle, within these bounds. */
const LOOK_AGAIN_MS_MIN = 1000
const LOOK_AGAIN_MS_MAX = 5000

export interface GroupRead {
  readonly stream: string
  readonly group: string
  readonly consumer: string
  readonly count: number
  readonly blockMs: number
  /** Entries count as delivered and acknowledged. */
  readonly isAcknowledged: boolean
  /** null: no entries of other consumers are taken over. */
  readonly claimIdleMs: number | null
  readonly fieldsAs: FieldsAs
}

/** Reads that wait for entries of a group, so that one that is given back finds them. */
export class GroupWaits {
  private readonly waits = new Map<string, Set<() => void>>()

  /** @returns what takes it out again */
  add(stream: string, group: string, wake: () => void): () => void {
    const key = nameOf(stream, group)
    const found = this.waits.get(key) ?? new Set()
    this.waits.set(key, found.add(wake))
    return () => {
      found.delete(wake)
      if (found.size === 0 && this.waits.get(key) === found) this.waits.delete(key)
    }
  }

  wake(stream: string, group: string): void {
    for (const wake of this.waits.get(nameOf(stream, group)) ?? []) wake()
  }
}

function nameOf(stream: string, group: string): string {
  return JSON.stringify([stream, group])
}

/** @param signal ends the wait: the client is gone, or the gateway is shutting down */
export async function readGroup(
  engine: Engine,
  user: User,
  read: GroupRead,
  waits: GroupWaits,
  signal: AbortSignal,
): Promise<readonly EntryJson[]> {
  const deadlineMs = performance.now() + read.blockMs
  const wait = new Wait(signal)
  // Before the first look: what is given back from now on wakes.
  const leave = read.claimIdleMs === null ? null : waits.add(read.stream, read.group, () => wait.wake())
  try {
    for (;;) {
      wait.begin()
      const claimed = await claimIdle(engine, user, read, signal)
      const restMs = Math.ceil(deadlineMs - performance.now())
      const missing = read.count - claimed.length
      if (missing === 0 || signal.aborted) return claimed
      if (claimed.length > 0 || restMs <= 0) {
        return [...claimed, ...(await readNew(engine, user, read, missing, 0, null))]
      }
      const blockMs = Math.min(restMs, lookAgainMs(read))
      const entries = await readNew(engine, user, read, missing, blockMs, wait.signal)
      if (entries.length > 0 || signal.aborted) return entries
    }
  } finally {
    leave?.()
    wait.end()
  }
}

/** One blocked read after the other, each of which can be ended without ending all of them. */
class Wait {
  private controller = new AbortController()
  private readonly outer: AbortSignal

  constructor(outer: AbortSignal) {
    this.outer = outer
    outer.addEventListener('abort', this.onOuter)
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  begin(): void {
    this.controller = new AbortController()
    if (this.outer.aborted) this.controller.abort()
  }

  wake(): void {
    this.controller.abort()
  }

  end(): void {
    this.outer.removeEventListener('abort', this.onOuter)
  }

  private readonly onOuter = (): void => this.controller.abort()
}

async function claimIdle(engine: Engine, user: User, read: GroupRead, signal: AbortSignal): Promise<EntryJson[]> {
  if (read.claimIdleMs === null) return []
  const found: EntryJson[] = []
  let cursor = ENTRY_ID_MIN
  for (let page = 0; page < CLAIM_PAGES_MAX && !signal.aborted; page++) {
    const words = ['XAUTOCLAIM', read.stream, read.group, read.consumer, read.claimIdleMs, cursor]
    const reply = await engine.call(user, [...words, 'COUNT', read.count - found.length], { decode: Decode.Bytes })
    const [next, entries] = reply as readonly ReplyValue[]
    found.push(...entriesJson(entries ?? null, read.fieldsAs))
    cursor = String(next)
    if (cursor === ENTRY_ID_MIN || found.length >= read.count) return found
  }
  return found
}

async function readNew(
  engine: Engine,
  user: User,
  read: GroupRead,
  count: number,
  blockMs: number,
  signal: AbortSignal | null,
): Promise<readonly EntryJson[]> {
  const words: Argument[] = ['XREADGROUP', 'GROUP', read.group, read.consumer, 'COUNT', count]
  if (signal !== null) words.push('BLOCK', blockMs)
  if (read.isAcknowledged) words.push('NOACK')
  words.push('STREAMS', read.stream, '>')
  const reply =
    signal === null
      ? await engine.call(user, words, { decode: Decode.Bytes })
      : await callBlocking(engine, user, words, signal)
  return readEntriesJson(reply, read.fieldsAs)
}

function lookAgainMs({ claimIdleMs, blockMs }: GroupRead): number {
  if (claimIdleMs === null) return blockMs
  return Math.min(Math.max(claimIdleMs, LOOK_AGAIN_MS_MIN), LOOK_AGAIN_MS_MAX)
}
