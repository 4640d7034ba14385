/** Replies elements of collections where they lie. Hot path. */
import type { ReplySink } from '../resp/reply.ts'
import type { Element } from '../structures/element.ts'

/** Replies an element as a bulk string. */
export function replyElement(reply: ReplySink, element: Element): void {
  if (element.isInteger) reply.bulkInteger(element.integer)
  else reply.bulk(element.buffer, element.start, element.length)
}
