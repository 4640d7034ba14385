/** The queue of MULTI against a plain array: what is added comes out, in order, however long it is. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CommandQueue, QueueReader } from '../../../src/commands/command-queue.ts'
import { commandFamilies } from '../../../src/commands/index.ts'
import { Registry } from '../../../src/commands/registry.ts'
import { ArgsBuilder } from '../../../src/resp/args.ts'

const registry = new Registry(commandFamilies)
const commands = [...registry.all()]

/** Requests whose arguments are mostly short, some longer than a segment. */
const word = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
  fc.integer({ min: 200, max: 600_000 }).map((length) => 'x'.repeat(length)),
)
const request = fc.record({
  command: fc.integer({ min: 0, max: commands.length - 1 }),
  words: fc.array(word, { minLength: 1, maxLength: 20 }),
})

function add(queue: CommandQueue, command: number, words: readonly string[]): void {
  const builder = new ArgsBuilder()
  for (const text of words) builder.text(text)
  queue.add(commands[command]!, builder.args)
}

function contents(queue: CommandQueue): { command: number; words: string[] }[] {
  const found = []
  const reader = new QueueReader(queue)
  while (reader.next()) {
    const { args, command } = reader
    const words = Array.from({ length: args.count }, (_, i) => args.text(i))
    found.push({ command: commands.indexOf(command), words })
  }
  return found
}

test('commands come out as they went in, also after the queue was emptied', () => {
  fc.assert(
    fc.property(fc.array(fc.array(request, { maxLength: 30 }), { maxLength: 4 }), (transactions) => {
      const queue = new CommandQueue()
      for (const requests of transactions) {
        for (const { command, words } of requests) add(queue, command, words)
        expect(contents(queue)).toEqual(requests)
        expect(queue.length).toBe(requests.length)
        expect(queue.argumentBytes).toBe(requests.flatMap(({ words }) => words).join('').length)
        expect(queue.memoryBytes).toBeGreaterThanOrEqual(queue.argumentBytes)
        const last = requests.at(-1)
        if (last !== undefined) {
          const { args } = lastOf(queue)
          expect(queue.some((_, queued) => queued.count === args.count && queued.text(0) === args.text(0))).toBe(true)
        }
        queue.clear()
        expect([queue.length, queue.argumentBytes, contents(queue)]).toEqual([0, 0, []])
        expect(queue.memoryBytes).toBeLessThanOrEqual(1024)
      }
    }),
    { numRuns: 100 },
  )
})

function lastOf(queue: CommandQueue): QueueReader {
  const reader = new QueueReader(queue)
  for (let i = 0; i < queue.length; i++) reader.next()
  return reader
}

test('a queue that is emptied while it is read ends there', () => {
  const queue = new CommandQueue()
  for (let i = 0; i < 3; i++) add(queue, i, [`word ${i}`])
  const reader = new QueueReader(queue)
  expect(reader.next()).toBe(true)
  queue.clear()
  expect(reader.next()).toBe(false)
})

test('a long transaction is not kept in memory when it is over', () => {
  const queue = new CommandQueue()
  add(queue, 0, ['word', 'x'.repeat(600_000)])
  expect(queue.read().next()).toBe(true)
  expect(queue.read().args.buffer.length).toBeGreaterThan(600_000)
  queue.clear()
  expect(queue.read().args.buffer.length).toBe(0)
})
