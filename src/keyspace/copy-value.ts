/**
 * Deep copies of values, of every kind (COPY).
 *
 * When you add a kind: here too.
 */
import type { Arena, Ref } from '../storage/arena.ts'
import { HashDict } from '../structures/hash.ts'
import { type Collection, isObjectKind, Kind } from '../structures/kind.ts'
import { ListBig } from '../structures/list.ts'
import { PackedTimedHash } from '../structures/packed-timed-hash.ts'
import { SetDict } from '../structures/set.ts'
import { SortedSet } from '../structures/sorted-set.ts'
import { Stream } from '../structures/stream.ts'
import type { Keyspace } from './keyspace.ts'

/** Copies a value of a kind, as it stands in the key index. The copy has the same kind. O(n). */
export function copyValue(keyspace: Keyspace, kind: number, value: number): number {
  if (kind === Kind.StringInteger) return value
  if (!isObjectKind(kind)) return copyBlock(keyspace.arena, value)
  return keyspace.addObject(copyCollection(keyspace.object(value)))
}

function copyBlock(arena: Arena, ref: Ref): Ref {
  return arena.store(arena.segment(ref), arena.offset(ref), arena.length(ref))
}

function copyCollection(object: Collection): Collection {
  if (object instanceof HashDict || object instanceof SetDict || object instanceof SortedSet) return object.clone()
  if (object instanceof ListBig || object instanceof Stream || object instanceof PackedTimedHash) return object.clone()
  throw new TypeError('Cannot copy a collection of an unknown class')
}
