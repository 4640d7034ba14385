/**
 * The reply sink of clients in the same process: builds JavaScript values.
 *
 * A reply is noted as a flat list of values and aggregate headers, and built when it is taken: taking back or closing
 * an aggregate of unknown size is a matter of list positions, as it is of buffer positions in RespSink.
 *
 * | Reply in RESP3 | `Decode.Text` | `Decode.Bytes` | `Decode.Base64` |
 * |---|---|---|---|
 * | string, status, verbatim string | string, from UTF-8 | Buffer | base64 of the bytes; a reply that is `+OK` stays it |
 * | integer | number; bigint beyond ±(2^53 − 1) | the same | the same |
 * | double, boolean, null, big number | number, boolean, null, bigint | the same | the same |
 * | array, set, push | array | array | array |
 * | map | object without prototype, in the order of the reply | Map, its keys being Buffers | as Bytes |
 * | error | CommandError | CommandError | CommandError |
 *
 * In RESP2 doubles and big numbers are strings, booleans are 0 and 1, and maps are flat arrays.
 *
 * A reply may have a limit: when what it holds is larger, further strings are left out, and an error is taken in its place.
 */
// The global of this name is looked up behind a getter each time.
import { Buffer, constants } from 'node:buffer'
import { formatDouble } from '../bytes/double.ts'
import { isAscii, SHORT_TEXT_MAX, shortText } from '../bytes/short-text.ts'
import type { Arena, Ref } from '../storage/arena.ts'
import { type Mark, ReplySink } from './reply.ts'

/** An error that a command replied. `message` is the reply's text. */
export class CommandError extends Error {
  override readonly name = 'CommandError'

  /** The first word of the text: 'ERR', 'WRONGTYPE', 'NOGROUP' … */
  get code(): string {
    const space = this.message.indexOf(' ')
    return space < 0 ? this.message : this.message.slice(0, space)
  }
}

/** A reply as a JavaScript value. */
export type ReplyValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Buffer
  | CommandError
  | readonly ReplyValue[]
  | { readonly [key: string]: ReplyValue }
  | ReadonlyMap<ReplyValue, ReplyValue>

/** What strings become. */
export const Decode = { Text: 0, Bytes: 1, Base64: 2 } as const
export type Decode = (typeof Decode)[keyof typeof Decode]

/** V8 has no longer strings. Base64 makes four chars of three bytes. */
const TEXT_BYTES_MAX = constants.MAX_STRING_LENGTH
const BASE64_BYTES_MAX = Math.floor(TEXT_BYTES_MAX / 4) * 3
/** What a string in a reply counts beside its bytes. */
const STRING_BYTES = 32

const Shape = { List: 0, Map: 1 } as const
type Shape = (typeof Shape)[keyof typeof Shape]

/** Announces an aggregate of the next `count` elements. */
class Header {
  readonly shape: Shape
  readonly count: number

  constructor(shape: Shape, count: number) {
    this.shape = shape
    this.count = count
  }
}

/** Stands where an aggregate of unknown size begins, until it is closed. */
const OPEN = new Header(Shape.List, 0)

export class ValueSink extends ReplySink {
  /** What strings of the next reply become. */
  decode: Decode = Decode.Text
  /** Bytes of the strings of the reply. */
  size = 0
  private readonly sizeMax: number
  private readonly arena: Arena
  private items: (ReplyValue | Header)[] = []
  private readAt = 0

  /** @param sizeMax of a reply; a reply of one string has no limit */
  constructor(arena: Arena, sizeMax: number = Number.POSITIVE_INFINITY) {
    super()
    this.arena = arena
    this.sizeMax = sizeMax
    this.version = 3
  }

  /** The reply that was written, null when there is none (CLIENT REPLY OFF); the sink is empty then. */
  take(): ReplyValue {
    const { items } = this
    const first = items[0]
    // Most replies are one value; the list is used again then.
    if (items.length === 1 && first !== undefined && !(first instanceof Header)) {
      this.size = 0
      items.pop()
      return first
    }
    const isWhole = this.size <= this.sizeMax || items.length === 1
    this.size = 0
    if (items.length === 0) return null
    this.readAt = 0
    const value = isWhole ? this.build() : new CommandError(`ERR The reply is larger than ${this.sizeMax} bytes`)
    this.items = []
    return value
  }

  integer(value: number): void {
    this.items.push(value)
  }

  bigInteger(value: bigint): void {
    const isSafe = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    this.items.push(isSafe ? Number(value) : value)
  }

