/**
 * Of which sources the native addons were built. Those of other sources would load, and then not do what is expected of
 * them: a server that was updated without an installation would listen and never answer.
 * Plain JavaScript of CommonJS: the installation needs it on any Node.
 */
const { createHash } = require('node:crypto')
const { readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const SOURCES = ['binding.gyp', 'epoll.cc', 'heap.cc', 'sync.cc']
/** Beside the addons. */
const NOTE = join(__dirname, 'build', 'Release', 'made-of')

function fingerprint() {
  const hash = createHash('sha1')
  for (const name of SOURCES) hash.update(readFileSync(join(__dirname, name)))
  return hash.digest('hex')
}

/** Notes that the addons were built of what is here now. */
function noteSources() {
  writeFileSync(NOTE, fingerprint())
}

/** Whether that is so. Throws when nothing was built. */
function isUpToDate() {
  return readFileSync(NOTE, 'utf8') === fingerprint()
}

module.exports = { isUpToDate, noteSources }
