/** The words of a command as the parts of the program want them that look into it before it is run. */
import type { Args, ArgsBuilder } from '../resp/args.ts'
import type { Argument, CommandWords } from './engine.ts'

/** A word as text, for comparisons with what is ASCII. */
export function wordText(word: Argument): string {
  return word instanceof Uint8Array ? Buffer.from(word).toString('latin1') : String(word)
}

/** The words as a request would have them; valid until the builder is used again. */
export function buildArgs(builder: ArgsBuilder, words: CommandWords): Args {
  builder.clear()
  for (const word of words) {
    if (word instanceof Uint8Array) builder.bytes(word, 0, word.length)
    else builder.utf8(String(word))
  }
  return builder.args
}
