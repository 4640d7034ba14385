/** DEBUG PROTOCOL: one reply of each type, for authors of clients. Source: Valkey src/debug.c `debugCommand`. */
import { DEBUG_PROTOCOL_NEEDS_RESP3, DEBUG_PROTOCOL_TYPE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'

const COUNT = 3

/** Writes the test value of a type, named in lower case. @throws for an unknown type, and for `push` in RESP2 */
export function replyTestValue(reply: ReplySink, type: string): void {
  const write = TEST_VALUES.get(type)
  if (write === undefined) throw DEBUG_PROTOCOL_TYPE
  write(reply)
}

const TEST_VALUES: ReadonlyMap<string, (reply: ReplySink) => void> = new Map([
  ['string', (reply: ReplySink) => reply.bulkText('Hello World')],
  ['integer', (reply: ReplySink) => reply.integer(12345)],
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: the value that clients' tests expect
  ['double', (reply: ReplySink) => reply.double(3.141)],
  ['bignum', (reply: ReplySink) => reply.bigNumber('1234567999999999999999999999999999999')],
  ['null', (reply: ReplySink) => reply.nil()],
  ['true', (reply: ReplySink) => reply.bool(true)],
  ['false', (reply: ReplySink) => reply.bool(false)],
  ['verbatim', (reply: ReplySink) => reply.verbatim('This is a verbatim\nstring', 'txt')],
  ['array', writeArray],
  ['set', writeSet],
  ['map', writeMap],
  ['attrib', writeAttribute],
  ['push', writePush],
])

function writeArray(reply: ReplySink): void {
  reply.array(COUNT)
  for (let i = 0; i < COUNT; i++) reply.integer(i)
}

function writeSet(reply: ReplySink): void {
  reply.set(COUNT)
  for (let i = 0; i < COUNT; i++) reply.integer(i)
}

function writeMap(reply: ReplySink): void {
  reply.map(COUNT)
  for (let i = 0; i < COUNT; i++) {
    reply.integer(i)
    reply.bool(i === 1)
  }
}

function writeAttribute(reply: ReplySink): void {
  if (reply.attribute(1)) {
    reply.bulkText('key-popularity')
    reply.array(2)
    reply.bulkText('key:123')
    reply.integer(90)
  }
  reply.bulkText('Some real reply following the attribute')
}

function writePush(reply: ReplySink): void {
  if (reply.version < 3) throw DEBUG_PROTOCOL_NEEDS_RESP3
  reply.push(2)
  reply.bulkText('server-cpu-usage')
  reply.integer(42)
  // A client that drops push messages still gets a reply.
  reply.bulkText('Some real reply following the push reply')
}
