/** The arguments in COMMAND DOCS: the notation, and that each command has those that its arity demands. */
import { expect, test } from 'vitest'
import type { CommandDefinition } from '../../../src/commands/define.ts'
import { commandFamilies } from '../../../src/commands/index.ts'
import { type CommandArgument, parseSyntax } from '../../../src/commands/server/command-arguments.ts'
import { COMMAND_SYNTAX } from '../../../src/commands/server/command-syntax.ts'
import { TestBroker } from '../../support/broker.ts'

interface Named {
  readonly name: string
  /** Names in a call. */
  readonly words: number
  readonly definition: CommandDefinition
}

const commands: readonly Named[] = commandFamilies.flat().flatMap((definition): Named[] => {
  const { name, subcommands } = definition
  if (subcommands === undefined) return [{ name, words: 1, definition }]
  return subcommands.map((sub) => ({ name: `${name}|${sub.name}`, words: 2, definition: sub }))
})

/** How many arguments a call has at least. */
function least(parts: readonly CommandArgument[]): number {
  return parts.reduce((sum, part) => sum + (part.isOptional ? 0 : leastOf(part)), 0)
}

function leastOf({ type, token, parts }: CommandArgument): number {
  const own = type !== 'pure-token' && token !== null ? 1 : 0
  if (type === 'block') return own + least(parts)
  if (type === 'oneof') return own + Math.min(...parts.map((part) => (part.isOptional ? 0 : leastOf(part))))
  return own + 1
}

function isVariable(parts: readonly CommandArgument[]): boolean {
  return parts.some((part) => part.isOptional || part.isMultiple || isVariable(part.parts))
}

test('each line of syntax is about a command', () => {
  const names = new Set(commands.map(({ name }) => name))
  expect(Object.keys(COMMAND_SYNTAX).filter((name) => !names.has(name))).toEqual([])
})

test.each(
  commands.map((command) => [command.name, command] as const),
)('%s: arguments and arity agree', (name, command) => {
  const { arity } = command.definition
  const parts = parseSyntax(COMMAND_SYNTAX[name] ?? '')
  if (arity > 0) {
    expect([least(parts) + command.words, isVariable(parts)]).toEqual([arity, false])
  } else {
    // Of the filters of CLIENT KILL, which are options each, one has to be there.
    const demanded = name === 'client|kill' ? 1 : least(parts)
    // Some arities are laxer than what the command itself demands.
    expect(demanded + command.words).toBeGreaterThanOrEqual(-arity)
  }
})

test('a word that begins brackets announces what follows; alternatives and repetitions keep their parts', () => {
  const plain = { token: null, isOptional: false, isMultiple: false, repeatsToken: false, parts: [] }
  expect(parseSyntax('key... [LIMIT offset count] [BY pattern]... (A | by:double)')).toEqual([
    { ...plain, name: 'key', type: 'key', isMultiple: true },
    {
      ...plain,
      name: 'limit',
      type: 'block',
      token: 'LIMIT',
      isOptional: true,
      parts: [
        { ...plain, name: 'offset', type: 'integer' },
        { ...plain, name: 'count', type: 'integer' },
      ],
    },
    { ...plain, name: 'pattern', type: 'pattern', token: 'BY', isOptional: true, isMultiple: true, repeatsToken: true },
    {
      ...plain,
      name: 'a|by',
      type: 'oneof',
      parts: [
        { ...plain, name: 'a', type: 'pure-token', token: 'A' },
        { ...plain, name: 'by', type: 'double' },
      ],
    },
  ])
  expect(() => parseSyntax('[a')).toThrow('Expected ]')
  expect(() => parseSyntax('a)')).toThrow('Syntax does not end')
})

test('COMMAND DOCS replies arguments as Redis does', async () => {
  const broker = await TestBroker.start()
  const client = await broker.connect()
  const [, docs] = (await client.call('COMMAND', 'DOCS', 'copy')) as [unknown, unknown[]]
  expect(docs[docs.indexOf('arguments') + 1]).toEqual([
    ['name', 'source', 'type', 'key', 'display_text', 'source', 'key_spec_index', 0],
    ['name', 'destination', 'type', 'key', 'display_text', 'destination', 'key_spec_index', 1],
    [
      ...['name', 'destination-db', 'type', 'integer', 'display_text', 'destination-db', 'token', 'DB'],
      ...['flags', [{ status: 'optional' }]],
    ],
    ['name', 'replace', 'type', 'pure-token', 'token', 'REPLACE', 'flags', [{ status: 'optional' }]],
  ])
  const [, lpop] = (await client.call('COMMAND', 'DOCS', 'llen', 'dbsize')) as [unknown, unknown[]]
  expect(lpop).toContain('arguments')
  const [, dbsize] = (await client.call('COMMAND', 'DOCS', 'dbsize')) as [unknown, unknown[]]
  expect(dbsize).not.toContain('arguments')
  await broker.stop()
})
