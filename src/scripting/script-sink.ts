/**
 * The reply sink of scripts: builds the Lua value of a command's reply while the command writes it. Hot path.
 *
 * Conversion (RESP2 mode; what `redis.setresp(3)` changes follows in brackets): integer and number, bulk and string, null
 * and false [nil], status `{ok=}`, error `{err=}`, array and table, map and flat table [`{map={}}`], set and table
 * [`{set={v=true}}`], double and string [`{double=}`], boolean and 1 or 0 [boolean], big number and string
 * [`{big_number=}`], verbatim and string [`{verbatim_string={format=, string=}}`].
 */
// The global of this name is looked up behind a getter each time.
import { Buffer } from 'node:buffer'
import type { TextCache } from '../bytes/text-cache.ts'
import { type DoubleFormat, type Mark, ReplySink } from '../resp/reply.ts'
import type { Arena, Ref } from '../storage/arena.ts'
import { allowance, CHARGED_BYTES, CHARGED_MASK, FREE_CHARS_MAX, scriptMemory, TABLE_BYTES } from './lua/memory.ts'
import { LuaTable } from './lua/table.ts'
import { type LuaValue, ScriptAborted } from './lua/value.ts'
import { ReplyUse } from './redis-library.ts'

const Shape = { List: 0, Map: 1, Set: 2 } as const
type Shape = (typeof Shape)[keyof typeof Shape]

/** An aggregate that is being filled. */
interface Frame {
  readonly shape: Shape
  readonly items: LuaValue[]
  /** Elements still to come; infinite until a deferred aggregate is closed. */
  remaining: number
}

/** What a string takes beside its chars, or a short one with them, roughly. */
const SHORT_TEXT_BYTES = 32

/** A mark holds the depth of open aggregates in its low part and the filled length above. */
const DEPTH_SPAN = 1024

export class ScriptSink extends ReplySink {
  /** Whether the reply is an error. */
  isError: boolean = false
  /** Why the script has to end: there was no memory for the whole reply. A command cannot be left in its midst. */
  overflow: ScriptAborted | null = null
  private readonly arena: Arena
  private result: LuaValue = undefined
  private hasResult: boolean = false
  /** Whether nobody looks at the reply, unless it is an error: then nothing else is built. */
  private isIgnored: boolean = false
  private readonly frames: Frame[] = []
  private readonly texts: TextCache

  /** How doubles are written in replies of RESP2. */
  private readonly formatDouble: DoubleFormat

  constructor(arena: Arena, format: DoubleFormat, texts: TextCache) {
    super()
    this.arena = arena
    this.texts = texts
    this.formatDouble = format
  }

  /** Prepares for the next reply. */
  start(use: ReplyUse): void {
    this.isIgnored = use === ReplyUse.Ignored
    this.reset()
  }

  /** Takes back all that was written. */
  reset(): void {
    this.isError = false
    this.overflow = null
    this.result = undefined
    this.hasResult = false
    if (this.frames.length > 0) this.frames.length = 0
  }

  /** The Lua value of the reply that was written. */
  take(): LuaValue {
    const { result } = this
    this.result = undefined
    return result
  }

  integer(value: number): void {
    this.add(value)
  }

  bigInteger(value: bigint): void {
    this.add(Number(value))
  }

  bulk(source: Uint8Array, start: number, length: number): void {
    if (this.isIgnored || !this.hasRoomFor(length)) return
    const view = source instanceof Buffer ? source : Buffer.from(source.buffer, source.byteOffset, source.length)
    this.add(this.texts.text(view, start, length))
  }

  bulkRef(ref: Ref): void {
    if (this.isIgnored) return
    const start = this.arena.offset(ref)
    const length = this.arena.length(ref)
    if (!this.hasRoomFor(length)) return
    this.add(this.texts.text(this.arena.segment(ref), start, length))
  }

  bulkInteger(value: number): void {
    if (this.isIgnored) return
    allowance.left -= SHORT_TEXT_BYTES
    this.add(`${value}`)
  }

  bulkText(text: string): void {
    allowance.left -= SHORT_TEXT_BYTES
    this.add(text)
  }

  status(text: string): void {
    if (this.isIgnored) return
    allowance.left -= TABLE_BYTES
    this.add(new LuaTable().init('ok', text))
  }

  nil(): void {
    this.add(this.version >= 3 ? undefined : false)
  }

  nilArray(): void {
    this.nil()
  }

  array(count: number): void {
    this.open(Shape.List, count)
  }

  map(count: number): void {
    this.open(this.version >= 3 ? Shape.Map : Shape.List, count * 2)
  }

