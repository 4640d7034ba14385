/**
 * What clients get for reading their own writes (`upstash-sync-token`): an opaque text that they send with their next
 * request.
 *
 * Reads are served where writes are executed, so there is no state that a client would have to wait for: what it sends
 * is not looked at. Clients take it that each answer has a token of its own, also that to a request without one: their
 * first request has none yet.
 */
import { randomBytes } from 'node:crypto'

const PROCESS = randomBytes(4).toString('hex')
let answers = 0

/** The token of the next answer. It is harmless in a header. */
export function nextSyncToken(): string {
  answers++
  return `${PROCESS}-${answers.toString(36)}`
}
