/** Limits of commands in JSON bodies, at the border. */
import { describe, expect, test } from 'vitest'
import { batchOf, COMMANDS_MAX, commandOf } from '../../../src/gateway/rest/request-body.ts'

const ARGUMENTS_MAX = 1024 * 1024

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

describe('A body', () => {
  test('holds at most 1,048,576 arguments of a command', () => {
    const words = Array(ARGUMENTS_MAX).fill(1)
    expect(commandOf(json(words))).toHaveLength(ARGUMENTS_MAX)
    expect(() => commandOf(json([...words, 1]))).toThrow(
      'ERR failed to parse the request: a command has more than 1048576',
    )
  })

  test('holds at most 10,000 commands, which are counted before they are parsed', () => {
    const commands = Array(COMMANDS_MAX).fill(['a[[['])
    expect(batchOf(json(commands))).toHaveLength(COMMANDS_MAX)
    expect(() => batchOf(json([...commands, ['b']]))).toThrow('more than 10000 commands')
    // It is not JSON either, but nobody has looked.
    expect(() => batchOf(Buffer.from(`[${'[],'.repeat(COMMANDS_MAX + 1)}`))).toThrow('more than 10000 commands')
  })

  test('keeps the digits of each large integer, however many there are', () => {
    const numbers = Array.from({ length: 2000 }, (_, i) => `${9007199254740993n + BigInt(i) * 12_345n}`)
    const mixed = numbers.map((number, i) => `"${'\\"1,2'.repeat(i % 3)}",${i},${number}`)
    const words = commandOf(Buffer.from(`["x",${mixed.join(' , ')}]`))
    expect(words.slice(1).filter((_, i) => i % 3 === 2)).toEqual(numbers)
    expect(words.slice(1).filter((_, i) => i % 3 === 1)).toEqual(numbers.map((_, i) => i))
  })
})