  set(count: number): void {
    this.open(this.version >= 3 ? Shape.Set : Shape.List, count)
  }

  push(count: number): void {
    this.open(Shape.List, count)
  }

  double(value: number): void {
    if (this.isIgnored) return
    this.add(this.version >= 3 ? new LuaTable().init('double', value) : this.formatDouble(value))
  }

  bool(value: boolean): void {
    this.add(this.version >= 3 ? value : value ? 1 : 0)
  }

  bigNumber(text: string): void {
    if (this.isIgnored) return
    this.add(this.version >= 3 ? new LuaTable().init('big_number', text) : text)
  }

  verbatim(text: string, format: string): void {
    if (this.isIgnored) return
    if (this.version < 3) this.add(text)
    else this.add(new LuaTable().init('verbatim_string', new LuaTable().init('format', format).init('string', text)))
  }

  error(text: string): void {
    if (this.frames.length === 0) this.isError = true
    this.isIgnored = false
    allowance.left -= TABLE_BYTES
    this.add(new LuaTable().init('err', text).init('ignore_error_stats_update', true))
  }

  begin(): Mark {
    if (this.isIgnored) return 0
    this.frames.push({ shape: Shape.List, items: [], remaining: Number.POSITIVE_INFINITY })
    return this.frames.length
  }

  closeArray(_mark: Mark, _count: number): void {
    if (this.isIgnored) return
    this.add(fold(Shape.List, this.frames.pop()!.items))
  }

  closeMap(_mark: Mark, _count: number): void {
    if (this.isIgnored) return
    this.add(fold(this.version >= 3 ? Shape.Map : Shape.List, this.frames.pop()!.items))
  }

  closeSet(_mark: Mark, _count: number): void {
    if (this.isIgnored) return
    this.add(fold(this.version >= 3 ? Shape.Set : Shape.List, this.frames.pop()!.items))
  }

  position(): Mark {
    const depth = this.frames.length
    return depth === 0 ? (this.hasResult ? DEPTH_SPAN : 0) : this.frames[depth - 1]!.items.length * DEPTH_SPAN + depth
  }

  takeBack(mark: Mark): void {
    const depth = mark % DEPTH_SPAN
    const length = Math.floor(mark / DEPTH_SPAN)
    this.frames.length = Math.min(this.frames.length, depth)
    const top = this.frames.at(-1)
    if (top !== undefined) {
      top.remaining += top.items.length - length
      top.items.length = length
    } else if (length === 0) this.reset()
  }

  private open(shape: Shape, count: number): void {
    if (this.isIgnored || !this.hasRoom(TABLE_BYTES)) return
    if (count === 0) this.add(fold(shape, []))
    else this.frames.push({ shape, items: [], remaining: count })
  }

  /**
   * Whether there is memory for a text. Short ones are charged for without a look, which is taken before the next call at
   * the latest: a script may get thousands of them between two ticks of its own.
   */
  private hasRoomFor(length: number): boolean {
    if (length > FREE_CHARS_MAX) return this.hasRoom(length)
    allowance.left -= SHORT_TEXT_BYTES + length
    return true
  }

  /** Whether there is memory for so much more; once there is not, the rest of the reply is dropped. */
  private hasRoom(bytes: number): boolean {
    allowance.left -= bytes
    if (allowance.left >= 0) return true
    try {
      if (this.overflow === null) scriptMemory.look()
    } catch (error) {
      if (!(error instanceof ScriptAborted)) throw error
      this.overflow = error
    }
    return this.overflow === null
  }

  private add(value: LuaValue): void {
    if (this.isIgnored || this.overflow !== null) return
    let current = value
    for (;;) {
      const { frames } = this
      if (frames.length === 0) {
        this.result = current
        this.hasResult = true
        return
      }
      const frame = frames[frames.length - 1]!
      frame.items.push(current)
      if ((frame.items.length & CHARGED_MASK) === 0 && !this.hasRoom(CHARGED_BYTES)) return
      if (--frame.remaining > 0) return
      frames.pop()
      current = fold(frame.shape, frame.items)
    }
  }
}

function fold(shape: Shape, items: LuaValue[]): LuaTable {
  if (shape === Shape.List) return LuaTable.fromList(items)
  const inner = new LuaTable()
  if (shape === Shape.Map) {
    for (let i = 0; i + 1 < items.length; i += 2) if (items[i] !== undefined) inner.set(items[i], items[i + 1])
    return new LuaTable().init('map', inner)
  }
  for (const item of items) if (item !== undefined) inner.set(item, true)
  return new LuaTable().init('set', inner)
}
