/** What arrives: messages of channels, entries of streams. Bytes that are no text come as base64. */

/** A message of a channel. */
export interface Message {
  readonly channel: string
  /** The pattern that it came for; null when the channel was subscribed to. */
  readonly pattern: string | null
  /** As text; bytes that are not UTF-8 are replaced in it. */
  readonly data: string
  /** As it was published. */
  readonly bytes: Uint8Array
}

/** An entry of a stream. */
export class Entry {
  readonly stream: string
  readonly id: string
  /** Names and values in their order; a name may come twice. As text, like `Message.data`. */
  readonly pairs: readonly (readonly [name: string, value: string])[]
  private readonly words: readonly string[]
  private readonly isBase64: boolean

  constructor(stream: string, id: string, words: readonly string[], isBase64: boolean) {
    this.stream = stream
    this.id = id
    this.words = words
    this.isBase64 = isBase64
    const pairs: (readonly [string, string])[] = []
    for (let i = 0; i + 1 < words.length; i += 2) pairs.push([this.text(words[i]!), this.text(words[i + 1]!)])
    this.pairs = pairs
  }

  /** Values by name; of a name that comes twice the last one. */
  get fields(): Readonly<Record<string, string>> {
    const fields: Record<string, string> = Object.create(null)
    for (const [name, value] of this.pairs) fields[name] = value
    return fields
  }

  /** The bytes of a value, null when there is no such name. */
  bytes(name: string): Uint8Array | null {
    const at = this.pairs.findLastIndex((pair) => pair[0] === name)
    if (at < 0) return null
    const word = this.words[at * 2 + 1]!
    return this.isBase64 ? bytesOfBase64(word) : new TextEncoder().encode(word)
  }

  private text(word: string): string {
    return this.isBase64 ? new TextDecoder().decode(bytesOfBase64(word)) : word
  }
}

/** Whether an entry comes behind a position: an entry ID, its time part, or `$`. */
export function isBehind(id: string, position: string): boolean {
  if (position === '$') return true
  const [ms, seq] = numbersOf(id)
  const [positionMs, positionSeq] = numbersOf(position)
  return ms === positionMs ? seq > positionSeq : ms > positionMs
}

/** Two unsigned 64-bit numbers. */
function numbersOf(id: string): readonly [ms: bigint, seq: bigint] {
  const [ms = '0', seq = '0'] = id.split('-')
  return [BigInt(ms), BigInt(seq)]
}

export function messageOf(channel: string, pattern: string | null, data: string, encoding: string | null): Message {
  if (encoding === null) return { channel, pattern, data, bytes: new TextEncoder().encode(data) }
  const bytes = bytesOfBase64(data)
  return { channel, pattern, data: new TextDecoder().decode(bytes), bytes }
}

/** What is sent: text as it is, bytes as base64. */
export function encodeData(data: string | Uint8Array): { readonly data: string; readonly encoding?: 'base64' } {
  return typeof data === 'string' ? { data } : { data: base64OfBytes(data), encoding: 'base64' }
}

export function base64OfBytes(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

export function bytesOfBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
}
