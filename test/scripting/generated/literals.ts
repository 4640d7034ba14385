/** Pieces of text for generated Lua programs: literals, patterns with subjects, directives of `string.format`. */
import type { Random } from '../../differential/random.ts'

const NUMBERS = [
  ...['0', '1', '2', '3', '-1', '-2', '5', '7', '10', '16', '31', '32', '63', '64', '100', '255', '256', '1000'],
  ...[
    '0.5',
    '1.5',
    '2.5',
    '-0.5',
    '0.1',
    '.25',
    '3.',
    '1e3',
    '1E-3',
    '1e15',
    '1e16',
    '123456789012345',
    '0x10',
    '0xfF',
  ],
  ...['2147483647', '-2147483648', '4294967296', '9007199254740993', '1e100', '1e308', '5e-324', '99999999999999.5'],
  ...['3.14159265358979', '1e-5', '0.0001', '(1/0)', '(-1/0)', '(-0)', '123456.789', '8.5', '1e14'],
]

const STRINGS = [
  ...[
    '',
    'a',
    'b',
    'abc',
    'hello world',
    'key=value',
    '10',
    ' 5 ',
    '0x1F',
    '1e2',
    '-3',
    '3.0',
    'nan',
    'inf',
    '0x',
    '1_0',
  ],
  ...['aXb', 'foo.bar', '[x](y)', 'a,b,,c', '  trim  ', 'THE (quick) fox', 'f(a(b)c)d', 'x^2', '%d', '100%', 'aaa'],
  ...[
    '__index',
    'constructor',
    '__proto__',
    'length',
    'a\0b',
    '\n',
    'tab\there',
    'line1\nline2\r',
    '"q"',
    "it's",
    '\\',
  ],
  ...['\xff\xfe', 'z\x80y', 'ABCxyz_09', '{"a":[1,2,{"b":null}]}', '[1,2.5,"x",true,false,null]', 'user_script:1: x'],
]

const CHARS = ['a', 'b', 'c', 'x', '1', '0', ' ', '.', '-', '_', 'A', '(', ')', '=', ',', '\n', '\0', ']', '\xe4']

/** Strings that pattern functions are tried on. */
const SUBJECTS = ['abc', 'aabbcc', 'a1b2c3', 'key = value', '(a(b)c)', 'x.y-z', '  a b ', 'aXbXc', 'foo_bar 12.5', '']

const CLASS_LETTERS = [
  'a',
  'd',
  's',
  'w',
  'p',
  'l',
  'u',
  'c',
  'x',
  'z',
  'A',
  'D',
  'S',
  'W',
  'P',
  'L',
  'U',
  'C',
  'X',
  'Z',
]

export function numberLiteral(random: Random): string {
  if (random.chance(70)) return random.pick(NUMBERS)
  const digits = random.below(1_000_000) / random.pick([1, 10, 1000, 3, 7])
  return random.chance(20) ? `${digits}e${random.below(40) - 20}` : `${digits}`
}

/** The text of a string, not the literal. */
export function stringValue(random: Random): string {
  if (random.chance(70)) return random.pick(STRINGS)
  return random.some(0, 8, () => random.pick(CHARS)).join('')
}

export function stringLiteral(random: Random, text: string = stringValue(random)): string {
  if (random.chance(10) && !/[\]\r\n]/.test(text)) return random.pick([`[[${text}]]`, `[==[${text}]==]`])
  const mark = random.chance(30) ? "'" : '"'
  let out = mark
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === mark || char === '\\') out += `\\${char}`
    else if (char === '\n') out += '\\n'
    else if (/[ -~]/.test(char) && !random.chance(2)) out += char
    else out += decimalEscape(char, text.charAt(i + 1))
  }
  return out + mark
}

/** A short escape must not take in a digit that follows. */
function decimalEscape(char: string, next: string): string {
  const code = String(char.charCodeAt(0))
  return `\\${/\d/.test(next) ? code.padStart(3, '0') : code}`
}

