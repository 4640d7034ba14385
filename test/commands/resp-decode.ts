/** Decodes RESP2 and RESP3 replies for comparison; types that RESP3 tells apart stay apart. */

/** Errors are texts with a leading `-`; sets, maps and doubles of RESP3 are tagged. */
export type Reply =
  | string
  | number
  | bigint
  | null
  | boolean
  | Reply[]
  | { set: Reply[] }
  | { map: [Reply, Reply][] }
  | { double: string }

/** All replies in a text of whole replies. */
export function decodeAll(text: string): Reply[] {
  const decoder = new Decoder(text)
  const replies: Reply[] = []
  while (!decoder.isAtEnd) replies.push(decoder.next())
  return replies
}

/** The first reply of a text, null when it is not complete. */
export function decodeFirst(text: string): { reply: Reply; length: number } | null {
  const decoder = new Decoder(text)
  try {
    const reply = decoder.next()
    return { reply, length: decoder.at }
  } catch (error) {
    if (error instanceof Incomplete) return null
    throw error
  }
}

class Incomplete extends Error {}

class Decoder {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length
  }

  next(): Reply {
    const end = this.#text.indexOf('\r\n', this.at)
    if (end < 0) throw new Incomplete()
    const type = this.#text.charAt(this.at)
    const line = this.#text.slice(this.at + 1, end)
    this.at = end + 2
    switch (type) {
      case '+':
        return line
      case '-':
        return `-${line}`
      case ':':
        return Number.isSafeInteger(Number(line)) ? Number(line) : BigInt(line)
      case '$':
        return line === '-1' ? null : this.#bytes(Number(line))
      case '_':
        return null
      case '#':
        return line === 't'
      case ',':
        return { double: line }
      case '*':
        return line === '-1' ? null : this.#items(Number(line))
      case '~':
        return { set: this.#items(Number(line)) }
      case '%':
        return { map: Array.from({ length: Number(line) }, () => [this.next(), this.next()]) }
      default:
        throw new Error(`Cannot decode a reply of type ${JSON.stringify(type)}`)
    }
  }

  #bytes(length: number): string {
    if (this.at + length + 2 > this.#text.length) throw new Incomplete()
    const bytes = this.#text.slice(this.at, this.at + length)
    this.at += length + 2
    return bytes
  }

  #items(count: number): Reply[] {
    return Array.from({ length: count }, () => this.next())
  }
}