  bulk(source: Uint8Array, start: number, length: number): void {
    if (this.size > this.sizeMax) {
      this.items.push(null)
      return
    }
    this.size += length + STRING_BYTES
    if (length <= SHORT_TEXT_MAX && this.decode === Decode.Text && isAscii(source, start, length)) {
      this.items.push(shortText(source, start, length))
      return
    }
    if (this.isTooLong(length)) {
      this.items.push(new CommandError(`ERR A string of ${length} bytes cannot be text`))
      return
    }
    const buffer = source instanceof Buffer ? source : Buffer.from(source.buffer, source.byteOffset, source.length)
    if (this.decode === Decode.Text) this.items.push(buffer.utf8Slice(start, start + length))
    else if (this.decode === Decode.Base64) this.items.push(buffer.base64Slice(start, start + length))
    // The stored bytes may change at any time: the caller gets a copy.
    else this.items.push(Buffer.from(buffer.subarray(start, start + length)))
  }

  bulkRef(ref: Ref): void {
    this.bulk(this.arena.segment(ref), this.arena.offset(ref), this.arena.length(ref))
  }

  bulkInteger(value: number): void {
    this.bulkText(`${value}`)
  }

  bulkText(text: string): void {
    this.size += text.length + STRING_BYTES
    if (this.decode === Decode.Text) this.items.push(fromUtf8(text))
    else if (this.decode === Decode.Bytes) this.items.push(Buffer.from(text, 'latin1'))
    else this.items.push(Buffer.from(text, 'latin1').toString('base64'))
  }

  override ok(): void {
    if (this.decode === Decode.Text) {
      this.size += 2 + STRING_BYTES
      this.items.push('OK')
    } else this.status('OK')
  }

  status(text: string): void {
    if (this.decode === Decode.Base64 && this.items.length === 0 && text === 'OK') this.items.push(text)
    else this.bulkText(text)
  }

  nil(): void {
    this.items.push(null)
  }

  nilArray(): void {
    this.items.push(null)
  }

  array(count: number): void {
    this.items.push(new Header(Shape.List, count))
  }

  map(count: number): void {
    this.items.push(new Header(this.mapShape(), count * 2))
  }

  set(count: number): void {
    this.items.push(new Header(Shape.List, count))
  }

  push(count: number): void {
    this.items.push(new Header(Shape.List, count))
  }

  double(value: number): void {
    if (this.version >= 3) this.items.push(value)
    else this.bulkText(formatDouble(value))
  }

  bool(value: boolean): void {
    if (this.version >= 3) this.items.push(value)
    else this.items.push(value ? 1 : 0)
  }

  bigNumber(text: string): void {
    if (this.version >= 3) this.items.push(BigInt(text))
    else this.bulkText(text)
  }

  verbatim(text: string, _format: string): void {
    this.bulkText(text)
  }

  error(text: string): void {
    this.items.push(toCommandError(text))
  }

  begin(): Mark {
    this.items.push(OPEN)
    return this.items.length - 1
  }

  closeArray(mark: Mark, count: number): void {
    this.items[mark] = new Header(Shape.List, count)
  }

  closeMap(mark: Mark, count: number): void {
    this.items[mark] = new Header(this.mapShape(), count * 2)
  }

  closeSet(mark: Mark, count: number): void {
    this.items[mark] = new Header(Shape.List, count)
  }

  position(): Mark {
    return this.items.length
  }

  takeBack(mark: Mark): void {
    this.items.length = mark
  }

  private isTooLong(length: number): boolean {
    if (length <= BASE64_BYTES_MAX || this.decode === Decode.Bytes) return false
    return this.decode === Decode.Base64 || length > TEXT_BYTES_MAX
  }

  private mapShape(): Shape {
    return this.version >= 3 ? Shape.Map : Shape.List
  }

  private build(): ReplyValue {
    const item = this.items[this.readAt++]!
    if (!(item instanceof Header)) return item
    if (item.shape === Shape.Map) return this.decode === Decode.Text ? this.buildObject(item) : this.buildMap(item)
    const values: ReplyValue[] = []
    for (let i = 0; i < item.count; i++) values.push(this.build())
    return values
  }

  private buildObject({ count }: Header): ReplyValue {
    // Without a prototype, so that a field named `__proto__` is a field.
    const object: { [key: string]: ReplyValue } = Object.create(null)
    for (let i = 0; i < count; i += 2) {
      const key = this.build()
      object[String(key)] = this.build()
    }
    return object
  }

  private buildMap({ count }: Header): ReplyValue {
    const map = new Map<ReplyValue, ReplyValue>()
    for (let i = 0; i < count; i += 2) {
      const key = this.build()
      map.set(key, this.build())
    }
    return map
  }
}

/** The error of a reply whose text is a byte string. */
export function toCommandError(text: string): CommandError {
  return new CommandError(fromUtf8(text))
}

/** A byte string (one char is one byte) that holds UTF-8, as text. */
function fromUtf8(bytes: string): string {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes.charCodeAt(i) > 127) return Buffer.from(bytes, 'latin1').toString('utf8')
  }
  return bytes
}
