/**
 * Where the bundled code is (boot/build.mjs): node loads a few large files in two thirds of the time that 400 small ones take.
 *
 *     a package     dist/js; it has no sources beside it
 *     a checkout    dist/<fingerprint of the sources>, so that what was edited since is never run
 *
 * A checkout makes its bundle when it is installed, and whoever starts first after an edit makes the next one. Where that
 * cannot be (no development dependencies, no place to write, a mistake in the sources), the sources run as they are.
 * Plain JavaScript: it runs before the first file whose types are stripped.
 */
const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const { accessSync, closeSync, constants, existsSync, openSync, readdirSync, readSync } = require('node:fs')
const { join } = require('node:path')

const PACKAGE = join(__dirname, '..', '..')
const BUILD_MS_MAX = 60_000
/** All files are read into it: a quarter less time than with a buffer for each. */
const CONTENT = Buffer.allocUnsafeSlow(256 * 1024)

/** The folder of the bundle of what is here now, which may not be there. */
function bundleFolder() {
  const isCheckout = existsSync(join(PACKAGE, 'src', 'index.ts'))
  return join(PACKAGE, 'dist', isCheckout ? fingerprint() : 'js')
}

/** The content of all sources in a few letters. Times of files would be quicker by 5 ms, and wrong in copies and images. */
function fingerprint() {
  const hash = createHash('sha1')
  for (const name of ['src', 'workers']) addFolder(hash, join(PACKAGE, name), name)
  return hash.digest('hex').slice(0, 20)
}

function addFolder(hash, folder, name) {
  hash.update(`${name}/`)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) addFolder(hash, path, entry.name)
    else if (entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name)) addFile(hash.update(entry.name), path)
  }
}

function addFile(hash, path) {
  const file = openSync(path)
  let length = 0
  do {
    length = readSync(file, CONTENT)
    hash.update(CONTENT.subarray(0, length))
  } while (length === CONTENT.length)
  closeSync(file)
}

/** The bundle, made if need be; null where there is none. */
function findBundle() {
  const folder = bundleFolder()
  if (!existsSync(folder) && canBuild()) {
    const options = { stdio: 'ignore', timeout: BUILD_MS_MAX, env: { ...process.env, NODE_OPTIONS: '' } }
    spawnSync(process.execPath, [join(__dirname, 'build.mjs'), '--start'], options)
  }
  return existsSync(folder) ? folder : null
}

function canBuild() {
  try {
    require.resolve('rolldown')
    accessSync(PACKAGE, constants.W_OK)
    return true
  } catch {
    // It is no failure: the sources run.
    return false
  }
}

module.exports = { bundleFolder, findBundle }