export function subject(random: Random): string {
  return random.chance(60) ? random.pick(SUBJECTS) : stringValue(random)
}

/** A Lua pattern, mostly well-formed. */
export function pattern(random: Random): string {
  let text = random.chance(20) ? '^' : ''
  let open = 0
  let captures = 0
  for (let items = 1 + random.below(5); items > 0; items--) {
    if (random.chance(25) && captures < 4) {
      captures++
      if (random.chance(20)) text += '()'
      else {
        text += '('
        open++
      }
    }
    text += patternItem(random, captures)
    if (open > 0 && random.chance(50)) {
      text += ')'
      open--
    }
  }
  if (!random.chance(3)) text += ')'.repeat(open)
  if (random.chance(15)) text += '$'
  // Damaged on purpose.
  if (random.chance(4)) text += random.pick(['%', '[', '[^', '(', ')', '%b', '%f', '[a-', '[%', '%9'])
  return text
}

function patternItem(random: Random, captures: number): string {
  switch (random.below(12)) {
    case 0:
      return random.pick(['%b()', '%b[]', '%bxy', '%baa'])
    case 1:
      return `%f${patternSet(random)}`
    case 2:
      return captures > 0 ? `%${1 + random.below(captures)}` : 'a'
    default:
      return patternSingle(random) + (random.chance(50) ? random.pick(['*', '+', '-', '?']) : '')
  }
}

function patternSingle(random: Random): string {
  switch (random.below(5)) {
    case 0:
      return '.'
    case 1:
      return `%${random.pick(CLASS_LETTERS)}`
    case 2:
      return patternSet(random)
    case 3:
      return `%${random.pick(['.', '-', '(', ')', '%', '[', ']', '^', '$'])}`
    default:
      return random.pick(['a', 'b', 'c', 'x', '1', ' ', '=', '_', ',', '\0', ']', '-'])
  }
}

function patternSet(random: Random): string {
  const items = random.some(1, 4, () =>
    random.pick([
      'a',
      'b',
      'x',
      '0-9',
      'a-c',
      'c-a',
      '%a',
      '%d',
      '%s',
      '%w',
      '%.',
      '-',
      '^',
      '_',
      '.',
      '%]',
      ' ',
      'a-',
      '\0',
    ]),
  )
  return `[${random.chance(25) ? '^' : ''}${random.chance(8) ? ']' : ''}${items.join('')}]`
}

/** A replacement text for `gsub`. */
export function replacement(random: Random): string {
  return random.some(0, 4, () => random.pick(['%0', '%1', '%2', '%%', 'x', '<', '>', '-', '', '%a', '\0'])).join('')
}

/** A directive of `string.format` and the kind of its argument. */
export function directive(random: Random): { text: string; kind: 'number' | 'string' } {
  const flags = random.chance(40) ? random.some(0, 3, () => random.pick(['-', '+', ' ', '#', '0'])).join('') : ''
  const width = random.chance(40) ? String(random.pick([1, 2, 5, 10, 20, 99])) : ''
  const precision = random.chance(40)
    ? random.pick(['.', '.0', '.1', '.2', '.3', '.5', '.10', '.14', '.17', '.20', '.99'])
    : ''
  const letter = random.pick('ccddiiouuxXeEfffgggGssssqq'.split(''))
  const odd = random.chance(2) ? random.pick(['%y', '%', '%123d', '%.123f', '%-+ #0-d', '%l', '%5', '%F', '%p']) : null
  if (odd !== null) return { text: odd, kind: 'number' }
  // What printf does with flags that it does not define for a letter is nobody's business.
  const usual = letter === 's' || letter === 'c' || letter === 'q' ? flags.replace(/[^-]/g, '') : flags
  return {
    text: `%${usual}${letter === 'q' ? '' : width}${letter === 'c' || letter === 'q' ? '' : precision}${letter}`,
    kind: 'sqc'.includes(letter) && letter !== 'c' ? 'string' : 'number',
  }
}
