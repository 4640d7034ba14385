/**
 * Streams that clients follow: a feed for each, read once for all its followers.
 *
 *     position < tail   the follower catches up: pages of XRANGE, as fast as its client takes them
 *     position ≥ tail   it is live: what is appended is encoded once and handed to all
 *
 * A follower becomes live when nothing lies between its position and the tail, in the same turn in which it finds that
 * out, so there is neither a gap nor a duplicate at the seam. A live one whose client is slow is not handed anything: it
 * catches up from its position when the client has drained. So nothing queues up in here.
 *
 * When entries behind the position were trimmed away the follower is told of a gap before it goes on.
 */
import type { Log } from '../../observe/log.ts'
import { CommandError, Decode, type Engine, type ReplyValue } from '../engine.ts'
import { Batch } from './batch.ts'
import { compareEntryIds, ENTRY_ID_MIN, normalEntryId } from './entry-id.ts'
import { PAGE_ENTRIES } from './limits.ts'
import { countForPush, type Entry, entriesMembers, entriesOf } from './payload.ts'
import { RealtimeError } from './protocol.ts'
import { type ReadStream, StreamReaders } from './stream-reader.ts'

/** Pause before a page is tried again that could not be read, in ms. */
const RETRY_MS = 500
/** Errors that another try would not change. */
const FINAL_ERRORS: ReadonlySet<string> = new Set(['WRONGTYPE', 'NOPERM', 'TOOLARGE'])

/** The client at the end of a follower. */
export interface FollowerClient {
  readonly isFull: boolean
  deliverEntries(batch: Batch): void
  /** Entries behind `after` may be missing; those from `first` on are there (null: none). */
  deliverGap(stream: string, after: string, first: string | null): void
  /** The stream cannot be followed any more. */
  streamFailed(stream: string, error: CommandError): void
}

export class StreamFeeds {
  readonly feeds = new Map<string, StreamFeed>()
  private readonly engine: Engine
  private readonly readers: StreamReaders
  private readonly feedsMax: number

  constructor(engine: Engine, log: Log, feedsMax: number) {
    this.engine = engine
    this.feedsMax = feedsMax
    this.readers = new StreamReaders(engine, log)
  }

  /**
   * Makes a follower, which gets nothing until `start`.
   *
   * @param from an entry ID, or `$` for the last one
   * @throws CommandError when the key holds no stream; RealtimeError LIMIT, BAD_REQUEST
   */
  async follow(key: string, from: string, client: FollowerClient): Promise<Follower> {
    const wanted = from === '$' ? null : normalEntryId(from)
    if (from !== '$' && wanted === null) throw new RealtimeError('BAD_REQUEST', 'from must be $ or an entry ID')
    const { last } = await this.lastId(key)
    const feed = this.feedOf(key, last)
    return new Follower(feed, wanted ?? last, client)
  }

  close(): void {
    this.readers.close()
  }

  private feedOf(key: string, tail: string): StreamFeed {
    const known = this.feeds.get(key)
    if (known !== undefined) return known
    if (this.feeds.size >= this.feedsMax)
      throw new RealtimeError('LIMIT', `There are ${this.feedsMax} followed streams`)
    const feed = new StreamFeed(key, tail, this.engine, () => this.remove(feed))
    this.feeds.set(key, feed)
    this.readers.add(feed)
    return feed
  }

  private remove(feed: StreamFeed): void {
    if (this.feeds.get(feed.key) === feed) this.feeds.delete(feed.key)
    this.readers.remove(feed)
  }

  private async lastId(key: string): Promise<StreamState> {
    try {
      return stateOf(await this.engine.call(this.engine.system, ['XINFO', 'STREAM', key], { decode: Decode.Bytes }))
    } catch (error) {
      if (error instanceof CommandError && error.message === NO_SUCH_KEY) return EMPTY
      throw error
    }
  }
}

export class StreamFeed implements ReadStream {
  readonly key: string
  /** The last entry that was handed to live followers. */
  tail: string
  private readonly engine: Engine
  private readonly abandoned: () => void
  private readonly followers = new Set<Follower>()
  private readonly head: string

  constructor(key: string, tail: string, engine: Engine, abandoned: () => void) {
    this.key = key
    this.tail = tail
    this.engine = engine
    this.abandoned = abandoned
    this.head = `{"type":"entries","stream":${JSON.stringify(key)},`
  }

  get followerCount(): number {
    return this.followers.size
  }

  join(follower: Follower): void {
    this.followers.add(follower)
  }

  leave(follower: Follower): void {
    if (this.followers.delete(follower) && this.followers.size === 0) this.abandoned()
  }

