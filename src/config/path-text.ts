/** Paths are bytes in the configuration (byte strings) and Unicode in node:fs. */

/** The path for node:fs that a byte string means. */
export function decodePath(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString()
}

/** The byte string for a path from the system. */
export function encodePath(path: string): string {
  return Buffer.from(path).toString('latin1')
}
