/**
 * Replies in which Millrace (7.2) differs from redis-server 7.0.15 on purpose. Each is listed, with its reason, in
 * docs/COMPATIBILITY.md (a test checks that).
 */
import type { Reply } from '../support/resp-client.ts'

export interface KnownDifference {
  /** The words that docs/COMPATIBILITY.md uses for it. */
  readonly title: string
  readonly applies: (command: readonly string[], ours: Reply, theirs: Reply) => boolean
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    title: 'Text of the error for an unbalanced list of streams',
    applies: (_command, ours, theirs) => hasError(ours, "Unbalanced 'xread") && hasError(theirs, 'Unbalanced XREAD'),
  },
  {
    title: 'ZRANK and ZREVRANK take WITHSCORE',
    applies: (command, _ours, theirs) =>
      /^z(rev)?rank$/i.test(command[0]!) && hasError(theirs, 'wrong number of arguments'),
  },
  {
    title: 'SCAN cursors are positions of their own kind',
    applies: (command) => /^scan$/i.test(command[0]!) && command[1] !== '0',
  },
  {
    title: 'Encodings of lists and sets follow 7.2',
    applies: (command, ours) => command[0]!.toLowerCase() === 'object' && (ours === 'listpack' || ours === 'quicklist'),
  },
]

function hasError(reply: Reply, text: string): boolean {
  return (
    typeof reply === 'object' &&
    reply !== null &&
    !Array.isArray(reply) &&
    'error' in reply &&
    reply.error.includes(text)
  )
}
