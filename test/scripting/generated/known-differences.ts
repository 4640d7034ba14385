/** Replies to generated scripts in which Millrace differs from redis-server 7.0.15, each with its reason. */

export interface KnownDifference {
  readonly reason: string
  /** What is left of a reply, of either server, when the difference is taken out. */
  readonly without: (reply: string) => string
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    reason: 'tostring of a table or a function shows an address, which is made up here',
    without: (reply) => reply.replace(/: 0x[0-9a-f]{8,}/g, ': 0x'),
  },
  {
    reason: 'JavaScript does not promise to keep the sign of a NaN, which printf shows',
    without: (reply) => reply.replace(/\s*-?\bnan\b\s*/gi, ' nan ').replace(/\xcb[\x7f\xff]\xf8/g, '\xcb\x7f\xf8'),
  },
  {
    reason: 'A key -0 of a table is the key 0, which it is equal to, not shown as -0',
    without: (reply) => reply.replace(/([{,])-0=/g, '$10='),
  },
  {
    reason: 'Doubles in replies have the shortest form, as in Redis 7.2, not 17 digits',
    without: (reply) =>
      reply.replace(/^(,?)(-?[\d.]+(?:e[+-]?\d+)?)\r\n/gm, (_all, type: string, digits: string) => {
        return `${type}${Number(digits)}\r\n`
      }),
  },
  {
    reason: 'Whether a message names the operand depends on which register Lua has it in',
    without: (reply) => reply.replace(/(?:local|global|upvalue|field|method) '[^']*' \(a (\w+) value\)/g, 'a $1 value'),
  },
]

/**
 * What generated scripts leave out, because no reply could be compared: the order of `pairs` and of fields in JSON, the
 * border `#` of tables with holes that grew (a table with holes is made anew before that is asked), levels of error() above tail calls, fractions as arguments of commands (shortest digits, as in 7.2),
 * zero bytes in sources, `next` as `__newindex` (Lua makes room for the key before it calls that, so that `next` finds it).
 */

/** Whether two replies differ in nothing but what is known. */
export function isKnown(ours: string, theirs: string): boolean {
  // The length of a string is part of what differs in it.
  let [a, b] = [ours, theirs].map((reply) => reply.replace(/^\$\d+\r\n/gm, '$\r\n')) as [string, string]
  for (const difference of knownDifferences) {
    a = difference.without(a)
    b = difference.without(b)
  }
  return a === b
}
