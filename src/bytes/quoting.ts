/**
 * Words of a line with quotes, as redis.conf and the command line use them. Lines are byte strings.
 *
 * Rules: words are separated by blanks; `"…"` knows `\xHH`, `\n`, `\r`, `\t`, `\a`, `\b` and `\c` for any other c;
 * `'…'` knows only `\'`; a closing quote must be followed by a blank or by the end of the line; a NUL ends the line.
 * Source: Valkey src/sds.c `sdssplitargs`, `sdscatrepr`.
 */

const ESCAPES = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['a', '\x07'],
])

const REPRESENTATIONS = new Map([
  ['\\', '\\\\'],
  ['"', '\\"'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
])

const BLANK = /[ \t\n\v\f\r]/
/** What ends an unquoted word: not every blank, as in the original. */
const WORD_END = /[ \n\r\t]/

interface Scan {
  /** The content of the quotes. */
  readonly text: string
  /** Index behind the closing quote. */
  readonly end: number
}

/** Splits a line into words; `null` if quotes are unbalanced. O(length). */
export function splitQuoted(line: string): string[] | null {
  const nul = line.indexOf('\0')
  const text = nul < 0 ? line : line.slice(0, nul)
  const words: string[] = []
  let at = 0
  for (;;) {
    while (at < text.length && BLANK.test(text.charAt(at))) at++
    if (at >= text.length) return words

    let word = ''
    while (at < text.length && !WORD_END.test(text.charAt(at))) {
      const c = text.charAt(at)
      if (c !== '"' && c !== "'") {
        word += c
        at++
        continue
      }
      const scan = c === '"' ? scanDouble(text, at + 1) : scanSingle(text, at + 1)
      if (scan === null || (scan.end < text.length && !BLANK.test(text.charAt(scan.end)))) return null
      word += scan.text
      at = scan.end
      break // A closing quote ends the word, whatever kind of blank follows.
    }
    words.push(word)
  }
}

function scanDouble(text: string, at: number): Scan | null {
  let content = ''
  while (at < text.length) {
    const c = text.charAt(at)
    if (c === '"') return { text: content, end: at + 1 }
    if (c !== '\\' || at + 1 >= text.length) {
      content += c
      at++
      continue
    }
    const hex = /^x([0-9a-fA-F]{2})/.exec(text.slice(at + 1, at + 4))
    if (hex !== null) {
      content += String.fromCharCode(Number.parseInt(hex[1] ?? '', 16))
      at += 4
    } else {
      const escaped = text.charAt(at + 1)
      content += ESCAPES.get(escaped) ?? escaped
      at += 2
    }
  }
  return null
}

function scanSingle(text: string, at: number): Scan | null {
  let content = ''
  while (at < text.length) {
    const c = text.charAt(at)
    if (c === "'") return { text: content, end: at + 1 }
    if (c === '\\' && text.charAt(at + 1) === "'") {
      content += "'"
      at += 2
    } else {
      content += c
      at++
    }
  }
  return null
}

/** Puts a byte string into double quotes such that `splitQuoted` gives it back. */
export function quote(text: string): string {
  let quoted = '"'
  for (const c of text) {
    const code = c.charCodeAt(0)
    const known = REPRESENTATIONS.get(c)
    if (known !== undefined) quoted += known
    else if (code >= 0x20 && code < 0x7f) quoted += c
    else quoted += `\\x${code.toString(16).padStart(2, '0')}`
  }
  return `${quoted}"`
}
