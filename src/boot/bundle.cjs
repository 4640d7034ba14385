/**
 * Where the bundled code is (boot/build.mjs): node loads a few large files in two thirds of the time that 400 small ones take.
 *
 *     a package     dist/js; it has no sources beside it
 *     a checkout    dist/<fingerprint of the sources>, so that what was edited since is never run
 *
 * A checkout makes its bundle when it is installed, and whoever starts first after an edit makes the next one. Where that
 * cannot be (no development dependencies, no place to write, a mistake in the sources, a file that cannot be read), the sources run as they are.
 * Plain JavaScript: it runs before the first file whose types are stripped.
 */
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

/** The content of all sources in a few letters. Times of files would be quicker by 3 ms, and wrong in copies and images. */
function fingerprint() {
  const hash = createHash('sha1')
  const files = ['src', 'workers'].flatMap(filesIn).filter((path) => /\.[cm]?[jt]s$/.test(path))
  const lengths = files.toSorted().map((path) => `${path} ${addContent(hash, path)}`)
  return hash.update(lengths.join('\n')).digest('hex').slice(0, 20)
}

/** Paths from the folder of the package on. As text: `join` takes longer than reading them. */
function filesIn(folder) {
  return readdirSync(`${PACKAGE}/${folder}`, { recursive: true }).map((name) => `${folder}/${name}`)
}

/** Returns how many bytes there were. */
function addContent(hash, path) {
  const file = openSync(`${PACKAGE}/${path}`)
  let total = 0
  let length = 0
  do {
    length = readSync(file, CONTENT)
    hash.update(CONTENT.subarray(0, length))
    total += length
  } while (length === CONTENT.length)
  closeSync(file)
  return total
}

/** The bundle, made if need be; null where there is none. */
function findBundle() {
  const folder = findFolder()
  if (folder === null) return null
  if (!existsSync(folder) && canBuild()) {
    // Loaded only here: it takes a while.
    const { spawnSync } = require('node:child_process')
    const options = { stdio: 'ignore', timeout: BUILD_MS_MAX, env: { ...process.env, NODE_OPTIONS: '' } }
    spawnSync(process.execPath, [join(__dirname, 'build.mjs'), '--start'], options)
  }
  return existsSync(folder) ? folder : null
}

/** null when the sources cannot all be read: somebody is editing them, or only a part of the checkout is here. */
function findFolder() {
  try {
    return bundleFolder()
  } catch {
    // What is needed of them may be there all the same.
    return null
  }
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
