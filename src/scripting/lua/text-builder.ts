/**
 * Puts a text together from any number of pieces. Hot path.
 *
 * V8 joins strings lazily: until the text is looked into, each piece takes 32 bytes beside its own. That would be the
 * multiple of a text made of single bytes, so the text is made whole every few thousand pieces.
 */
import { charge, flatten, joined } from './memory.ts'

const PIECES_MAX = 4096

export class TextBuilder {
  private text = ''
  private pieceCount = 0
  private chunks: string[] | null = null
  private chunkChars = 0

  get length(): number {
    return this.chunkChars + this.text.length
  }

  add(piece: string): void {
    this.text += piece
    if (++this.pieceCount === PIECES_MAX) this.cut()
  }

  /** The text; the builder is not to be used again. */
  finish(): string {
    const { chunks } = this
    return joined(chunks === null ? this.text : chunks.join('') + this.text)
  }

  private cut(): void {
    const { text } = this
    flatten(text)
    if (this.chunks === null) this.chunks = []
    this.chunks.push(text)
    this.chunkChars += text.length
    this.text = ''
    this.pieceCount = 0
    charge(text.length)
  }
}
