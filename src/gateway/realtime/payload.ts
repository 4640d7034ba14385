/** Bytes of channels and streams as JSON: text where they are UTF-8, else base64, which the message says. */
import { isUtf8 } from 'node:buffer'
import { CommandError } from '../engine.ts'
import { PAYLOAD_BYTES_MAX, PUSH_BYTES_MAX } from './limits.ts'

/** An entry with its ID and names and values in turn. */
export interface Entry {
  readonly id: string
  readonly fields: readonly Buffer[]
}

/** Members `data` and, if need be, `encoding` of a message, as JSON. */
export function dataMembers(bytes: Buffer): string {
  return isUtf8(bytes)
    ? `"data":${JSON.stringify(bytes.toString())}`
    : `"data":"${bytes.toString('base64')}","encoding":"base64"`
}

/** Members `entries` and, if need be, `encoding`. Each entry has the shape of XRANGE, with more elements when given. */
export function entriesMembers(entries: readonly Entry[], more: readonly (number | null)[] | null = null): string {
  const isText = entries.every(({ fields }) => fields.every((field) => isUtf8(field)))
  const list = entries.map(({ id, fields }, i) => {
    const texts = fields.map((field) => (isText ? field.toString() : field.toString('base64')))
    return more === null ? [id, texts] : [id, texts, more[i]]
  })
  return `"entries":${JSON.stringify(list)}${isText ? '' : ',"encoding":"base64"'}`
}

/** How many of the first entries fit into one push: at least one. @throws CommandError TOOLARGE when not even that does */
export function countForPush(entries: readonly Entry[]): number {
  let bytes = 0
  for (const [i, { id, fields }] of entries.entries()) {
    for (const field of fields) bytes += field.length
    if (i === 0 && bytes > PAYLOAD_BYTES_MAX) {
      throw new CommandError(`TOOLARGE Entry ${id} has more than ${PAYLOAD_BYTES_MAX} bytes`)
    }
    if (i > 0 && bytes > PUSH_BYTES_MAX) return i
  }
  return entries.length
}

/** Entries of a reply to XRANGE and its kin, read with Decode.Bytes; those that are deleted (XREADGROUP) have null. */
export function entriesOf(reply: unknown): { readonly id: string; readonly fields: readonly Buffer[] | null }[] {
  if (!Array.isArray(reply)) return []
  return reply.map((entry: readonly [Buffer, readonly Buffer[] | null]) => ({
    id: entry[0].toString('latin1'),
    fields: entry[1],
  }))
}

/** Entries that a reply to XREAD or XREADGROUP has for each stream. */
export function streamsOf(reply: unknown): { readonly key: string; readonly entries: ReturnType<typeof entriesOf> }[] {
  if (!Array.isArray(reply)) return []
  return reply.map((stream: readonly [Buffer, unknown]) => ({
    key: stream[0].toString(),
    entries: entriesOf(stream[1]),
  }))
}
