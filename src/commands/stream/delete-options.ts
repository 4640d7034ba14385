/**
 * [KEEPREF | DELREF | ACKED] IDS count id [id ...]: what XDELEX and XACKDEL share.
 *
 * Everything is read before anything changes.
 */
import type { Args } from '../../resp/args.ts'
import { NUMIDS_MISMATCH, NUMIDS_NOT_POSITIVE, SYNTAX_ERROR } from '../../resp/errors.ts'
import { StreamId } from '../../structures/stream-id.ts'
import { ReferencePolicy } from '../../structures/stream-references.ts'
import { type IdList, parseId } from './stream-access.ts'

const NO_POLICY = -1

const id = new StreamId()

/** The policy that argument `i` names, -1 when it is none. */
export function policyAt(args: Args, i: number): number {
  if (args.is(i, 'KEEPREF')) return ReferencePolicy.Keep
  if (args.is(i, 'DELREF')) return ReferencePolicy.Drop
  return args.is(i, 'ACKED') ? ReferencePolicy.Acknowledged : NO_POLICY
}

export function isPolicy(policy: number): policy is ReferencePolicy {
  return policy !== NO_POLICY
}

/**
 * Reads options from argument `first` on, the IDs into `ids`. Returns the policy.
 *
 * @throws SYNTAX_ERROR, NUMIDS_NOT_POSITIVE, NUMIDS_MISMATCH, INVALID_STREAM_ID
 */
export function parseDeletion(args: Args, first: number, ids: IdList): ReferencePolicy {
  let policy: number = NO_POLICY
  ids.clear()
  for (let i = first; i < args.count; i++) {
    const named = policyAt(args, i)
    if (named !== NO_POLICY) {
      if (policy !== NO_POLICY) throw SYNTAX_ERROR
      policy = named
    } else if (args.is(i, 'IDS') && ids.count === 0 && i + 1 < args.count) {
      const count = args.integerIn(i + 1, 1, Number.MAX_SAFE_INTEGER, NUMIDS_NOT_POSITIVE)
      if (count > args.count - i - 2) throw NUMIDS_MISMATCH
      for (let n = 0; n < count; n++) {
        parseId(args, i + 2 + n, id)
        ids.push(id)
      }
      i += 1 + count
    } else throw SYNTAX_ERROR
  }
  if (ids.count === 0) throw SYNTAX_ERROR
  return policy === NO_POLICY ? ReferencePolicy.Keep : (policy as ReferencePolicy)
}
