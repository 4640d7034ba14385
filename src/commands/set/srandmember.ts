/**
 * SRANDMEMBER key [count]
 *
 * Returns random members of a set: up to `count` different ones, or, for a negative count, that many which may repeat.
 *
 * Reply: without count a bulk string or null; else an array. Errors, in this order: syntax; the count; WRONGTYPE.
 * Source: Valkey src/t_set.c `srandmemberCommand`.
 */
import type { Args } from '../../resp/args.ts'
import { SYNTAX_ERROR } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { Element } from '../../structures/element.ts'
import { randomIndex, sampleDistinct } from '../../structures/sampling.ts'
import type { SetView } from '../../structures/set-view.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand, keyAt } from '../define.ts'
import { randomCount, repetitions } from '../random-count.ts'
import { replyElement } from '../reply-element.ts'
import { readSet } from './set-access.ts'

export const srandmember = defineCommand({
  name: 'srandmember',
  summary: 'Returns one or more random members of a set.',
  group: 'set',
  since: '1.0.0',
  complexity: 'O(1) without a count, else O(N) where N is the absolute value of the count.',
  arity: -2,
  flags: CommandFlag.ReadOnly,
  categories: AclCategory.Set,
  keys: keyAt(1, 'RO', 'access'),
  tips: ['nondeterministic_output'],
  handler: srandmemberHandler,
})

const member = new Element()

function srandmemberHandler(ctx: CommandContext, args: Args, reply: ReplySink): void {
  if (args.count > 3) throw SYNTAX_ERROR
  if (args.count === 2) {
    const set = readSet(ctx, args, 1)
    if (set.size() === 0) {
      reply.nil()
      return
    }
    set.showAt(randomIndex(set.size(), ctx.random), member)
    replyElement(reply, member)
    return
  }
  const count = randomCount(args, 2)
  const set = readSet(ctx, args, 1)
  if (set.size() === 0 || count === 0) reply.array(0)
  else if (count < 0) replyRepeated(ctx, set, repetitions(count, reply), reply)
  else replyDistinct(ctx, set, count, reply)
}

function replyRepeated(ctx: CommandContext, set: SetView, count: number, reply: ReplySink): void {
  const size = set.size()
  reply.array(count)
  const cursor = set.walk()
  cursor.prepareRandomAccess()
  for (let i = 0; i < count; i++) {
    cursor.moveTo(randomIndex(size, ctx.random))
    cursor.advance(member)
    replyElement(reply, member)
  }
}

function replyDistinct(ctx: CommandContext, set: SetView, count: number, reply: ReplySink): void {
  const size = set.size()
  const shown = Math.min(count, size)
  reply.array(shown)
  const cursor = set.walk()
  if (shown === size) {
    while (cursor.advance(member)) replyElement(reply, member)
    return
  }
  const sample = sampleDistinct(size, shown, ctx.random)
  for (let i = 0; i < shown; i++) {
    cursor.moveTo(sample[i]!)
    cursor.advance(member)
    replyElement(reply, member)
  }
}
