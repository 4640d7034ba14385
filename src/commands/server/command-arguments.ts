/**
 * Reads the notation in which command-syntax.ts describes arguments:
 *
 *   name         an argument; its type follows from the name, or stands behind it: `increment:double`
 *   TOKEN        a word to be written as it is
 *   [ … ]        may be left out
 *   ( … )        belongs together
 *   a | b        one of them, within either kind of brackets
 *   …...         may be repeated: `key...` is one key or more, `[GET pattern]...` any number of GETs
 *
 * A word that begins brackets or an alternative announces what follows it there: `[LIMIT offset count]`. Cold.
 * Source of the types and flags: redis.io/docs/latest/commands/command-docs.
 */

/** Syntax by the full names of commands. */
export type CommandSyntax = Readonly<Record<string, string>>

export type ArgumentType =
  | 'string'
  | 'integer'
  | 'double'
  | 'key'
  | 'pattern'
  | 'unix-time'
  | 'pure-token'
  | 'oneof'
  | 'block'

export interface CommandArgument {
  readonly name: string
  readonly type: ArgumentType
  /** The word that announces it, or null. */
  readonly token: string | null
  readonly isOptional: boolean
  readonly isMultiple: boolean
  /** Each repetition has the token again. */
  readonly repeatsToken: boolean
  /** Of `oneof` and `block`; else empty. */
  readonly parts: readonly CommandArgument[]
}

const TYPES: Readonly<Partial<Record<ArgumentType, string>>> = {
  key: 'key',
  pattern: 'pattern library-name-pattern',
  'unix-time': 'unix-time-seconds unix-time-milliseconds',
  double: 'score timeout longitude latitude radius width height weight',
  integer:
    'bit bits bytes client-id count cursor db decrement end end-slot index len length limit milliseconds min-idle-time numfields ' +
    'numids numkeys numlocal numreplicas offset rank seconds slot start start-slot stop',
}

const TYPE_NAMES: readonly string[] = ['string', 'integer', 'double', 'key', 'pattern', 'unix-time']

const TYPE_OF_NAME: ReadonlyMap<string, ArgumentType> = new Map(
  (Object.entries(TYPES) as [ArgumentType, string][]).flatMap(([type, names]) =>
    names.split(' ').map((name): [string, ArgumentType] => [name, type]),
  ),
)

/** The arguments that `syntax` describes. Throws where it is not well-formed, which a test would find. */
export function parseSyntax(syntax: string): readonly CommandArgument[] {
  const words = syntax.match(/\.\.\.|[[\]()|]|[^\s[\]()|]+?(?=\.\.\.|[\s[\]()|]|$)/g) ?? []
  const reader = new SyntaxReader(words)
  const parts = reader.sequence()
  if (!reader.isAtEnd) throw new Error(`Syntax does not end where it should: ${syntax}`)
  return parts
}

class SyntaxReader {
  private readonly words: readonly string[]
  private at = 0

  constructor(words: readonly string[]) {
    this.words = words
  }

  get isAtEnd(): boolean {
    return this.at === this.words.length
  }

  /** What stands up to the next `|`, closing bracket or the end. */
  sequence(): CommandArgument[] {
    const parts: CommandArgument[] = []
    while (!this.isAtEnd && !/^[\])|]$/.test(this.words[this.at] ?? '')) parts.push(this.item())
    return parts
  }

  private item(): CommandArgument {
    const word = this.words[this.at++] ?? ''
    const isOptional = word === '['
    const inner = isOptional || word === '(' ? this.brackets(isOptional ? ']' : ')') : single(word)
    const isRepeated = this.words[this.at] === '...'
    if (isRepeated) this.at++
    return {
      ...inner,
      isOptional,
      isMultiple: inner.isMultiple || isRepeated,
      repeatsToken: isRepeated && inner.token !== null && inner.type !== 'pure-token',
    }
  }

  private brackets(closing: string): CommandArgument {
    const alternatives = [group(this.sequence())]
    while (this.words[this.at] === '|') {
      this.at++
      alternatives.push(group(this.sequence()))
    }
    if (this.words[this.at++] !== closing) throw new Error(`Expected ${closing} in ${this.words.join(' ')}`)
    const [only] = alternatives
    return only !== undefined && alternatives.length === 1 ? only : composite('oneof', alternatives, null)
  }
}

function single(word: string): CommandArgument {
  if (!/[a-z]/.test(word)) {
    return { ...plain(word.toLowerCase(), 'pure-token'), token: word }
  }
  const colon = word.lastIndexOf(':')
  const type = TYPE_NAMES.find((name) => colon >= 0 && name === word.slice(colon + 1))
  if (type !== undefined) return plain(word.slice(0, colon), type as ArgumentType)
  return plain(word, TYPE_OF_NAME.get(word) ?? 'string')
}

function plain(name: string, type: ArgumentType): CommandArgument {
  return { name, type, token: null, isOptional: false, isMultiple: false, repeatsToken: false, parts: [] }
}

/** Several arguments as one; a word at their head announces the others. */
function group(parts: readonly CommandArgument[]): CommandArgument {
  const [head, second] = parts
  if (head === undefined) throw new Error('Brackets are empty')
  if (second === undefined) return head
  if (head.type !== 'pure-token') return composite('block', parts, null)
  // An optional argument cannot lend its place to the word before it.
  if (parts.length === 2 && !second.isOptional && second.token === null) return { ...second, token: head.token }
  return composite('block', parts.slice(1), head.token)
}

function composite(type: 'oneof' | 'block', parts: readonly CommandArgument[], token: string | null): CommandArgument {
  const name = token?.toLowerCase() ?? parts.map((part) => part.name).join(type === 'oneof' ? '|' : '-')
  return { ...plain(name, type), token, parts }
}
