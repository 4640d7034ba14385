/**
 * Replies in which Millrace differs from redis-server 7.0.15 on purpose. Each is listed, with its reason, in
 * docs/COMPATIBILITY.md (a test checks that).
 */
import { inspect } from 'node:util'
import type { Reply } from '../support/resp-client.ts'
import { sameScores } from './compare.ts'

export interface KnownDifference {
  /** The words that docs/COMPATIBILITY.md uses for it. */
  readonly title: string
  readonly applies: (command: readonly string[], ours: Reply, theirs: Reply) => boolean
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    title: 'ZRANK and ZREVRANK take WITHSCORE',
    applies: (command, _ours, theirs) =>
      command.some((word) => /^z(rev)?rank$/i.test(word)) &&
      (hasError(theirs, 'wrong number of arguments') || hasError(theirs, 'Wrong number of args')),
  },
  {
    title: 'SCAN cursors are positions of their own kind',
    applies: (command) =>
      command.some((word, i) => /^[shz]?scan$/i.test(word) && command[i + (/^scan$/i.test(word) ? 1 : 2)] !== '0'),
  },
  {
    title: 'TIME has milliseconds',
    applies: (command, ours, theirs) => /^time$/i.test(command[0]!) && Array.isArray(ours) && Array.isArray(theirs),
  },
  {
    title: 'XSETID checks the deleted ID before the top entry',
    applies: (command, ours, theirs) =>
      /^xsetid$/i.test(command[0]!) && hasError(ours, 'max_deleted') && hasError(theirs, 'top item'),
  },
  {
    title: 'SORT compares in byte order',
    applies: (command, ours, theirs) =>
      command.some((word) => /^sort$/i.test(word)) && JSON.stringify([ours, theirs]).includes('\\u0000'),
  },
  {
    title: 'SORT does not fail because of an earlier number',
    applies: (command, ours, theirs) =>
      command.some((word) => /^sort$/i.test(word)) &&
      Array.isArray(ours) &&
      hasError(theirs, "can't be converted into double"),
  },
  {
    title: 'SORT leaves a sorted set as it is',
    applies: (command, ours, theirs) => /^object$/i.test(command[0]!) && ours === 'listpack' && theirs === 'skiplist',
  },
  {
    title: 'A score of minus zero is zero',
    applies: (command, ours, theirs) =>
      command.some((word) => /^z/i.test(word)) &&
      inspect(theirs, { depth: 9, maxArrayLength: null }).includes("'-0'") &&
      sameScores(command, ours, theirs),
  },
  {
    title: 'LPOS refuses the smallest RANK',
    applies: (command, ours) => /^lpos$/i.test(command[0]!) && hasError(ours, 'value must between'),
  },
  {
    title: 'Expire times beyond 2^53 ms are rounded',
    applies: (_command, ours, theirs) =>
      typeof theirs === 'bigint' && typeof ours === 'bigint' && Number(ours) / Number(theirs) > 0.999,
  },
  {
    title: 'Stream counters are exact to 2^53',
    applies: (command, _ours, theirs) =>
      /^xinfo$/i.test(command[0]!) && /9223372036854775807|9007199254740/.test(inspect(theirs, { depth: 9 })),
  },
  {
    title: 'A whole number made by INCRBYFLOAT is an int',
    applies: (command, ours, theirs) => /^object$/i.test(command[0]!) && ours === 'int' && theirs === 'embstr',
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
