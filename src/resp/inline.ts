/**
 * Splitting of an inline request into arguments, with quotes. Cold: people and health checks use it.
 * Source of the rules: Valkey 7.2 src/sds.c sdssplitargs.
 */

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' }

/**
 * Splits a line into words. `"…"` knows `\xHH` and the usual escapes, `'…'` only `\'`. Returns null when a quote is not
 * closed or is followed by something other than a space.
 */
export function splitInline(line: string): string[] | null {
  const words: string[] = []
  let at = 0
  for (;;) {
    while (at < line.length && isSpace(line[at]!)) at++
    if (at >= line.length) return words
    let word = ''
    let quote = ''
    for (;;) {
      const char = line[at]
      if (char === undefined) {
        if (quote !== '') return null
        break
      }
      if (quote === '') {
        if (isSpace(char)) break
        if (char === '"' || char === "'") quote = char
        else word += char
      } else if (char === quote) {
        const after = line[at + 1]
        if (after !== undefined && !isSpace(after)) return null
        at++
        break
      } else if (char === '\\' && quote === '"') {
        const hex = /^\\x([0-9a-fA-F]{2})/.exec(line.slice(at, at + 4))
        if (hex !== null) {
          word += String.fromCharCode(Number.parseInt(hex[1]!, 16))
          at += 3
        } else if (line[at + 1] !== undefined) {
          at++
          word += ESCAPES[line[at]!] ?? line[at]!
        } else {
          word += char
        }
      } else if (char === '\\' && line[at + 1] === "'") {
        word += "'"
        at++
      } else {
        word += char
      }
      at++
    }
    words.push(word)
  }
}

function isSpace(char: string): boolean {
  return char === ' ' || (char >= '\t' && char <= '\r') || char === '\0'
}
