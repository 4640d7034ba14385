/**
 * Commands in JSON bodies: `["SET", "key", 1]`, and arrays of those. Hot path.
 *
 * A body is parsed with JSON.parse. What that makes of a body is bounded by looking at the bytes of larger ones first:
 * brackets that nest too deep, objects and too many commands are refused before anything is built of them.
 *
 * Arguments are strings, numbers and booleans. A number becomes its shortest decimal text, without an exponent; an integer
 * beyond 2^53 its text in the body, digit by digit, because JSON.parse would round it.
 */
import { isUtf8 } from 'node:buffer'
import type { CommandWords } from '../engine.ts'
import { Problem } from '../problem.ts'

/** Commands of one batch. Clients send 1,000 at most. */
export const COMMANDS_MAX = 10_000
/** Arguments of one command, as on the RESP port. */
const ARGUMENTS_MAX = 1024 * 1024
/** Bodies over this size are looked at before they are parsed; smaller ones cannot do harm. In bytes. */
const SMALL_BODY = 16 * 1024

/** How deep the brackets of a body may nest. */
const Depth = { Command: 1, Batch: 2 } as const
type Depth = (typeof Depth)[keyof typeof Depth]

/** The command of a body. @throws Problem 400 */
export function commandOf(body: unknown): CommandWords {
  const text = textOf(body, Depth.Command)
  const commands = [parse(text)]
  if (checkCommand(commands[0])) replaceNumbers(commands as unknown[][], text)
  return commands[0] as CommandWords
}

/** The commands of a body. @throws Problem 400 */
export function batchOf(body: unknown): readonly CommandWords[] {
  const text = textOf(body, Depth.Batch)
  const commands = parse(text)
  if (!Array.isArray(commands)) throw refused('the body must be an array of commands')
  if (commands.length > COMMANDS_MAX) throw refused(`more than ${COMMANDS_MAX} commands`)
  let hasInexact = false
  for (let i = 0; i < commands.length; i++) if (checkCommand(commands[i])) hasInexact = true
  if (hasInexact) replaceNumbers(commands, text)
  return commands
}

function refused(reason: string): Problem {
  return new Problem(400, `ERR failed to parse the request: ${reason}`)
}

function textOf(body: unknown, depthMax: Depth): string {
  if (!Buffer.isBuffer(body) || body.length === 0) throw refused('the body is missing')
  if (!isUtf8(body)) throw refused('the body is not UTF-8')
  if (body.length > SMALL_BODY) checkShape(body, depthMax)
  return body.utf8Slice(0, body.length)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refused('the body is not JSON')
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING_BRACKET = 0x5b
const CLOSING_BRACKET = 0x5d
const OPENING_BRACE = 0x7b

function checkShape(body: Buffer, depthMax: Depth): void {
  let depth = 0
  let commands = 0
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]!
    if (byte === QUOTE) i = endOfString(body, i)
    else if (byte === OPENING_BRACKET) {
      depth++
      if (depth > depthMax) throw refused('an argument is an array')
      if (depth === Depth.Batch && ++commands > COMMANDS_MAX) throw refused(`more than ${COMMANDS_MAX} commands`)
    } else if (byte === CLOSING_BRACKET) depth--
    else if (byte === OPENING_BRACE) throw refused('an argument is an object')
  }
}

/** Where the string that begins at `start` has its closing quote; the end of the body when it has none. */
function endOfString(body: Buffer, start: number): number {
  let at = start + 1
  while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1
  return at
}

/** Makes a command of what JSON said, in place. Returns whether a number needs the text of the body. */
function checkCommand(command: unknown): boolean {
  if (!Array.isArray(command)) throw refused('a command must be an array')
  if (command.length === 0) throw refused('a command is empty')
  if (command.length > ARGUMENTS_MAX) throw refused(`a command has more than ${ARGUMENTS_MAX} arguments`)
  let hasInexact = false
  for (let i = 0; i < command.length; i++) {
    const word: unknown = command[i]
    if (typeof word === 'string') continue
    if (typeof word === 'number') {
      if (isInexact(word)) hasInexact = true
    } else if (typeof word === 'boolean') command[i] = word ? 'true' : 'false'
    else throw refused(`an argument is ${word === null ? 'null' : Array.isArray(word) ? 'an array' : 'an object'}`)
  }
  return hasInexact
}

/** Whether a number's text as JavaScript prints it may be rounded, or has an exponent. */
function isInexact(value: number): boolean {
  const size = Math.abs(value)
  return size > Number.MAX_SAFE_INTEGER || (size < 1e-6 && size > 0)
}

/** Puts text in place of all numbers that JavaScript would round, or print with an exponent. */
function replaceNumbers(commands: readonly unknown[][], text: string): void {
  const sources = new NumberSources(text)
  for (const command of commands) {
    for (let i = 0; i < command.length; i++) {
      const word = command[i]
      if (typeof word !== 'number') continue
      const source = sources.next()
      if (isInexact(word)) command[i] = decimalText(word, source)
    }
  }
}

/** The numbers of a valid body as they stand there, one by one. */
class NumberSources {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  next(): string {
    while (this.at < this.text.length && !startsNumber(this.here())) {
      if (this.here() === QUOTE) this.skipString()
      this.at++
    }
    const start = this.at
    while (isPartOfNumber(this.here())) this.at++
    return this.text.slice(start, this.at)
  }

  private skipString(): void {
    this.at++
    while (this.at < this.text.length && this.here() !== QUOTE) this.at += this.here() === BACKSLASH ? 2 : 1
  }

  private here(): number {
    return this.text.charCodeAt(this.at)
  }
}

function startsNumber(code: number): boolean {
  return isDigit(code) || code === 0x2d // -
}

function isPartOfNumber(code: number): boolean {
  return startsNumber(code) || code === 0x2b || code === 0x2e || (code | 32) === 0x65 // + . e
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function decimalText(value: number, source: string): string {
  if (!Number.isFinite(value)) throw refused('a number is out of range')
  if (/^-?\d+$/.test(source)) return source
  const [mantissa = '', exponent] = String(value).split('e')
  if (exponent === undefined) return mantissa
  const sign = mantissa.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.')
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  // Exponents are printed from 1e21 up and below 1e-6 only, so the point never falls between the digits.
  return point > 0 ? sign + digits.padEnd(point, '0') : `${sign}0.${'0'.repeat(-point)}${digits}`
}