  appended(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1]
    if (last === undefined) return
    const previous = this.tail
    this.tail = last.id
    // What is too much for one push is read again in pages.
    const batch = isForOnePush(entries) ? this.encode(entries) : null
    for (const follower of this.followers) {
      if (!follower.isLive) continue
      if (batch === null) follower.fallBack()
      else follower.appended(entries, batch, previous)
    }
  }

  failed(error: CommandError): void {
    for (const follower of [...this.followers]) follower.fail(error)
  }

  encode(entries: readonly Entry[]): Batch {
    return new Batch('entries', [`${this.head}${entriesMembers(entries)}}`])
  }

  /** The entries behind a position, and how the stream is at that moment. */
  async page(position: string): Promise<{ readonly entries: readonly Entry[]; readonly state: StreamState }> {
    const commands = [
      ['XINFO', 'STREAM', this.key],
      ['XRANGE', this.key, `(${position}`, '+', 'COUNT', PAGE_ENTRIES],
    ]
    const [info, range] = await this.engine.transaction(this.engine.system, commands, Decode.Bytes)
    const isMissing = info instanceof CommandError && info.message === NO_SUCH_KEY
    if (info instanceof CommandError && !isMissing) throw info
    if (range instanceof CommandError) throw range
    const state = isMissing ? EMPTY : stateOf(info ?? null)
    return { entries: entriesOf(range) as readonly Entry[], state }
  }
}

export class Follower {
  readonly feed: StreamFeed
  /** The last entry that the client was sent. */
  position: string
  private readonly client: FollowerClient
  private isReading: boolean = false
  private isClosed: boolean = false
  /** Whether it is handed what is appended. */
  isLive: boolean = false

  constructor(feed: StreamFeed, position: string, client: FollowerClient) {
    this.feed = feed
    this.position = position
    this.client = client
    feed.join(this)
  }

  /** Begins, or goes on after the client has drained. */
  start(): void {
    if (!this.isReading && !this.isLive) void this.catchUp()
  }

  close(): void {
    this.isClosed = true
    this.isLive = false
    this.feed.leave(this)
  }

  fail(error: CommandError): void {
    if (this.isClosed) return
    this.close()
    this.client.streamFailed(this.feed.key, error)
  }

  /** Takes what was appended behind `previous`; only when it is live. */
  appended(entries: readonly Entry[], batch: Batch, previous: string): void {
    if (this.client.isFull) {
      this.isLive = false
      return
    }
    const { position, feed } = this
    if (position === previous) {
      this.position = feed.tail
      this.client.deliverEntries(batch)
      return
    }
    // Catching up went further than the feed was, or the position was given and lies ahead.
    const newer = entries.filter(({ id }) => compareEntryIds(id, position) > 0)
    if (newer.length === 0) return
    this.position = feed.tail
    this.client.deliverEntries(feed.encode(newer))
  }

  /** Leaves what was appended to catching up. */
  fallBack(): void {
    this.isLive = false
    this.start()
  }

  private async catchUp(): Promise<void> {
    this.isReading = true
    while (!this.isClosed && !this.client.isFull) {
      if (await this.step()) break
    }
    this.isReading = false
  }

  /** Sends one page. Returns whether the follower is live, or closed. */
  private async step(): Promise<boolean> {
    const { tail } = this.feed
    try {
      const { entries, state } = await this.feed.page(this.position)
      if (this.isClosed) return true
      if (hasGap(this.position, state)) this.client.deliverGap(this.feed.key, this.position, state.first)
      const page = entries.slice(0, countForPush(entries))
      const last = page[page.length - 1]
      if (last !== undefined) {
        this.position = last.id
        this.client.deliverEntries(this.feed.encode(page))
      } else if (compareEntryIds(this.position, tail) < 0) this.position = tail
    } catch (error) {
      if (error instanceof CommandError && FINAL_ERRORS.has(error.code)) this.fail(error)
      else await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref())
      return this.isClosed
    }
    this.isLive = !this.isClosed && compareEntryIds(this.position, this.feed.tail) >= 0
    return this.isLive
  }
}

function isForOnePush(entries: readonly Entry[]): boolean {
  try {
    return countForPush(entries) === entries.length
  } catch (error) {
    if (error instanceof CommandError) return false
    throw error
  }
}

/** What XINFO STREAM tells. */
interface StreamState {
  readonly length: number
  /** Entries that were ever added; null where the server does not count them (Redis before 7). */
  readonly addedCount: number | null
  /** The last ID that was given; that entry may be deleted. */
  readonly last: string
  /** Null when the stream is empty. */
  readonly first: string | null
}

const NO_SUCH_KEY = 'ERR no such key'
const EMPTY: StreamState = { length: 0, addedCount: null, last: ENTRY_ID_MIN, first: null }

function stateOf(info: ReplyValue): StreamState {
  const members = new Map<string, ReplyValue>()
  if (Array.isArray(info)) {
    for (let i = 0; i + 1 < info.length; i += 2) members.set(String(info[i]), info[i + 1])
  }
  const first = members.get('first-entry')
  const added = members.get('entries-added')
  return {
    length: Number(members.get('length') ?? 0),
    addedCount: added === undefined ? null : Number(added),
    last: String(members.get('last-generated-id') ?? ENTRY_ID_MIN),
    first: Array.isArray(first) ? String(first[0]) : null,
  }
}

/**
 * Whether entries behind a position may have been removed. It says so too when the entry at the position is the last one
 * that was trimmed: streams do not tell what became of single entries.
 */
function hasGap(position: string, { length, addedCount, last, first }: StreamState): boolean {
  if (position === ENTRY_ID_MIN) return false
  // The key was deleted: what it held is not known.
  if (last === ENTRY_ID_MIN) return true
  const isTrimmed = addedCount === null || addedCount > length
  if (!isTrimmed || compareEntryIds(last, position) <= 0) return false
  return first === null || compareEntryIds(first, position) > 0
}
