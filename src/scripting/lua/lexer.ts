/**
 * Lua 5.1 tokens, with the reference implementation's error wording (llex.c). Hot for scripts that are sent with their
 * values pasted in: each is compiled anew.
 *
 * A token is a small integer: its char code for single-char symbols, else a `Token` constant. Names, strings and numbers
 * leave their value in `text` / `number`.
 */
import { chargeQuietly } from './memory.ts'
import { parseNumber } from './number-format.ts'

export const Token = {
  And: 257,
  Break: 258,
  Do: 259,
  Else: 260,
  Elseif: 261,
  End: 262,
  False: 263,
  For: 264,
  Function: 265,
  If: 266,
  In: 267,
  Local: 268,
  Nil: 269,
  Not: 270,
  Or: 271,
  Repeat: 272,
  Return: 273,
  Then: 274,
  True: 275,
  Until: 276,
  While: 277,
  Concat: 278,
  Dots: 279,
  Eq: 280,
  Ge: 281,
  Le: 282,
  Ne: 283,
  Number: 284,
  Name: 285,
  String: 286,
  Eof: 287,
} as const

const KEYWORDS = new Map<string, number>([
  ['and', Token.And],
  ['break', Token.Break],
  ['do', Token.Do],
  ['else', Token.Else],
  ['elseif', Token.Elseif],
  ['end', Token.End],
  ['false', Token.False],
  ['for', Token.For],
  ['function', Token.Function],
  ['if', Token.If],
  ['in', Token.In],
  ['local', Token.Local],
  ['nil', Token.Nil],
  ['not', Token.Not],
  ['or', Token.Or],
  ['repeat', Token.Repeat],
  ['return', Token.Return],
  ['then', Token.Then],
  ['true', Token.True],
  ['until', Token.Until],
  ['while', Token.While],
])

const SYMBOL_TEXT = new Map<number, string>([
  [Token.Concat, '..'],
  [Token.Dots, '...'],
  [Token.Eq, '=='],
  [Token.Ge, '>='],
  [Token.Le, '<='],
  [Token.Ne, '~='],
  [Token.Number, '<number>'],
  [Token.Name, '<name>'],
  [Token.String, '<string>'],
  [Token.Eof, '<eof>'],
])

/** A script that does not compile; `message` is complete: `user_script:2: unexpected symbol near '<eof>'`. */
export class LuaCompileError extends Error {
  override readonly name = 'LuaCompileError'
}

/** How a token kind is named in messages, as luaX_token2str. */
export function tokenName(kind: number): string {
  if (kind < 257) return kind < 32 || kind === 127 ? `char(${kind})` : String.fromCharCode(kind)
  const symbol = SYMBOL_TEXT.get(kind)
  if (symbol !== undefined) return symbol
  for (const [word, token] of KEYWORDS) if (token === kind) return word
  return '?'
}

