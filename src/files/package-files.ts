/**
 * Files of this package that are found by their path, and not by an import. Cold.
 *
 * Our modules run from two places: from `src`, and bundled from a folder in `dist` (boot/build.mjs). Bundled ones lie
 * as deep below the folder of the package as this file does, so the path to it is the same.
 */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGE = new URL('../../', import.meta.url)

/** The absolute path of a file, given from the folder of the package on. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, PACKAGE))
}

/** The entry of a thread, given as a path of its source; a new one is to be named in boot/build.mjs as well. */
export function threadEntry(source: string): URL {
  const isBundled = !import.meta.url.endsWith('.ts')
  return isBundled ? new URL(`${basename(source, '.ts')}.js`, import.meta.url) : new URL(source, PACKAGE)
}
