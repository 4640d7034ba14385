/**
 * The replication IDs: which history of writes the data belong to.
 *
 * Offsets mean something only together with the ID of their history. A primary that was a replica before keeps the ID of
 * its old primary as the second one, with the offset up to which both histories are the same: the other replicas of that
 * primary go on by a partial resync. Source: Valkey 7.2 src/replication.c changeReplicationId, shiftReplicationId.
 */
import { randomBytes } from 'node:crypto'

const ID_BYTES = 20
const NO_ID = '0'.repeat(ID_BYTES * 2)
/** What stands for the offset of a second ID that there is not. */
const NO_OFFSET = -1

export class ReplicationHistory {
  id: string = newId()
  id2: string = NO_ID
  /** Up to which offset the second ID is valid, as PSYNC counts; -1: there is none. */
  secondOffset = NO_OFFSET

  /** Begins another history: what was written so far cannot be continued. */
  change(): void {
    this.id = newId()
    this.id2 = NO_ID
    this.secondOffset = NO_OFFSET
  }

  /** The history goes on under another ID: that of the new primary, or one of our own after a promotion. */
  shift(id: string | null, offset: number): void {
    this.id2 = this.id
    this.secondOffset = offset + 1
    this.id = id ?? newId()
  }

  /** The data had a place in another history: what follows is ours. */
  remember(id: string, offset: number): void {
    this.id2 = id.toLowerCase()
    this.secondOffset = offset + 1
  }

  /** The data are those of a primary. */
  takeOver(id: string): void {
    this.id = id.toLowerCase()
    this.id2 = NO_ID
    this.secondOffset = NO_OFFSET
  }

  /** Whether a history that somebody has read up to `psyncOffset` (the byte that is wanted next) is a part of this one. */
  includes(id: string, psyncOffset: number): boolean {
    return id === this.id || (id === this.id2 && psyncOffset <= this.secondOffset)
  }
}

function newId(): string {
  return randomBytes(ID_BYTES).toString('hex')
}
