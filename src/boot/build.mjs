/**
 * Bundles our modules, so that they start quickly (boot/bundle.cjs) and run below node_modules, where Node strips no types.
 *
 *     node src/boot/build.mjs              all: what `npm start` runs, and what a package has in dist/js and dist/types
 *     node src/boot/build.mjs --start      only what `npm start` runs
 *     … --if-possible                      where that cannot be, one line says so; the sources run as they are
 *
 * What is imported lazily becomes a file of its own; other packages stay imports. A new entry (a program, a thread) is
 * to be named in ENTRIES. Plain JavaScript: an installation without development dependencies may run it on any Node.
 */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { bundleFolder } = require('./bundle.cjs')

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))
const DIST = join(PACKAGE, 'dist')
/** Of which sources the files of the package were made. */
const MADE_OF = join(DIST, 'made-of')
/** What is in `dist` beside the bundles of checkouts. */
const OTHERS = ['js', 'types', 'made-of']
const SERVER_ENTRIES = {
  process: 'src/standalone/process.ts',
  'writer-thread': 'src/persistence/snapshot/writer-thread.ts',
}
const ENTRIES = {
  ...SERVER_ENTRIES,
  index: 'src/index.ts',
  client: 'src/client/index.ts',
  worker: 'workers/main.ts',
}
/** Bundles of sources before they were edited: processes that still run may load from them. */
const OLD_BUNDLES = 4
const OLD_MS_MAX = 600_000

const options = process.argv.slice(2)
try {
  await makeStartBundle()
  if (!options.includes('--start')) await makePackage()
} catch (error) {
  if (!options.includes('--if-possible')) throw error
  console.log(`No bundle was made (${error.message.split('\n')[0]}): the sources run as they are`)
}

/** Two processes may do it at once: each in a folder of its own, and the second one that is done finds it there. */
async function makeStartBundle() {
  const folder = bundleFolder()
  if (existsSync(folder)) return
  await bundle(SERVER_ENTRIES, (made) => {
    // Sources that were edited meanwhile would be in it under the name of the old ones.
    if (bundleFolder() === folder && !existsSync(folder)) renameSync(made, folder)
  })
  removeOldBundles(folder)
}

function removeOldBundles(current) {
  const others = readdirSync(DIST)
    .filter((name) => !OTHERS.includes(name))
    .map((name) => join(DIST, name))
    .filter((path) => path !== current)
    .map((path) => ({ path, ms: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.ms - a.ms)
  for (const { path, ms } of others.slice(OLD_BUNDLES)) {
    if (Date.now() - ms > OLD_MS_MAX) rmSync(path, { recursive: true, force: true })
  }
}

/** npm asks for it twice when it packs. */
async function makePackage() {
  const sources = basename(bundleFolder())
  if (existsSync(MADE_OF) && readFileSync(MADE_OF, 'utf8') === sources) return
  rmSync(MADE_OF, { force: true })
  await bundle(ENTRIES, (made) => {
    rmSync(join(DIST, 'js'), { recursive: true, force: true })
    renameSync(made, join(DIST, 'js'))
  })
  makeTypes()
  writeFileSync(MADE_OF, sources)
}

/** Bundles into a folder that `place` may move; what it leaves is removed. */
async function bundle(input, place) {
  const { rolldown } = await import('rolldown')
  // Process ids are not unique where containers share the folder.
  const folder = join(DIST, `making-${randomUUID()}`)
  mkdirSync(folder, { recursive: true })
  try {
    const build = await rolldown({
      input,
      cwd: PACKAGE,
      platform: 'node',
      external: (name) => !/^[./]/.test(name) && !/^[a-z]:/i.test(name),
    })
    await build.write({
      dir: folder,
      chunkFileNames: 'part-[name]-[hash].js',
      sourcemap: true,
      comments: false,
      // With one letter beyond Latin-1, V8 keeps a whole file in two bytes a letter: a tenth of the time to start.
      charset: 'ascii',
    })
    place(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Declarations of what the two library entries name, directly or not. */
function makeTypes() {
  const types = join(DIST, 'types')
  rmSync(types, { recursive: true, force: true })
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.package.json'], {
    cwd: PACKAGE,
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('tsc made no declarations')
  const named = new Set()
  for (const entry of ['index', 'client/index']) addNamed(join(types, `${entry}.d.ts`), named)
  for (const name of readdirSync(types, { recursive: true })) {
    const path = join(types, name)
    if (name.endsWith('.d.ts') && !named.has(path)) rmSync(path)
  }
}

function addNamed(path, named) {
  if (named.has(path)) return
  named.add(path)
  for (const [, name] of readFileSync(path, 'utf8').matchAll(/\b(?:from |import\()['"](\.[^'"]+)\.ts['"]/g)) {
    addNamed(resolve(dirname(path), `${name}.d.ts`), named)
  }
}
