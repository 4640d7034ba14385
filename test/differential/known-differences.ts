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

export const knownDifferences: readonly KnownDifference[] = []