// Character classes, one bit each, for the C locale.
const ALPHA = 1
const DIGIT = 2
const ALNUM = ALPHA | DIGIT
const CLASSES = new Uint8Array(256)
for (let c = 0; c < 256; c++) {
  if ((c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95) CLASSES[c] = ALPHA
  else if (c >= 48 && c <= 57) CLASSES[c] = DIGIT
}

const LF = 10
const CR = 13
const EQUALS = 61
const OPEN = 91
const CLOSE = 93
const BACKSLASH = 92
const MINUS = 45
const DOT = 46

/** What a token takes as a part of the tree and of the generated text, roughly. */
const TOKEN_BYTES = 1024
/** Tokens are charged for in so many at a time. */
const COUNT_MASK = 0xfff

export class Lexer {
  /** Kind of the current token. */
  kind: number = Token.Eof
  /** Value of a name or string token. */
  text = ''
  /** Value of a number token. */
  number = 0
  /** Line on which the current token ends. */
  line = 1
  /** Line on which the token before the current one ended. */
  lastLine = 1
  readonly source: string
  readonly chunkName: string
  private pos = 0
  private start = 0
  private aheadKind = -1
  private aheadText = ''
  private aheadNumber = 0
  private aheadLine = 0
  private aheadStart = 0
  private count = 0

  /** `chunkName` is what stands in front of positions, such as `user_script`. */
  constructor(source: string, chunkName: string) {
    this.source = source
    this.chunkName = chunkName
  }

  next(): void {
    this.lastLine = this.line
    if ((++this.count & COUNT_MASK) === 0) chargeQuietly((COUNT_MASK + 1) * TOKEN_BYTES)
    if (this.aheadKind >= 0) {
      // Reading ahead has moved the line on, as in llex.c.
      this.lastLine = this.aheadLine
      this.kind = this.aheadKind
      this.text = this.aheadText
      this.number = this.aheadNumber
      this.line = this.aheadLine
      this.start = this.aheadStart
      this.aheadKind = -1
      return
    }
    this.kind = this.read()
  }

  /** The kind of the token after the current one. */
  peek(): number {
    if (this.aheadKind < 0) {
      const { kind, text, number, line, start } = this
      const ahead = this.read()
      this.aheadKind = ahead
      this.aheadText = this.text
      this.aheadNumber = this.number
      this.aheadLine = this.line
      this.aheadStart = this.start
      this.kind = kind
      this.text = text
      this.number = number
      this.line = line
      this.start = start
    }
    return this.aheadKind
  }

  /** An error at the current token: `… near 'x'`. */
  errorNear(problem: string): LuaCompileError {
    // A zero byte is taken for no token.
    return this.error(problem, this.kind === 0 ? null : this.describe())
  }

  error(problem: string, near: string | null): LuaCompileError {
    // What is near is printed as a C string, which ends at a zero byte.
    const suffix = near === null ? '' : ` near '${near.split('\0', 1)[0]}'`
    return new LuaCompileError(`${this.chunkName}:${this.line}: ${problem}${suffix}`)
  }

  private describe(): string {
    switch (this.kind) {
      case Token.Name:
        return this.text
      case Token.String:
        return this.describeString()
      case Token.Number:
        return this.source.slice(this.start, this.aheadKind >= 0 ? this.aheadStart : this.pos).trim()
      default:
        return tokenName(this.kind)
    }
  }

  /** A string token as messages show it: its value between its delimiters. */
  private describeString(): string {
    const mark = /^(?:["']|\[=*\[)/.exec(this.source.slice(this.start, this.start + 202))?.[0] ?? ''
    return mark + this.text + mark.replaceAll('[', ']')
  }

  // A scanner is clearer in one switch than in pieces.
  private read(): number {
    const source = this.source
    for (;;) {
      if (this.pos >= source.length) return Token.Eof
      const c = source.charCodeAt(this.pos)
      this.start = this.pos
      switch (c) {
        case LF:
        case CR:
          this.newline(c)
          continue
        case 32:
        case 9:
        case 11:
        case 12:
          this.pos++
          continue
        case MINUS:
          if (source.charCodeAt(this.pos + 1) !== MINUS) {
            this.pos++
            return MINUS
          }
          this.comment()
          continue
        case OPEN: {
          const level = this.longBracketLevel()
          if (level >= 0) {
            this.text = this.longString(level, 'string')
            return Token.String
          }
          if (level === -1) {
            this.pos++
            return OPEN
          }
          throw this.error('invalid long string delimiter', source.slice(this.start, this.start - level))
        }
        case EQUALS:
          return this.withEquals(EQUALS, Token.Eq)
        case 60:
          return this.withEquals(60, Token.Le)
        case 62:
          return this.withEquals(62, Token.Ge)
        case 126:
          return this.withEquals(126, Token.Ne)
        case 34:
        case 39:
          this.text = this.string(c)
          return Token.String
        case DOT:
          if (source.charCodeAt(this.pos + 1) === DOT) {
            const isDots = source.charCodeAt(this.pos + 2) === DOT
            this.pos += isDots ? 3 : 2
            return isDots ? Token.Dots : Token.Concat
          }
          if ((CLASSES[source.charCodeAt(this.pos + 1)]! & DIGIT) === 0) {
            this.pos++
            return DOT
          }
          return this.numeral()
        default: {
          const kind = CLASSES[c]!
          if (kind === DIGIT) return this.numeral()
          if (kind === ALPHA) return this.word()
          this.pos++
          return c
        }
      }
    }
  }

  private word(): number {
    const source = this.source
    let pos = this.pos + 1
    while ((CLASSES[source.charCodeAt(pos)]! & ALNUM) !== 0) pos++
    const word = source.slice(this.pos, pos)
    this.pos = pos
    const keyword = KEYWORDS.get(word)
    if (keyword !== undefined) return keyword
    this.text = word
    return Token.Name
  }

  private withEquals(single: number, double: number): number {
    if (this.source.charCodeAt(this.pos + 1) === EQUALS) {
      this.pos += 2
      return double
    }
    this.pos++
    return single
  }

  private newline(c: number): void {
    this.pos++
    const second = this.source.charCodeAt(this.pos)
    if ((second === LF || second === CR) && second !== c) this.pos++
    this.line++
  }

  private comment(): void {
    this.pos += 2
    if (this.source.charCodeAt(this.pos) === OPEN) {
      const level = this.longBracketLevel()
      if (level >= 0) {
        this.longString(level, 'comment')
        return
      }
    }
    const source = this.source
    while (this.pos < source.length) {
      const c = source.charCodeAt(this.pos)
      if (c === LF || c === CR) return
      this.pos++
    }
  }

  /** Level of a long bracket at `pos`; -1 when it is a plain `[`; below -1 when it is `[=` without second bracket. */
  private longBracketLevel(): number {
    const source = this.source
    let pos = this.pos + 1
    while (source.charCodeAt(pos) === EQUALS) pos++
    const level = pos - this.pos - 1
    if (source.charCodeAt(pos) === OPEN) return level
    return level === 0 ? -1 : -level - 1
  }

  private longString(level: number, what: 'string' | 'comment'): string {
    const source = this.source
    this.pos += level + 2
    const first = source.charCodeAt(this.pos)
    if (first === LF || first === CR) this.newline(first)
    let text = ''
    let from = this.pos
    for (;;) {
      if (this.pos >= source.length) throw this.error(`unfinished long ${what}`, '<eof>')
      const c = source.charCodeAt(this.pos)
      if (c === CLOSE && this.closesAt(this.pos, level)) {
        text += source.slice(from, this.pos)
        this.pos += level + 2
        return text
      }
      if (c === LF || c === CR) {
        text += `${source.slice(from, this.pos)}\n`
        this.newline(c)
        from = this.pos
      } else this.pos++
    }
  }

  private closesAt(pos: number, level: number): boolean {
    for (let i = 1; i <= level; i++) if (this.source.charCodeAt(pos + i) !== EQUALS) return false
    return this.source.charCodeAt(pos + level + 1) === CLOSE
  }

  private string(quote: number): string {
    const source = this.source
    let text = ''
    let from = ++this.pos
    for (;;) {
      const c = source.charCodeAt(this.pos)
      if (c === quote) {
        text += source.slice(from, this.pos++)
        return text
      }
      if (this.pos >= source.length) throw this.error('unfinished string', '<eof>')
      if (c === LF || c === CR) {
        throw this.error('unfinished string', String.fromCharCode(quote) + text + source.slice(from, this.pos))
      }
      if (c === BACKSLASH) {
        text += source.slice(from, this.pos++)
        text += this.escape(quote, text)
        from = this.pos
      } else this.pos++
    }
  }

  private escape(quote: number, before: string): string {
    const source = this.source
    const c = source.charCodeAt(this.pos)
    switch (c) {
      case 97:
        return this.escaped('\x07')
      case 98:
        return this.escaped('\b')
      case 102:
        return this.escaped('\f')
      case 110:
        return this.escaped('\n')
      case 114:
        return this.escaped('\r')
      case 116:
        return this.escaped('\t')
      case 118:
        return this.escaped('\v')
      case LF:
      case CR:
        this.newline(c)
        return '\n'
      default:
    }
    if (this.pos >= source.length) return '' // the caller reports the end
    if ((CLASSES[c]! & DIGIT) === 0) return this.escaped(source[this.pos]!)
    let code = 0
    for (let i = 0; i < 3 && (CLASSES[source.charCodeAt(this.pos)]! & DIGIT) !== 0; i++) {
      code = code * 10 + source.charCodeAt(this.pos++) - 48
    }
    if (code > 255) throw this.error('escape sequence too large', String.fromCharCode(quote) + before)
    return String.fromCharCode(code)
  }

  private escaped(char: string): string {
    this.pos++
    return char
  }

  private numeral(): number {
    const source = this.source
    let pos = this.pos
    const isDigitOrDot = (c: number): boolean => (CLASSES[c]! & DIGIT) !== 0 || c === DOT
    while (isDigitOrDot(source.charCodeAt(pos))) pos++
    const exponent = source.charCodeAt(pos) | 32
    if (exponent === 101) {
      pos++
      const sign = source.charCodeAt(pos)
      if (sign === 43 || sign === MINUS) pos++
    }
    while ((CLASSES[source.charCodeAt(pos)]! & ALNUM) !== 0) pos++
    const text = source.slice(this.pos, pos)
    this.pos = pos
    const value = parseNumber(text)
    if (value === undefined) throw this.error('malformed number', text)
    this.number = value
    return Token.Number
  }
}
