/** Reading replies of stream commands in tests. */

/** A flat array of names and values as an object. */
export function mapOf(reply: unknown): Record<string, unknown> {
  const map: Record<string, unknown> = {}
  const flat = reply as unknown[]
  for (let i = 0; i < flat.length; i += 2) map[String(flat[i])] = flat[i + 1]
  return map
}
